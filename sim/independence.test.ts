/**
 * The agents on their own: the API server, or the credential for it, is away for an hour, and a disk is lost. What takes a
 * long time here takes none in truth; the same in the lab, quicker, is test/e2e/api-away.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NODE1, VIP } from '../operator/testing/fixtures.ts';
import { formatTime, parseTimeMs } from '../runtime/time.ts';
import { wallAt } from './time.ts';
import { World } from './world.ts';

const HOUR_MS = 3_600_000;
const ENI1 = NODE1.networkInterfaceID;

/** All is well in the end, and stays so. */
const endsWell = async (world: World, node: string): Promise<void> => {
  await world.until(`served by ${node}`, () => world.isServedBy(node), 180_000);
  await world.until('the standby is ready', () => world.condition('Redundant').startsWith('True'), 120_000);
  await world.pass(60_000);
  await world.staysQuiet();
};

const AWAY: [what: string, ms: number, away: (world: World) => void, back: (world: World) => void][] = [
  [
    'the API server is away for an hour',
    HOUR_MS,
    (world) => {
      for (const machine of world.machines) world.cutAPI(machine);
    },
    (world) => {
      for (const machine of world.machines) world.healAPI(machine);
    },
  ],
  [
    'every credential has expired for ten minutes',
    HOUR_MS / 6,
    (world) => {
      for (const { path } of world.machines) path.refusal = 'Unauthorized';
    },
    (world) => {
      for (const { path } of world.machines) path.refusal = undefined;
    },
  ],
  [
    'the agents’ permissions are taken away for ten minutes',
    HOUR_MS / 6,
    (world) => {
      for (const { path } of world.machines) path.refusal = 'Forbidden';
    },
    (world) => {
      for (const { path } of world.machines) path.refusal = undefined;
    },
  ],
];

for (const [what, ms, away, back] of AWAY) {
  test(`${what}: agents and machines restart, the election goes on, EC2 does not follow; then all is told as it was`, async () => {
    const world = await World.converged();
    const { node1, node2 } = world;
    const before = world.instance('node2').status;
    away(world);
    await world.pass(ms / 2);
    assert.is(world.master, 'node1');

    node1.crash();
    await world.until('node2 is Master', () => node2.isMaster);
    const claimedAtMs = node2.elections.get('prod/web')?.sinceMs ?? 0;
    await world.pass(60_000);
    node1.boot();
    await world.until('node1 is Backup again', () => node1.state === 'Backup');
    await world.pass(ms / 2);
    assert.is(world.master, 'node2', 'no preemption');
    assert.ok(node2.has(VIP), 'on the interface of the Master');
    assert.is(world.ec2.holderOf(VIP), ENI1, 'EC2 does not follow');
    assert.ok(node1.has(VIP), 'and finds an open door where it delivers (V5)');
    assert.equal(world.moves, []);
    assert.equal(world.instance('node2').status, before);

    back(world);
    await endsWell(world, 'node2');
    const status = world.instance('node2').status;
    assert.ok((status?.term ?? 0) > (before?.term ?? 0));
    assert.ok(Math.abs(parseTimeMs(status?.since) - wallAt(claimedAtMs)) < 1_000, 'since its claim');
    const peerHeard = status?.conditions?.find(({ type }) => type === 'PeerHeard');
    assert.is(peerHeard?.reason, 'PeerNotExpected');
    const since = [claimedAtMs - 1_000, claimedAtMs, claimedAtMs + 1_000].map((ms) => formatTime(wallAt(ms)));
    assert.ok(since.includes(peerHeard?.lastTransitionTime ?? ''), 'what changed then, changed then');
  });
}

test('an agent that has lost its disk and has no API has no spec, and stays Init', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.cutAPI(node2);
  node2.crash();
  node2.loseDisk();
  node2.boot();
  node1.crash();
  await world.pass(120_000);
  assert.is(node2.state, 'Init');
  assert.is(world.ec2.holderOf(VIP), ENI1, 'ignorance moves nothing');
  world.healAPI(node2);
  node1.boot();
  const node = () => (world.isServedBy('node1') ? 'node1' : 'node2');
  await world.until('one serves', () => world.isServedBy(node()), 120_000);
  await endsWell(world, node());
});

test('the agent crashes as Master with its disk lost, and EC2 moves on: what it left leaves with its next start', async () => {
  const world = await World.converged();
  const { node1 } = world;
  node1.kill();
  node1.loseDisk();
  await world.until('node2 serves', () => world.isServedBy('node2'));
  assert.ok(node1.has(VIP));
  node1.start();
  await world.until('off its interface', () => !node1.has(VIP), 10_000);
  await endsWell(world, 'node2');
});

test('the agent restarts as Master with its disk lost while the API server is away: the door stays open (V5)', async () => {
  const world = await World.converged();
  const { node1 } = world;
  world.cutAPI(node1);
  node1.kill();
  node1.loseDisk();
  node1.start();
  await world.pass(60_000);
  assert.ok(node1.has(VIP));
  world.healAPI(node1);
  await endsWell(world, 'node2');
  assert.not(node1.has(VIP));
});

test.run();
