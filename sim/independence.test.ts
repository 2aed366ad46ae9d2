/**
 * The agents on their own: the API server, or the credential for it, is away for an hour, and a disk is lost. What takes a
 * long time here takes none in truth; the same in the lab, quicker, is test/e2e/api-away.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatTime, parseTimeMs } from '../kube/time.ts';
import { NODE1, VIP } from '../operator/testing/fixtures.ts';
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

test.run();
