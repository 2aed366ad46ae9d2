import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findings, type Health } from './condition.ts';
import type { Finding } from './problem.ts';
import { buildStatus, type Facts, mayTakeTerm, mergeConditions, sameStatus } from './report.ts';
import type { CheckFinding } from './verdict.ts';

const AT_MS = Date.parse('2026-11-22T10:00:00.123Z');
const ready: Finding = {
  type: 'Ready',
  status: 'True',
  reason: 'InstanceConfigured',
  message: 'The agent runs the spec.',
};
const facts: Facts = {
  observedGeneration: 5,
  probe: 0,
  state: 'Backup',
  term: 7,
  sinceMs: AT_MS,
  vipsOnInterface: [],
  vipsDelivered: [],
  checks: [],
  agentVersion: '0.1.0',
  findings: [ready],
};

test('T18: a claim takes a term only when it is settled and its VIPs are on the interface', () => {
  assert.ok(mayTakeTerm({ settled: true, vipUp: true, term: null }));
  assert.not(mayTakeTerm({ settled: false, vipUp: true, term: null }));
  assert.not(mayTakeTerm({ settled: true, vipUp: false, term: null }));
});

test('a condition names the generation that it is about, and none before a spec is loaded', () => {
  const [first] = mergeConditions(undefined, [ready], AT_MS, undefined);
  assert.not('observedGeneration' in (first ?? {}));
  const [loaded] = mergeConditions(undefined, [ready], AT_MS, 5);
  assert.is(loaded?.observedGeneration, 5);
});

test('S7: lastTransitionTime moves only with status', () => {
  const first = mergeConditions(undefined, [ready], AT_MS, 5);
  assert.is(first[0]?.lastTransitionTime, '2026-11-22T10:00:00Z');
  const reworded = mergeConditions(first, [{ ...ready, message: 'otherwise' }], AT_MS + 60_000, 6);
  assert.is(reworded[0]?.lastTransitionTime, '2026-11-22T10:00:00Z');
  const failed = mergeConditions(
    reworded,
    [{ ...ready, status: 'False', reason: 'InstanceFaulty' }],
    AT_MS + 60_000,
    6,
  );
  assert.is(failed[0]?.lastTransitionTime, '2026-11-22T10:01:00Z');
});

test('S6: equal facts give an equal report at any time', () => {
  const first = buildStatus(facts, undefined, AT_MS);
  assert.ok(sameStatus(first, buildStatus(facts, first, AT_MS + 3_600_000)));
  assert.not(sameStatus(first, buildStatus({ ...facts, term: 8 }, first, AT_MS)));
  assert.not(sameStatus(first, undefined));
});

test('the order of fields makes no report another, at any depth; the order of a list does', () => {
  const checks = [{ name: 'app', healthy: false, message: 'HTTP 503' }];
  const first = { ...buildStatus(facts, undefined, AT_MS), checks };
  const turned = Object.fromEntries(
    Object.entries(first)
      .toReversed()
      .map(([key, value]) => [
        key,
        key === 'checks' ? [{ message: 'HTTP 503', healthy: false, name: 'app' }] : value,
      ]),
  ) as typeof first;
  assert.ok(sameStatus(first, turned));
  assert.ok(sameStatus(turned, first));
  const rotated = Object.fromEntries([
    ...Object.entries(first).slice(3),
    ...Object.entries(first).slice(0, 3),
  ]);
  assert.ok(sameStatus(first, rotated as typeof first));
  const vips = ['10.10.10.10', '10.10.10.20'];
  const [one, other] = [vips, vips.toReversed()].map((vipsOnInterface) => ({ ...first, vipsOnInterface }));
  assert.not(sameStatus(one, other));
});

test('an unknown IMDS is left out, never reported as empty', () => {
  assert.not('vipsDelivered' in buildStatus({ ...facts, vipsDelivered: null }, undefined, AT_MS));
  assert.equal(buildStatus(facts, undefined, AT_MS).vipsDelivered, []);
});

const healthy: Health = {
  state: 'Backup',
  loaded: true,
  verified: true,
  loadProblem: null,
  fault: null,
  trouble: null,
  peerHeard: true,
  peerFault: null,
  secretNeeded: false,
  checks: [],
};
const reasons = (change: Partial<Health>) =>
  Object.fromEntries(
    findings({ ...healthy, ...change }).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );

test('all four conditions are always there', () => {
  assert.equal(reasons({}), {
    Ready: 'True InstanceConfigured',
    PeerHeard: 'True PeerHeard',
    Healthy: 'True NoChecks',
    SecretResolved: 'True SecretNotNeeded',
  });
});

test('a Master never hears its silent Backup', () => {
  assert.is(reasons({ state: 'Master', peerHeard: false }).PeerHeard, 'Unknown PeerNotExpected');
  assert.is(reasons({ peerHeard: false }).PeerHeard, 'False PeerSilent');
  assert.is(reasons({ peerHeard: null }).PeerHeard, 'Unknown Unobserved');
});

test('what the peer sends wrongly is told by a Backup that hears nothing else, and by a Master', () => {
  const peerFault = { reason: 'PeerMisconfigured', message: 'The peer sends another password.' } as const;
  assert.is(reasons({ peerFault, peerHeard: false }).PeerHeard, 'False PeerMisconfigured');
  assert.is(reasons({ peerFault, peerHeard: null }).PeerHeard, 'False PeerMisconfigured');
  assert.is(reasons({ peerFault, state: 'Master' }).PeerHeard, 'False PeerMisconfigured');
});

test('a peer that is heard is heard, whatever else comes from its address; that is told as well', () => {
  const peerFault = { reason: 'PeerMisconfigured', message: 'The peer sends another password.' } as const;
  const [, found] = findings({ ...healthy, peerFault });
  assert.is(`${found?.status} ${found?.reason}`, 'True PeerHeard');
  assert.match(found?.message ?? '', 'Others are rejected. The peer sends another password.');
});

test('before a spec is loaded nothing is claimed of it', () => {
  assert.equal(reasons({ loaded: false, peerHeard: null }), {
    Ready: 'Unknown Unobserved',
    PeerHeard: 'Unknown Unobserved',
    Healthy: 'Unknown Unobserved',
    SecretResolved: 'Unknown Unobserved',
  });
});

test('a spec that cannot be loaded makes Ready False, and says so before anything else', () => {
  const loadProblem = { reason: 'NotSupportedYet', message: 'not built' } as const;
  const fault = { reason: 'SourceAddressMissing', message: 'gone' } as const;
  assert.is(reasons({ loadProblem, fault }).Ready, 'False NotSupportedYet');
  assert.is(reasons({ fault }).Ready, 'False SourceAddressMissing');
  assert.is(reasons({ loaded: false }).Ready, 'Unknown Unobserved');
  assert.is(reasons({ verified: false }).Ready, 'Unknown Unobserved');
});

const passed: CheckFinding = { name: 'app', healthy: true, message: '', sinceMs: AT_MS };
const failed: CheckFinding = {
  name: 'db',
  healthy: false,
  message: '/lag exits with 1: 90 s',
  sinceMs: AT_MS,
};
const open: CheckFinding = { name: 'log', healthy: null, message: '', sinceMs: AT_MS };

test('Healthy: one check that fails is enough, and one without a verdict is neither', () => {
  assert.is(reasons({ checks: [passed] }).Healthy, 'True ChecksPassed');
  assert.is(reasons({ checks: [passed, open] }).Healthy, 'Unknown Unobserved');
  assert.is(reasons({ checks: [passed, failed, open] }).Healthy, 'False ChecksFailed');
});

test('Healthy names each check that fails, since when and why', () => {
  const checks = [passed, failed, { ...failed, name: 'web', message: 'no connection' }];
  const found = findings({ ...healthy, checks }).find(({ type }) => type === 'Healthy');
  assert.is(
    found?.message,
    'The check db fails since 2026-11-22T10:00:00Z: /lag exits with 1: 90 s. The check web fails since 2026-11-22T10:00:00Z: no connection.',
  );
});

test('status.checks has each check with a verdict, and a message for one that fails', () => {
  const { checks } = buildStatus({ ...facts, checks: [passed, failed, open] }, undefined, AT_MS);
  assert.equal(checks, [
    { name: 'app', healthy: true },
    { name: 'db', healthy: false, message: '/lag exits with 1: 90 s' },
  ]);
  assert.not('checks' in buildStatus(facts, undefined, AT_MS));
});

test('a password that cannot be read is two conditions', () => {
  const loadProblem = { reason: 'SecretUnreadable', message: 'no such key' } as const;
  assert.is(reasons({ loadProblem }).SecretResolved, 'False SecretUnreadable');
  assert.is(reasons({ loadProblem }).Ready, 'False SecretUnreadable');
  assert.is(reasons({ secretNeeded: true }).SecretResolved, 'True SecretRead');
});

test.run();
