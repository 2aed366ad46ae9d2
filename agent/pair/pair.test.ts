import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressesOf, createBackup, createBench, createMaster, VIP } from '../testing/pair-bench.ts';

test('a Backup reports what it runs, once', async () => {
  const { report, world, look, told } = await createBackup({ probe: 3 });
  assert.is(report?.state, 'Backup');
  assert.is(report?.observedGeneration, 1);
  assert.is(report?.probe, 3);
  assert.is(report?.instanceID, 'i-1');
  assert.is(report?.interface, 'eth0');
  assert.equal(report?.vipsDelivered, []);
  assert.equal(told('set').at(-1)?.config.priority, 200);
  const count = world.reports.length;
  await look();
  assert.is(world.reports.length, count, 'S6: the same again is not written');
});

test('order of a claim: VIP up at once, then settled, then both reports read, term on disk, report', async () => {
  const bench = await createBackup();
  await bench.peer('Backup', 4);
  const { world } = bench;
  const before = world.reports.length;

  await bench.enter('Master', 'MasterDownTimerExpired');
  assert.ok(world.addresses.includes(VIP), 'the VIP goes up while the worker still listens');
  assert.is(world.reports.length, before, 'nothing is reported before the claim has settled');

  await bench.pass(10);
  await bench.settle();
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 5);
  assert.equal(bench.report?.vipsOnInterface, [VIP]);
  assert.is(
    bench.report?.since,
    '2026-11-22T10:00:00.000000Z',
    'since the first advert, not since the report',
  );
  assert.is(world.disk?.highestTerm, 5);
  assert.is(world.reports.length, before + 1, 'one write for the whole claim');
  const order = bench.story.filter((line) =>
    /became Master|VIPAdded|ClaimSettled|TermTaken|ReportSent/.test(line),
  );
  assert.equal(order.slice(-5), [
    'became Master (MasterDownTimerExpired)',
    'VIP added (VIPAdded)',
    'settled (ClaimSettled)',
    'report sent (ReportSent)',
    'term taken (TermTaken)',
  ]);
});

test('a claim whose VIP cannot be put up is not reported; the trouble is', async () => {
  const bench = await createBackup();
  bench.world.ipUp = false;
  await bench.claim();
  assert.is(bench.report?.state, 'Backup');
  assert.is(bench.report?.conditions?.[0]?.reason, 'InstanceFaulty');
  bench.world.ipUp = true;
  await bench.pass(10_000);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.conditions?.[0]?.status, 'True');
});

test('T18: a claim that ends 3 ms later is not reported and takes no term', async () => {
  const bench = await createBackup();
  const { world } = bench;
  const before = world.reports.length;
  await bench.enter('Master', 'MasterDownTimerExpired');
  await bench.pass(3);
  await bench.enter('Backup', 'HigherPriorityAdvert');
  await bench.seconds(5);
  assert.is(world.reports.length, before);
  assert.not(world.addresses.includes(VIP), 'IMDS does not list the VIP here, so it goes again');
});

test('T18: a claim that ends while its term is being taken is not reported as Master', async () => {
  const bench = await createBackup();
  const release = bench.holdAPI();
  await bench.claim();
  await bench.enter('Backup', 'HigherPriorityAdvert');
  release();
  await bench.seconds(1);
  assert.not(bench.world.reports.some(({ state }) => state === 'Master'));
});

test('T2: a Master cut off from the API takes its term once it answers, above the term it could not see', async () => {
  const bench = await createBackup();
  bench.world.apiUp = false;
  await bench.peer('Master', 2, false);
  await bench.claim();
  assert.is(bench.report?.state, 'Backup');
  bench.world.apiUp = true;
  await bench.pass(10_000);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 3);
});

test('T2: mere watch lag: the term is read with a GET, not from the watch', async () => {
  const bench = await createBackup();
  await bench.peer('Backup', 1);
  await bench.peer('Master', 8, false);
  await bench.claim();
  assert.is(bench.report?.term, 9);
});

test('T2: with the disk lost, the term exceeds what the own report says', async () => {
  const bench = await createMaster();
  assert.is(bench.report?.term, 1);
  await bench.crash(null);
  bench.pair.desired(structuredClone(bench.own()));
  await bench.look();
  await bench.enter('Backup', 'AgentStarted');
  await bench.claim();
  assert.is(bench.report?.term, 2);
});

test('a report without an answer is no report: the term is taken afresh', async () => {
  const bench = await createBackup();
  const release = bench.holdAPI();
  await bench.claim();
  bench.world.apiUp = false;
  release();
  await bench.quiet();
  bench.world.apiUp = true;
  await bench.peer('Backup', 6, false);
  await bench.pass(10_000);
  assert.is(bench.report?.term, 7);
});

test('T1: a dead newer Master hides this one for 40 s, no longer', async () => {
  const bench = await createMaster();
  await bench.peer('Master', 2);
  await bench.seconds(39);
  assert.is(bench.report?.term, 1);
  await bench.seconds(12);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 3);
});

test('T1: the 40 s begin anew when the API was away', async () => {
  const bench = await createMaster();
  await bench.peer('Master', 2);
  await bench.seconds(30);
  bench.world.apiUp = false;
  await bench.seconds(10);
  bench.world.apiUp = true;
  await bench.seconds(30);
  assert.is(bench.report?.term, 1);
  await bench.seconds(25);
  assert.is(bench.report?.term, 3);
});

test('T3: a living newer Master is never out-claimed', async () => {
  const bench = await createMaster();
  await bench.peer('Master', 2);
  for (let renewal = 0; renewal < 12; renewal += 1) {
    bench.world.peerLease += 1;
    await bench.seconds(10);
  }
  assert.is(bench.report?.term, 1);
});

test('T21: below the floor, with the newer claimant Backup again, a new term is taken at once', async () => {
  const bench = await createMaster();
  await bench.peer('Master', 2);
  assert.is(bench.report?.term, 1);
  await bench.apply({ termFloor: 2 });
  assert.is(bench.report?.term, 1, 'the peer still reports Master: it may live');
  await bench.peer('Backup', 2);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 3);
});

test('a Backup reports the highest term it has seen', async () => {
  const bench = await createBackup();
  await bench.peer('Master', 9);
  assert.is(bench.report?.state, 'Backup');
  assert.is(bench.report?.term, 9);
  assert.is(bench.world.disk?.highestTerm, 9);
});

test('T5, S9: a Master in exactly the term of yieldTerm resigns, once', async () => {
  const bench = await createMaster();
  await bench.apply({ yieldTerm: 1 });
  await bench.seconds(3);
  assert.equal(bench.told('resign'), [{ type: 'resign', pair: 'prod/web', reason: 'YieldOrdered' }]);
});

test('a Master whose disk is full yields all the same', async () => {
  const bench = await createMaster();
  bench.world.diskUp = false;
  await bench.apply({ yieldTerm: 1 });
  await bench.seconds(3);
  assert.is(bench.told('resign').length, 1);
  assert.is(bench.report?.observedGeneration, 1);
});

test('T4: a node that yielded and became Master again takes a new term, which the old order does not name', async () => {
  const bench = await createMaster();
  await bench.apply({ yieldTerm: 1 });
  await bench.enter('Backup', 'YieldOrdered');
  await bench.claim();
  await bench.seconds(3);
  assert.is(bench.report?.term, 2);
  assert.is(bench.told('resign').length, 1);
});

test('T25: an order that was taken back is not obeyed when a resumed watch replays it', async () => {
  const bench = await createMaster();
  bench.world.apiUp = false;
  await bench.apply({ yieldTerm: 1 });
  const ordered = structuredClone(bench.own());
  await bench.apply({ yieldTerm: 0 });
  bench.world.apiUp = true;
  bench.pair.desired(ordered);
  await bench.quiet();
  bench.pair.desired(structuredClone(bench.own()));
  await bench.seconds(2);
  assert.equal(bench.told('resign'), []);
});

test('a yieldTerm of another term is nobody’s order', async () => {
  const bench = await createMaster();
  await bench.apply({ yieldTerm: 2 });
  await bench.seconds(3);
  assert.is(bench.told('resign').length, 0);
});

test('T9: started from disk, before the API has answered, the old high priority is not advertised', async () => {
  const bench = await createMaster();
  bench.world.apiUp = false;
  bench.world.lastContactMs = null;
  await bench.crash();
  await bench.look();
  assert.is(bench.told('set').at(-1)?.config.priority, 100);
  assert.not(bench.told('set').some(({ config }) => config.priority === 200));
});

test('T10: 40 s without the API lower the priority until the spec has been read again', async () => {
  const bench = await createMaster();
  bench.world.apiUp = false;
  await bench.seconds(39);
  assert.is(bench.told('set').at(-1)?.config.priority, 200);
  await bench.seconds(2);
  assert.is(bench.told('set').at(-1)?.config.priority, 100);
  await bench.apply({ priority: 150 });
  bench.world.apiUp = true;
  await bench.seconds(10);
  assert.is(bench.told('set').at(-1)?.config.priority, 150);
  assert.not(
    bench
      .told('set')
      .slice(-2)
      .some(({ config }) => config.priority === 200),
  );
});

test('observedGeneration is reported only after the spec is on disk', async () => {
  const bench = await createBackup();
  bench.world.diskUp = false;
  await bench.apply({ priority: 150 });
  assert.is(bench.report?.observedGeneration, 1);
  assert.is(bench.report?.conditions?.[0]?.status, 'False');
  assert.is(bench.told('set').at(-1)?.config.priority, 200);
  bench.world.diskUp = true;
  await bench.pass(10_000);
  assert.is(bench.report?.observedGeneration, 2);
  assert.is(bench.report?.conditions?.[0]?.status, 'True');
  assert.is(bench.world.disk?.spec?.priority, 150);
});

const CHECK = {
  name: 'app',
  tcpSocket: { port: 80 },
  periodSeconds: 2,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
};

test("the checks of the spec in force run at the node's own address, and an edit of anything else leaves them alone", async () => {
  const bench = await createBackup({ healthChecks: [CHECK] });
  const running = { checks: ['app'], sourceAddress: '10.10.10.11' };
  assert.equal(bench.world.followed, [running]);
  assert.is(bench.condition('Healthy'), 'Unknown Unobserved');
  assert.is(bench.condition('Ready'), 'True InstanceConfigured');
  await bench.checks('pass');
  await bench.apply({ priority: 150, healthChecks: [{ ...CHECK }] });
  await bench.seconds(5);
  assert.equal(bench.world.followed, [running]);
  assert.is(bench.condition('Healthy'), 'True ChecksPassed');
  assert.equal(bench.report?.checks, [{ name: 'app', healthy: true }]);
  await bench.apply({ healthChecks: [] });
  assert.equal(bench.world.followed.at(-1)?.checks, []);
  assert.is(bench.condition('Healthy'), 'True NoChecks');
});

test('a check whose host is a VIP of the pair is judged only while this node has the VIP', async () => {
  const vip = '10.10.10.10';
  const bench = await createBackup({
    healthChecks: [CHECK, { ...CHECK, name: 'door', tcpSocket: { host: vip, port: 80 } }],
  });
  await bench.checks('pass');
  assert.equal(bench.world.followed.at(-1)?.checks, ['app']);
  assert.is(
    bench.condition('Healthy'),
    'True ChecksPassed',
    'a crash of the Master is followed after master-down',
  );
  bench.world.addresses = [...bench.world.addresses, vip];
  await bench.look();
  assert.equal(bench.world.followed.at(-1)?.checks, ['app', 'door']);
  bench.world.addresses = bench.world.addresses.filter((address) => address !== vip);
  await bench.look();
  assert.equal(bench.world.followed.at(-1)?.checks, ['app']);
});

test('with the last failing check its Fault goes', async () => {
  const bench = await createBackup({ healthChecks: [CHECK] });
  await bench.checks('fail');
  assert.is(bench.told('fault').at(-1)?.fault, 'ChecksFailed');
  assert.equal(bench.report?.checks, [{ name: 'app', healthy: false, message: 'app answers 503' }]);
  await bench.apply({ healthChecks: [] });
  assert.is(bench.told('fault').at(-1)?.fault, null);
});

test('after a restart from disk the checks run before the API server has answered', async () => {
  const bench = await createBackup({ healthChecks: [CHECK] });
  bench.world.apiUp = false;
  bench.world.followed.length = 0;
  await bench.crash();
  await bench.look();
  assert.equal(bench.world.followed, [{ checks: ['app'], sourceAddress: '10.10.10.11' }]);
});

for (const [end, act] of [
  ['stopped', async ({ pair }) => pair.stopped()],
  ['forgotten', async ({ pair }) => void (await pair.forget())],
] as [string, (bench: Awaited<ReturnType<typeof createBackup>>) => Promise<void>][]) {
  test(`a pair that is ${end} has no check run any more`, async () => {
    const bench = await createBackup({ healthChecks: [CHECK] });
    await act(bench);
    assert.equal(bench.world.followed.at(-1)?.checks, []);
  });
}

test('a VIP outside the subnet is refused', async () => {
  const bench = createBench();
  await bench.look();
  await bench.apply({ addresses: addressesOf('10.10.11.10') });
  assert.is(bench.report?.state, 'Init');
  assert.is(bench.report?.conditions?.[0]?.reason, 'AddressRefused');
  assert.is(bench.told('set').length, 0);
});

test('loaded before the subnet was known, a VIP that is refused keeps no other from the interface, and is said', async () => {
  const bench = createBench();
  await bench.apply({ addresses: addressesOf(VIP, '10.10.10.1') });
  await bench.look();
  await bench.enter('Backup', 'AgentStarted');
  assert.is(bench.report?.conditions?.[0]?.reason, 'AddressRefused');
  await bench.claim();
  assert.is(bench.report?.state, 'Master');
  assert.equal(bench.report?.vipsOnInterface, [VIP]);
});

test('a node that may serve none of the VIPs does not report Master', async () => {
  const bench = createBench();
  await bench.apply({ addresses: addressesOf('10.10.10.1') });
  await bench.look();
  await bench.claim();
  assert.is(bench.report?.state, 'Init');
});

test('an ENI that IMDS does not show on this instance makes no claim', async () => {
  const bench = createBench();
  await bench.apply();
  await bench.look('eni-9');
  assert.is(bench.told('set').length, 0);
  assert.is(bench.report?.conditions?.[0]?.reason, 'NetworkInterfaceMismatch');
  await bench.look('eni-1');
  assert.is(bench.told('set').length, 1);
});

test('an unreadable IMDS stops nothing that was verified once', async () => {
  const bench = await createBackup();
  bench.world.delivered = null;
  await bench.crash();
  await bench.look();
  assert.is(bench.told('set').at(-1)?.config.priority, 200);
});

test('its own address gone, the node is in Fault until it is back', async () => {
  const bench = await createBackup();
  bench.world.addresses = [];
  await bench.look();
  assert.equal(bench.told('fault').at(-1), {
    type: 'fault',
    pair: 'prod/web',
    fault: 'SourceAddressMissing',
  });
  await bench.enter('Fault', 'SourceAddressMissing');
  assert.is(bench.report?.state, 'Fault');
  assert.is(bench.report?.conditions?.[0]?.reason, 'SourceAddressMissing');
  bench.world.addresses = ['10.10.10.11'];
  await bench.look();
  assert.is(bench.told('fault').at(-1)?.fault, null);
});

test('its link down, the node is in Fault', async () => {
  const bench = await createBackup();
  bench.world.linkUp = false;
  await bench.look();
  assert.is(bench.told('fault').at(-1)?.fault, 'SourceAddressMissing');
});

test('T7: a node that EC2 still delivers to keeps and restores the VIP as Backup', async () => {
  const bench = await createMaster();
  await bench.enter('Backup', 'HigherPriorityAdvert');
  await bench.seconds(30);
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.addresses = ['10.10.10.11'];
  await bench.look();
  assert.ok(bench.world.addresses.includes(VIP), 'put back');
  bench.world.delivered = null;
  await bench.seconds(3);
  assert.ok(bench.world.addresses.includes(VIP), 'an unknown IMDS changes nothing');
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  assert.not(bench.world.addresses.includes(VIP), 'EC2 has moved it');
  assert.equal(bench.world.disk?.added, []);
  assert.equal(bench.report?.vipsOnInterface, []);
});

test('an address that was there before us stays', async () => {
  const bench = createBench();
  bench.world.addresses.push(VIP);
  await bench.apply();
  await bench.look();
  await bench.enter('Backup', 'AgentStarted');
  await bench.claim();
  await bench.enter('Backup', 'HigherPriorityAdvert');
  await bench.seconds(3);
  assert.ok(bench.world.addresses.includes(VIP));
  assert.is(bench.report?.term, 1, 'it counts as put up all the same');
});

test('after a crash a leftover VIP goes if we had added it and EC2 delivers it elsewhere, else it stays', async () => {
  const left = await createMaster();
  left.world.delivered = ['10.10.10.11'];
  await left.crash();
  await left.look();
  assert.not(left.world.addresses.includes(VIP));

  const kept = await createMaster();
  await kept.crash();
  await kept.look();
  assert.ok(kept.world.addresses.includes(VIP));
});

test('crash after each step of a claim: the next claim has a higher term, no address is lost track of', async () => {
  const steps = ['VIP written down', 'VIP added', 'settled', 'term on disk', 'reported'] as const;
  for (const step of steps) {
    const bench = await createBackup();
    if (step === 'VIP written down') bench.world.ipUp = false;
    await bench.enter('Master', 'MasterDownTimerExpired');
    if (step === 'settled') bench.world.apiUp = false;
    const release = step === 'term on disk' ? bench.holdAPI() : () => {};
    if (step !== 'VIP written down' && step !== 'VIP added') await bench.settle();
    await bench.crash();
    release();
    bench.world.apiUp = true;
    bench.world.ipUp = true;
    await bench.apply();
    await bench.look();
    await bench.enter('Backup', 'AgentStarted');
    await bench.seconds(2);
    assert.not(bench.world.addresses.includes(VIP), `${step}: EC2 never delivered it here`);
    const before = Math.max(0, ...bench.world.reports.map(({ term }) => term));
    await bench.claim();
    assert.is(bench.report?.state, 'Master', step);
    assert.ok((bench.report?.term ?? 0) > before, step);
  }
});

test('stopped: the report says it is no longer Master, the VIP stays until EC2 has moved it', async () => {
  const bench = await createMaster();
  bench.pair.stopped();
  await bench.quiet();
  assert.is(bench.report?.state, 'Init');
  assert.ok(bench.pair.isReported);
  assert.not(bench.pair.isDrained);
  await bench.seconds(5);
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  assert.ok(bench.pair.isDrained);
  assert.not(bench.world.addresses.includes(VIP));
});

test('stopped before EC2 has followed the claim: the VIP waits for it, and leaves when it has come and gone', async () => {
  const bench = await createMaster();
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  // A new claim, which EC2 has not followed yet.
  await bench.enter('Backup', 'HigherPriorityAdvert');
  await bench.claim();
  bench.pair.stopped();
  await bench.quiet();
  assert.not(bench.pair.isDrained);
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.delivered = ['10.10.10.11', VIP];
  await bench.look();
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  assert.ok(bench.pair.isDrained);
});

test('stopped, and EC2 does not move it: at the end of the time it goes all the same', async () => {
  const bench = await createMaster();
  bench.pair.stopped();
  await bench.seconds(20);
  bench.pair.abandonAddresses();
  await bench.quiet();
  assert.ok(bench.pair.isDrained);
});

test('T16: forgotten with onDelete Keep: the interface stays as it is, and what we added stays known', async () => {
  const bench = await createMaster();
  const left = await bench.pair.forget();
  assert.ok(bench.world.addresses.includes(VIP));
  assert.equal(bench.told('remove').length, 1);
  assert.equal(left?.added, [VIP]);
  assert.is(bench.world.disk?.spec, null);
});

test('T16: forgotten with onDelete Remove: our addresses go', async () => {
  const bench = await createMaster({ onDelete: 'Remove' });
  const left = await bench.pair.forget();
  assert.not(bench.world.addresses.includes(VIP));
  assert.is(left, null);
  assert.is(bench.world.disk, null);
});

test.run();
