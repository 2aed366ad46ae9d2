/**
 * The agent is replaced in place: reload, SIGHUP, upgrade. A Master stays Master in its term, its VIP stays up and no probe
 * is lost; what cannot start is never started; who is back too late listens first.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { assertUnmoved, configOf, hapairAgent, standing, statusOf } from './agent-life.ts';
import { agentLog, agentSays } from './agent-log.ts';
import {
  assertNothingLost,
  backup,
  eventually,
  failOver,
  instanceOf,
  masterOf,
  otherNode,
  patientPair,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('reload', patientPair);

const ROOT = join(import.meta.dirname, '..', '..');
const NEXT = '0.1.1-next';

/** Where a package would have put the program on the node that is master now. */
const treeOf = (stage: Stage): string => join(stage.lab.dir, 'program');

/** A copy of the program, which a test can upgrade and break. */
function installTree(stage: Stage): string {
  const tree = treeOf(stage);
  mkdirSync(tree);
  for (const part of ['agent', 'crds', 'kube', 'runtime', 'package.json'])
    cpSync(join(ROOT, part), join(tree, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  return join(tree, 'agent', 'main.ts');
}

const change = (file: string, edit: (text: string) => string): void =>
  writeFileSync(file, edit(readFileSync(file, 'utf8')));

const reloadsOf = async (stage: Stage, node: string): Promise<number> =>
  (await statusOf(stage, node)).reloads;

row('the agent of the master-to-be runs from a tree of its own', async (stage) => {
  const master = await masterOf(stage);
  const standby = otherNode(master);
  const node = stage.lab.node(standby);
  await node.stopService('agent');
  const argv = [process.execPath, installTree(stage), 'run', '--config', configOf(stage, standby)];
  await node.setService({ name: 'agent', argv, env: {} });
  await node.startService('agent');
  await backup(stage, standby);
  assert.is(await failOver(stage), standby);
});

row('a reload of the master: same process, same term, nothing lost, no call to EC2', async (stage) => {
  const master = await masterOf(stage);
  const [before, process, fromMs] = [await standing(stage), await statusOf(stage, master), nowMs()];
  const { code, stdout, stderr } = await hapairAgent(stage, master, ['reload']);
  assert.is(code, 0, stderr);
  assert.match(stdout, 'Master of prod/web');
  const after = await statusOf(stage, master);
  assert.is(after.pid, process.pid);
  assert.is(after.reloads, process.reloads + 1);
  assert.equal(after.pairs[0]?.transitions, process.pairs[0]?.transitions);
  await assertUnmoved(stage, before, 2);
  await assertNothingLost(stage, fromMs);
});

row('SIGHUP does the same', async (stage) => {
  const master = await masterOf(stage);
  const [before, reloads, fromMs] = [await standing(stage), await reloadsOf(stage, master), nowMs()];
  await stage.lab.node(master).killService('agent', 'SIGHUP');
  await eventually('The agent should be replaced', async () => {
    const { code, stdout } = await hapairAgent(stage, master, ['status', '-o', 'json']);
    return code === 0 && JSON.parse(stdout).reloads > reloads ? true : undefined;
  });
  await assertUnmoved(stage, before, 2);
  await assertNothingLost(stage, fromMs);
});

row('a reload of the standby, too', async (stage) => {
  const standby = otherNode(await masterOf(stage));
  const [before, fromMs] = [await standing(stage), nowMs()];
  const { code, stderr } = await hapairAgent(stage, standby, ['reload']);
  assert.is(code, 0, stderr);
  await assertUnmoved(stage, before, 2);
  await assertNothingLost(stage, fromMs);
});

row('an upgrade on the master: the new program goes on in the old one’s term', async (stage) => {
  const master = await masterOf(stage);
  const [before, fromMs] = [await standing(stage), nowMs()];
  change(join(treeOf(stage), 'package.json'), (text) => text.replace('"0.1.0"', `"${NEXT}"`));
  const { code, stdout, stderr } = await hapairAgent(stage, master, ['reload']);
  assert.is(code, 0, stderr);
  assert.match(stdout, `hapair-agent ${NEXT} runs`);
  await eventually('The report should name the new version', async () =>
    (await instanceOf(stage, master))?.status?.agentVersion === NEXT ? true : undefined,
  );
  await assertUnmoved(stage, before, 2);
  await assertNothingLost(stage, fromMs);
});

row('a faulty configuration refuses the reload, by its field, and nothing is lost', async (stage) => {
  const master = await masterOf(stage);
  const file = configOf(stage, master);
  const good = readFileSync(file, 'utf8');
  const [before, reloads, fromMs] = [await standing(stage), await reloadsOf(stage, master), nowMs()];
  writeFileSync(file, JSON.stringify({ ...JSON.parse(good), logLevel: 'loud' }));
  // The command itself reads the file, too; SIGHUP asks the agent alone.
  const { code, stderr } = await hapairAgent(stage, master, ['reload']);
  assert.is(code, 2);
  assert.match(stderr, 'logLevel: "loud"');
  const since = agentLog(stage, master).length;
  await stage.lab.node(master).killService('agent', 'SIGHUP');
  await agentSays(stage, master, since, 'ReloadRefused');
  writeFileSync(file, good);
  assert.is(await reloadsOf(stage, master), reloads);
  await assertUnmoved(stage, before, 2);
  await assertNothingLost(stage, fromMs);
});

row('a program that cannot start refuses the reload, and nothing is lost', async (stage) => {
  const master = await masterOf(stage);
  const file = join(treeOf(stage), 'agent', 'node', 'imds.ts');
  const [before, reloads, fromMs] = [await standing(stage), await reloadsOf(stage, master), nowMs()];
  const whole = readFileSync(file, 'utf8');
  writeFileSync(file, whole.slice(0, 1000));
  const { code, stderr } = await hapairAgent(stage, master, ['reload']);
  assert.is(code, 1);
  assert.match(stderr, 'refused');
  writeFileSync(file, whole);
  assert.is(await reloadsOf(stage, master), reloads);
  await assertUnmoved(stage, before, 2);
  await assertNothingLost(stage, fromMs);
});

row('a program that is back too late listens first: its peer is Master, and stays it', async (stage) => {
  const master = await masterOf(stage);
  const peer = otherNode(master);
  const main = join(treeOf(stage), 'agent', 'main.ts');
  // Longer than the master-down interval of 9.6 s; only where it goes on for a predecessor.
  change(
    main,
    (text) =>
      `${text.replace('const parse = ', 'if (process.env.HAPAIR_HANDOVER !== undefined) await new Promise((resolve) => setTimeout(resolve, 15_000));\nconst parse = ')}`,
  );
  const { code, stdout, stderr } = await hapairAgent(stage, master, ['reload']);
  assert.is(code, 0, stderr);
  assert.match(stdout, 'Master of nothing');
  await settled(stage, peer);
  await backup(stage, master);
  const { transitions = [] } = (await statusOf(stage, master)).pairs[0] ?? {};
  assert.is(transitions[0]?.state, 'Backup');
});

run();
