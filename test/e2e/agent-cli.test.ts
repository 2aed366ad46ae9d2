/** The agent on its node: what its commands say with and without the API server, and that there is one of each name. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { nowMs } from '../../hack/lab/clock.ts';
import { assertUnmoved, configOf, hapairAgent, standing, statusOf } from './agent-life.ts';
import { assertNothingLost, demoPair, eventually, masterOf, otherNode, storyOf } from './support.ts';

const { row, run } = storyOf('agent-cli', demoPair);

row('status of the master, for people', async (stage) => {
  const { code, stdout } = await hapairAgent(stage, await masterOf(stage), ['status']);
  assert.is(code, 0);
  assert.match(stdout, /prod\/web +Master +\d+ /);
  assert.match(stdout, '10.10.10.10: on the interface, EC2 delivers it here');
});

row('a claim while the API server answers is refused, with the way that goes by it', async (stage) => {
  const standby = otherNode(await masterOf(stage));
  const before = await standing(stage);
  const { code, stderr } = await hapairAgent(stage, standby, ['claim', 'web']);
  assert.is(code, 1);
  assert.match(stderr, `"pinnedNode":"${standby}"`);
  await assertUnmoved(stage, before);
});

row(
  'without the API server: status says so, and a claim is refused while a live Master is heard',
  async (stage) => {
    const master = await masterOf(stage);
    const standby = otherNode(master);
    const [before, fromMs] = [await standing(stage), nowMs()];
    for (const node of [master, standby]) await stage.lab.cut(`${node}-api`);
    await eventually(
      'The agent should see that the API server is away',
      async () => ((await statusOf(stage, standby)).api.answers === false ? true : undefined),
      60_000,
    );
    const { stdout } = await hapairAgent(stage, standby, ['status']);
    assert.match(stdout, 'API server: away');
    assert.match(stdout, /prod\/web +Backup /);
    const refused = await hapairAgent(stage, standby, ['claim', 'prod/web']);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, 'refused');
    const kept = await hapairAgent(stage, master, ['claim', 'prod/web']);
    assert.is(kept.code, 0, kept.stderr);
    for (const node of [master, standby]) await stage.lab.heal(`${node}-api`);
    await assertUnmoved(stage, before);
    await assertNothingLost(stage, fromMs);
  },
);

row('a second agent on the same machine is refused, and named the first', async (stage) => {
  const master = await masterOf(stage);
  const before = await standing(stage);
  const { pid } = await statusOf(stage, master);
  const { code, stderr } = await hapairAgent(stage, master, ['run']);
  assert.is(code, 1);
  assert.match(stderr, `another agent (pid ${pid}) runs with the state directory`);
  await assertUnmoved(stage, before);
});

row(
  'a second agent of the name on another machine sees the first renew, and ends before it does anything',
  async (stage) => {
    const master = await masterOf(stage);
    const elsewhere = otherNode(master);
    const [before, fromMs] = [await standing(stage), nowMs()];
    const dir = join(stage.lab.node(elsewhere).dir, 'impostor');
    mkdirSync(dir);
    const config = join(dir, 'agent.yaml');
    const own = JSON.parse(readFileSync(configOf(stage, master), 'utf8'));
    writeFileSync(config, JSON.stringify({ ...own, stateDir: join(dir, 'state') }));
    const { code, stdout } = await hapairAgent(stage, elsewhere, ['run'], config);
    assert.is(code, 1);
    assert.match(stdout, `another agent of node ${master} is running`);
    assert.is((await statusOf(stage, master)).pairs[0]?.state, 'Master');
    await assertUnmoved(stage, before);
    await assertNothingLost(stage, fromMs);
  },
);

row('an agent that does not run: status says so, and what its disk holds', async (stage) => {
  const standby = otherNode(await masterOf(stage));
  await stage.lab.node(standby).killService('agent', 'SIGKILL');
  await stage.gone(standby, 'agent');
  const { code, stdout } = await hapairAgent(stage, standby, ['status']);
  assert.is(code, 3);
  assert.match(stdout, `${standby}: the agent does not run`);
  assert.match(stdout, /prod\/web\n +spec +generation \d+/);
  for (const args of [['reload'], ['claim', 'web']])
    assert.is((await hapairAgent(stage, standby, args)).code, 3, args.join(' '));
});

row('it starts again over what the dead one left', async (stage) => {
  const standby = otherNode(await masterOf(stage));
  await stage.lab.node(standby).startService('agent');
  await eventually('The agent should be back', async () => {
    const { code, stdout } = await hapairAgent(stage, standby, ['status', '-o', 'json']);
    return code === 0 && JSON.parse(stdout).pairs[0]?.state === 'Backup' ? true : undefined;
  });
});

run();
