import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vipsOf } from '../crds/types.ts';
import { failureOf } from '../ec2/errors.ts';
import { KubeError } from '../kube/errors.ts';
import { MAIN, NODE1, NODE2, NODE3, pairOf, VIP } from './testing/fixtures.ts';
import { KEY, World } from './testing/world.ts';

const reasons = (world: World): unknown[] => world.logs.map(({ fields }) => fields.reason);

test('a new pair: finalizer, then record, then instances; and no EC2 call before all of them', async () => {
  const world = new World(pairOf({ deletionPolicy: 'Unassign' }));
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
  // Neither instances nor conditions, whose lines come as they are written.
  const steps = world.logs.filter(({ fields }) => fields.condition === undefined && 'term' in fields);
  assert.equal(
    steps.map(({ fields }) => fields.reason),
    ['Elected', 'Moving', 'Moving', 'AddressesMoved', 'Converged', 'Serving'],
  );
  assert.is(world.condition('Ready'), 'True Serving');
  const ofReady = world.logs.filter(({ fields }) => fields.condition === 'Ready');
  assert.equal(
    ofReady.map(({ fields: { status, reason } }) => `${status} ${reason}`),
    ['False Moving', 'True Serving'],
    'a line for each change of a condition',
  );
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

test('a HAPair made anew while a call of its predecessor is unanswered is validated for itself', async () => {
  const world = await World.converged();
  world.callMs = 30_000;
  world.report('node2', 'Master', 2);
  await world.pass(1000);
  const { metadata, ...pair } = world.pair;
  world.problems.set('another', ['$.spec.vrrp: it breaks a rule']);
  world.put(`hapairs/${KEY}`, { ...pair, metadata: { ...metadata, uid: 'another' } });
  world.report('node2', 'Master', 2);
  await world.pass(1000);
  assert.is(world.condition('Accepted'), 'False Invalid');
  world.kill();
});

test('O10: a refused write stops no other: a pin reaches both agents although the status cannot be written', async () => {
  for (const kind of ['Invalid', 'Forbidden'] as const) {
    const world = await World.converged();
    world.refusal = new KubeError('apply status: 422', { kind, status: 422 });
    world.edit({ pinnedNode: 'node2' });
    await world.pass(1000);
    assert.is(world.instance('node1')?.spec.claim, 'Never');
    assert.is(world.instance('node2')?.spec.claim, 'Always');
    assert.ok(reasons(world).includes('StepFailed'), 'it is repeated');
    world.kill();
  }
});

test("N12: however often an agent's report changes, its pair costs one EC2 reading and one status write a second", async () => {
  const world = await World.converged();
  await world.pass(20_000);
  world.reads = 0;
  world.writes.length = 0;
  for (let change = 0; change < 1_000; change++) {
    const isOdd = change % 2 === 1;
    const conditions = [
      {
        ...{ type: 'Healthy', status: isOdd ? ('True' as const) : ('False' as const), reason: 'Forged' },
        ...{ message: `change ${change}`, lastTransitionTime: '2026-11-22T10:00:00Z' },
      },
    ];
    world.report('node2', isOdd ? 'Backup' : 'Fault', 1, { vipsDelivered: isOdd ? [VIP] : [], conditions });
    await world.pass(30);
  }
  const statuses = world.writes.filter((write) => write === 'status').length;
  assert.ok(world.reads >= 20 && world.reads <= 30 + 10 + 2, `${world.reads} readings in 30 s`);
  assert.ok(statuses >= 20 && statuses <= 30 + 10 + 1, `${statuses} status writes in 30 s`);
  await world.pass(3_000);
  assert.is(world.condition('Redundant'), 'True StandbyReady', 'what was the last is told in the end');
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

test('deletion with Retain: the pair goes at once and EC2 is left alone', async () => {
  const world = await World.converged();
  world.delete();
  await world.pass(1000);
  assert.ok(world.isGone);
  assert.equal(world.cloud.effects, []);
  world.kill();
});

/** Time passes, and both agents renew their Leases. */
const live = async (world: World, ms: number): Promise<void> => {
  for (let passed = 0; passed < ms; passed += 10_000) {
    world.renew('node1');
    world.renew('node2');
    await world.pass(10_000);
  }
};

/** Runs a story once undisturbed to count its writes, then once per write with the process killed before it. */
const killAnywhere = (
  title: string,
  story: (world: World) => Promise<void>,
  check: (world: World) => void,
) => {
  test(`kill -9 between any two writes: ${title}`, async () => {
    const calm = await World.converged();
    await story(calm);
    await live(calm, 60_000);
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
        await live(world, 70_000);
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
  const errors = world.logs.filter(({ fields }) => fields.reason === 'StepFailed');
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

const OTHER_VIP = '10.10.10.20';

killAnywhere(
  'a VIP is replaced under Unassign',
  async (world) => {
    world.edit({ deletionPolicy: 'Unassign', addresses: [{ name: 'main', vip: OTHER_VIP }] });
    await world.pass(20_000);
  },
  (world) => {
    assert.is(world.cloud.where(OTHER_VIP), NODE1.networkInterfaceID);
    assert.is(world.cloud.where(VIP), undefined);
    assert.equal(
      world.pair.status?.addresses?.map(({ vip }) => vip),
      [OTHER_VIP],
    );
    assert.is(world.condition('Ready'), 'True Serving');
  },
);

killAnywhere(
  'VRRP parameters change',
  async (world) => {
    const vrrp = { version: 3 as const, virtualRouterID: 10, advertisementIntervalMilliseconds: 500 };
    world.acknowledges = true;
    world.edit({ vrrp });
    await world.pass(1000);
  },
  (world) => {
    for (const node of ['node1', 'node2']) {
      const { send, accept } = world.instance(node)?.spec.vrrp ?? {};
      assert.is(send?.advertisementIntervalMilliseconds, 500);
      assert.equal(accept, [send]);
    }
    assert.is(world.condition('Accepted'), 'True Accepted');
  },
);

killAnywhere(
  "the standby's node is replaced by another",
  async (world) => {
    world.edit({ nodes: [NODE1, NODE3] });
    await world.pass(1000);
  },
  (world) => {
    assert.is(world.instance('node2'), undefined);
    assert.is(world.instance('node3')?.spec.peerAddress, NODE1.address);
    assert.is(world.instance('node1')?.spec.peerAddress, NODE3.address);
    assert.equal(world.cloud.effects, []);
  },
);

killAnywhere(
  'deletion with Unassign',
  async (world) => {
    world.acknowledges = true;
    world.edit({ deletionPolicy: 'Unassign' });
    world.hold();
    world.delete();
    await world.pass(10_000);
  },
  (world) => {
    assert.ok(world.isGone);
    assert.is(world.cloud.where(VIP), undefined);
  },
);

test('S4: a process that does not lead begins no call', async () => {
  const world = await World.converged();
  world.leads = false;
  world.report('node2', 'Master', 2);
  await world.pass(60_000);
  assert.equal(world.cloud.effects, []);
  world.kill();
});

test('a call waits for its turn in the budget, says so when it takes long, and goes by what is true then', async () => {
  const world = await World.converged();
  world.admits = false;
  world.report('node2', 'Master', 2);
  await world.pass(1_000);
  assert.is(world.condition('AddressesConverged'), 'False Moving');
  await world.pass(2_000);
  assert.is(world.condition('AddressesConverged'), 'False WaitingForBudget');
  world.report('node2', 'Backup', 2);
  world.report('node1', 'Master', 3);
  world.admits = true;
  await world.pass(3_000);
  assert.equal(world.cloud.effects, [], 'the addresses are where they belong again');
  assert.is(world.condition('Ready'), 'True Serving');
  world.kill();
});

test("a field that somebody else owns is shown, not fought for, until it is the operator's again", async () => {
  const world = await World.converged();
  world.rivals = 'kubectl-edit';
  world.edit({ addresses: [MAIN, { name: 'more', vip: OTHER_VIP }] });
  await world.pass(5_000);
  assert.is(world.condition('AgentsReady'), 'False FieldConflict');
  const told = world.events.filter(({ reason }) => reason === 'FieldConflict');
  assert.is(told.length, 1);
  assert.match(told[0]?.message ?? '', /\.spec\.priority \(kubectl-edit\)/);
  world.rivals = undefined;
  await world.pass(60_000);
  assert.is(world.condition('AgentsReady').includes('FieldConflict'), false);
  assert.equal(vipsOf(world.instance('node1')?.spec ?? {}), [VIP, OTHER_VIP]);
  world.kill();
});

test('a field conflict is over once the stored field is what the operator wants, though nothing had to be written', async () => {
  const world = await World.converged();
  world.rivals = 'kubectl-edit';
  world.edit({ addresses: [MAIN, { name: 'more', vip: OTHER_VIP }] });
  await world.pass(5_000);
  assert.is(world.condition('AgentsReady'), 'False FieldConflict');
  world.edit({ addresses: [MAIN] });
  await world.pass(60_000);
  assert.is(world.condition('AgentsReady').includes('FieldConflict'), false);
  world.kill();
});

test('EC2 away for ten minutes: nothing is concluded, the pair says so, and the failover is made when it is back', async () => {
  const world = await World.converged();
  const result = failureOf({ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' });
  world.cloudIsAway = true;
  for (let attempt = 0; attempt < 1_000; attempt++) world.answers.push({ result, effect: false });
  await live(world, 240_000);
  assert.is(world.condition('AddressesConverged'), 'Unknown EC2ReadFailed');
  world.report('node1', 'Init', 1);
  world.report('node2', 'Master', 2);
  await live(world, 360_000);
  assert.is(world.condition('AddressesConverged'), 'False EC2Unreachable');
  assert.is(world.condition('Ready'), 'False NotConverged');
  const tries = world.writes.filter((write) => write.startsWith('Assign')).length;
  assert.ok(tries > 30 && tries < 90, `${tries} tries, ever slower but never given up`);
  const answers = world.logs.filter(({ fields }) => fields.callMs !== undefined);
  assert.equal([...new Set(answers.map(({ fields }) => fields.reason))], ['EC2Unreachable']);
  assert.ok(answers.length > 30 && answers.every(({ level }) => level === 'warn'), 'a refusal is a warning');
  world.answers.length = 0;
  world.cloudIsAway = false;
  await live(world, 60_000);
  assert.is(world.cloud.where(VIP), NODE2.networkInterfaceID);
  assert.is(world.condition('Ready'), 'True Serving');
  assert.is(world.events.filter(({ reason }) => reason === 'EC2Unreachable').length, 1, 'said once');
  world.kill();
});

test('a new leader calls on nothing that it read as a standby: another one may have called since', async () => {
  const world = await World.converged();
  // The old leader's last call, which no reading of this process has shown yet.
  world.cloud.put(VIP, NODE2.networkInterfaceID);
  world.ledSinceMs = world.clock.now() + 1;
  world.report('node2', 'Master', 2);
  await world.pass(3000);
  assert.equal(
    world.writes.filter((write) => write.startsWith('A')),
    [],
  );
  assert.is(world.condition('Ready'), 'True Serving');
  assert.not(reasons(world).includes('Moving'));
  assert.is(world.pair.status?.history?.[0]?.to, 'node2');
  world.report('node1', 'Master', 3);
  await world.pass(3000);
  assert.is(world.writes.filter((write) => write.startsWith('A')).length, 1, 'from then on it calls at once');
  world.kill();
});

test.run();
