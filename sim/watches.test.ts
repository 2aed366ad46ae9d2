/** News that come at a bad time: the API server has forgotten what changed meanwhile, or the operator is busy writing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { World } from './world.ts';

for (const who of ['operator', 'node2'] as const) {
  test(`410 Gone: the watches of ${who} come back too late to go on, and all is listed anew`, async () => {
    const world = await World.converged();
    const { node1, operator, api } = world;
    const { path } = world[who];
    path.refusal = 'ServerError';
    if (who === 'operator') {
      node1.crash();
      await world.until('node2 is Master', () => world.instance('node2').status?.state === 'Master', 7_000);
    } else {
      world.edit({ pinnedNode: 'node2' });
      await world.pass(5_000);
    }
    api.compact();
    path.refusal = undefined;
    await world.until('node2 serves', () => world.isServedBy('node2'), 20_000);
    if (who === 'operator') node1.boot();
    await world.pass(60_000);
    assert.is(operator.process?.name, 'operator#1', 'and nobody had to start anew for it');
    await world.staysQuiet();
  });
}

test('a report that comes while its pair is being written is acted on as soon as that is done', async () => {
  const world = await World.converged();
  const { node1, node2, operator } = world;
  operator.path.delayMs = 500;
  node1.crash();
  await world.until('node2 is Master', () => node2.isMaster);
  world.edit({ preferredNode: 'node2' });
  await world.until('EC2 moves to node2', () => world.holder === 'node2', 5_000);
});

test.run();
