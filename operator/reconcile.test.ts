import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../ec2/errors.ts';
import { NODE1, NODE2, VIP } from './testing/fixtures.ts';
import { World } from './testing/world.ts';

const messages = (world: World): string[] => world.logs.map(({ message }) => message);

test('a new pair: finalizer, then record, then instances; and no EC2 call before all of them', async () => {
  const world = new World();
  await world.pass(1000);
  assert.equal(world.writes, ['finalizer', 'status', 'status', 'instance', 'instance']);
  world.kill();
});

test('failover: the call is the first thing that happens, and the log tells the steps in order', async () => {
  const world = await World.converged();
  world.report('node2', 'Master', 2);
  await world.pass(3000);
  assert.is(world.writes[0], 'AssignPrivateIpAddresses');
  assert.is(world.cloud.effects.length, 1);
  const steps = messages(world).filter((message) => message !== 'instance written');
  assert.equal(steps, [
    'report read',
    'call sent',
    'status written',
    'call answered',
    'read back',
    'status written',
  ]);
  assert.is(world.condition('Ready'), 'True Serving');
  world.kill();
});

test('S6 quiet: five minutes without a change write nothing', async () => {
  const world = await World.converged();
  for (let tenth = 0; tenth < 30; tenth++) {
    world.renew('node1');
    world.renew('node2');
    await world.pass(10_000);
  }
  assert.equal(world.writes, []);
  world.kill();
});

test('a slow call blocks no other step of the pair, and no second call is begun meanwhile (S5)', async () => {
  const world = await World.converged();
  world.callMs = 30_000;
  world.report('node2', 'Master', 2);
  await world.pass(1000);
  world.report('node1', 'Backup', 2);
  await world.pass(1000);
  assert.is(world.pair.status?.standby, 'node1', 'status goes on');
  assert.is(world.writes.filter((write) => write.startsWith('A')).length, 1);
  world.kill();
});

test('drift is found by the periodic reading and repaired', async () => {
  const world = await World.converged();
  world.cloud.put(VIP, undefined);
  await world.pass(40_000);
  assert.is(world.cloud.where(VIP), NODE1.networkInterfaceID);
  assert.ok(world.events.some(({ reason }) => reason === 'DriftRepaired'));
  assert.is(world.condition('AddressesConverged'), 'True Converged');
  world.kill();
});

test('a timed-out call is read back before it is repeated', async () => {
  const world = await World.converged();
  const result = failureOf({ code: 'TimeoutError', message: 'no answer' });
  world.answers.push({ result, effect: true });
  world.report('node2', 'Master', 2);
  await world.pass(3000);
  assert.is(world.writes.filter((write) => write.startsWith('A')).length, 1);
  assert.is(world.condition('Ready'), 'True Serving');
  world.kill();
});

test('deletion with Retain: the finalizer goes and EC2 is left alone', async () => {
  const world = await World.converged();
  world.delete();
  await world.pass(1000);
  assert.ok(world.isGone);
  assert.equal(world.cloud.effects, []);
  world.kill();
});

/** Runs a story once undisturbed to count its writes, then once per write with the process killed before it. */
const killAnywhere = (
  title: string,
  story: (world: World) => Promise<void>,
  check: (world: World) => void,
) => {
  test(`kill -9 between any two writes: ${title}`, async () => {
    const calm = await World.converged();
    await story(calm);
    await calm.pass(60_000);
    check(calm);
    calm.kill();
    for (let at = 0; at < calm.writes.length; at++) {
      for (const downMs of [1, 70, 5000]) {
        const world = await World.converged();
        world.killBeforeWrite = at;
        await story(world);
        await world.pass(downMs);
        world.kill();
        await world.pass(downMs);
        world.start();
        world.renew('node1');
        world.renew('node2');
        await world.pass(1000);
        world.renew('node1');
        world.renew('node2');
        await world.pass(60_000);
        check(world);
        world.kill();
      }
    }
  });
};

const servedBy = (node: typeof NODE1) => (world: World) => {
  assert.is(world.cloud.where(VIP), node.networkInterfaceID);
  assert.is(world.pair.status?.master, node.name);
  assert.is(world.pair.status?.holder, node.name);
  assert.is(world.condition('AddressesConverged'), 'True Converged');
  assert.is(world.instance(node.name)?.spec.priority, 200);
  const errors = world.logs.filter(({ message }) => message === 'step failed');
  assert.equal(errors, []);
};

killAnywhere(
  'a failover',
  async (world) => {
    world.report('node2', 'Master', 2);
    await world.pass(20);
  },
  servedBy(NODE2),
);

killAnywhere(
  'an order (S9)',
  async (world) => {
    world.edit({ preferredNode: 'node2' });
    await world.pass(100);
  },
  (world) => {
    assert.is(world.pair.status?.failback?.yieldTerm, 1);
    assert.is(world.instance('node1')?.spec.yieldTerm, 1);
    assert.is(world.pair.status?.failback?.observedPreferredNode, 'node2');
  },
);

killAnywhere(
  'a repair of drift',
  async (world) => {
    world.cloud.put(VIP, NODE2.networkInterfaceID);
    await world.pass(50_000);
  },
  servedBy(NODE1),
);

test.run();
