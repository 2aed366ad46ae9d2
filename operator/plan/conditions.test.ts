/** What the conditions say in the cases that no story of failovers passes through. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NODE1, NODE2, NODE3 } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const messageOf = (rig: Rig, type: string): string =>
  rig.pair.status?.conditions?.find((condition) => condition.type === type)?.message ?? '';

const aliveFor = (rig: Rig, ms: number, ...nodes: string[]): void => {
  for (let passed = 0; passed < ms; passed += 5_000) {
    rig.pass(5_000);
    for (const node of nodes) rig.alive(node);
    rig.read();
    rig.settle();
  }
};

test('a master whose agent is silent may serve or not: Ready is Unknown, and the addresses stay', () => {
  const rig = Rig.converged();
  aliveFor(rig, 35_000, 'node2');
  assert.is(rig.condition('Ready'), 'True Serving');
  aliveFor(rig, 10_000, 'node2');
  assert.is(rig.condition('Ready'), 'Unknown AgentSilent');
  assert.match(messageOf(rig, 'AgentsReady'), /^No sign of life from the agent on node1/);
  assert.is(rig.condition('Redundant'), 'True StandbyReady');
  assert.is(rig.calls.length, 0);
  aliveFor(rig, 5_000, 'node1', 'node2');
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('agents that have never reported are named, each and both', () => {
  const rig = new Rig();
  rig.settle();
  assert.is(rig.condition('AgentsReady'), 'False AgentMissing');
  assert.match(messageOf(rig, 'AgentsReady'), /^No report from node1 and node2:/);
  rig.report('node1', 'Master', 1);
  rig.settle();
  assert.match(messageOf(rig, 'AgentsReady'), /^No report from node2:/);
  assert.is(rig.condition('Redundant'), 'False StandbyMissing');
  assert.match(messageOf(rig, 'Redundant'), /^node2 has not reported/);
});

test('after a restart of the operator nothing is unsaid before a sign of life could have come', () => {
  const rig = Rig.converged();
  aliveFor(rig, 60_000, 'node1', 'node2');
  rig.restart();
  rig.settle();
  const seen = (): string[] => ['AgentsReady', 'Redundant', 'Ready'].map((type) => rig.condition(type));
  assert.equal(seen(), ['True AgentsReporting', 'True StandbyReady', 'True Serving']);
  rig.pass(39_000);
  rig.settle();
  assert.equal(seen(), ['True AgentsReporting', 'True StandbyReady', 'True Serving']);
  rig.pass(2_000);
  rig.settle();
  assert.equal(seen(), ['False AgentSilent', 'False StandbySilent', 'Unknown AgentSilent']);
});

test('a late Master report is named as out of date, not as absent', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 3);
  rig.settle();
  rig.report('node2', 'Init', 3);
  rig.settle();
  assert.is(rig.condition('MasterElected'), 'False NoMaster');
  assert.match(messageOf(rig, 'MasterElected'), /^node1 reports Master in term 1, which is out of date;/);
  rig.report('node1', 'Backup', 3);
  rig.settle();
  assert.match(messageOf(rig, 'MasterElected'), /^No agent reports Master;/);
});

test('PreferredNodeActive: no preference, the standby, the master, nobody', () => {
  const rig = Rig.converged();
  assert.is(rig.condition('PreferredNodeActive'), 'Unknown NoPreference');
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  assert.is(rig.condition('PreferredNodeActive'), 'True PreferredNodeIsMaster');
  rig.report('node1', 'Init', 1);
  rig.settle();
  assert.is(rig.condition('PreferredNodeActive'), 'Unknown NoMaster');
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.is(rig.condition('PreferredNodeActive'), 'False PreferredNodeIsStandby');
  assert.match(messageOf(rig, 'PreferredNodeActive'), /^node2 is master; .* to switch to node1\.$/);
});

test('a pin that is not in force says why', () => {
  const paused = Rig.converged({ paused: true });
  paused.edit({ pinnedNode: 'node2' });
  paused.settle();
  assert.is(paused.condition('Pinned'), 'False PinWithheld');
  assert.match(messageOf(paused, 'Pinned'), /and spec\.paused holds it back\.$/);
  const replaced = Rig.converged();
  replaced.edit({ nodes: [NODE3, NODE2], pinnedNode: 'node3' });
  replaced.settle();
  assert.is(replaced.condition('Pinned'), 'False PinWithheld');
  assert.match(messageOf(replaced, 'Pinned'), /names node3, and that node does not take part yet/);
  const none = Rig.converged();
  assert.is(none.condition('Pinned'), 'False NotPinned');
});

test('an accepted spec of a pair that never ran is not Ready for want of acceptance alone', () => {
  const rig = new Rig({ nodes: [NODE1, NODE2] });
  rig.settle();
  assert.is(rig.condition('Accepted'), 'True Accepted');
  assert.is(rig.condition('Ready'), 'False WaitingForElection');
});

/** The process before has found nothing wrong; the next one has read nothing yet. */
const restartAfterAllWasWell = (rig: Rig): void => {
  const conditions = (rig.pair.status?.conditions ?? []).map((condition) =>
    condition.type === 'PreflightPassed'
      ? ({ ...condition, status: 'True', reason: 'ChecksPassed', message: 'all is well' } as const)
      : condition,
  );
  rig.pair = { ...rig.pair, status: { ...rig.pair.status, conditions } };
  rig.restart();
};

test('a process that has just started leaves a preflight that passed as it was, however late it starts', () => {
  const rig = Rig.converged();
  aliveFor(rig, 600_000, 'node1', 'node2');
  restartAfterAllWasWell(rig);
  rig.alive('node1');
  rig.alive('node2');
  rig.step();
  assert.is(rig.condition('PreflightPassed'), 'True ChecksPassed');
});

test('what a process finds wrong in its first moments is said at once, whatever passed before it', () => {
  const rig = Rig.converged();
  restartAfterAllWasWell(rig);
  const view = rig.cloud.view(rig.nowMs);
  const { [NODE2.networkInterfaceID]: eni } = view.networkInterfaces;
  assert.ok(eni);
  const elsewhere = { ...eni, subnetID: 'subnet-2', availabilityZone: 'ap-northeast-1c' };
  rig.read({
    ...view,
    networkInterfaces: { ...view.networkInterfaces, [NODE2.networkInterfaceID]: elsewhere },
  });
  rig.step();
  assert.match(rig.condition('PreflightPassed'), /^False /);
});

test.run();
