import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyRecord, type IMDSReading, type NodeAddress, type PairRecord } from '../ports.ts';
import { ARRIVAL_MS } from '../rules/vip.ts';
import { KEY, VIP } from '../testing/pair-bench.ts';
import { LeftBehind } from './left-behind.ts';

const OTHER = '10.10.10.20';
const record: PairRecord = {
  ...emptyRecord('prod', 'web'),
  added: [VIP],
  interface: 'eth0',
  verifiedNetworkInterfaceID: 'eni-1',
};

/** A node with what a pair has left; `refuses`: the kernel does not take it off; `taken`: what pairs that run have. */
const createWorld = (left: PairRecord = record, isRead = true) => {
  const world = {
    nowMs: 0,
    refuses: false,
    removed: [] as string[],
    disk: left as PairRecord | null,
    taken: [] as string[],
  };
  const told: string[] = [];
  const note = (_: object, message: string) => told.push(message);
  const leftBehind = new LeftBehind({
    clock: { now: () => world.nowMs },
    log: { info: note, warn: note, error: note },
    addresses: {
      async remove(name, address) {
        if (world.refuses) throw new Error('operation not permitted');
        world.removed.push(`${address} ${name}`);
      },
    },
    isTaken: (address) => world.taken.includes(address),
    openDisk: () => ({
      async save(saved) {
        world.disk = saved;
      },
      async remove() {
        world.disk = null;
      },
    }),
  });
  leftBehind.keep(left);
  /** Reads the addresses on eth0. */
  const read = (...addresses: NodeAddress[]) =>
    leftBehind.interfaces({ interfaces: [{ name: 'eth0', up: true, addresses }], reserved: [] });
  if (isRead) read(...left.added.map((address) => ({ address, prefixLength: 32, scope: 'host' })));
  const quiet = async () => {
    for (let round = 0; round < 10; round += 1) await Promise.resolve();
  };
  /** A reading a second, of what EC2 delivers here; null: IMDS, `detached`: or the ENI, is not there. */
  const seconds = async (count: number, delivered: string[] | null | 'detached') => {
    for (let second = 0; second < count; second += 1) {
      world.nowMs += 1_000;
      const eni = { networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24' };
      const reading: IMDSReading = {
        instanceID: 'i-1',
        networkInterfaces: Array.isArray(delivered) ? [{ ...eni, addresses: delivered }] : [],
      };
      leftBehind.imds(delivered === null ? null : reading);
      await quiet();
    }
  };
  return { world, told, leftBehind, read, seconds };
};
const LONG = 2 * (ARRIVAL_MS / 1_000);

test('T16: an instance that vanished first leaves the VIP where EC2 delivers it, and no longer', async () => {
  const { world, seconds } = createWorld();
  await seconds(LONG, [VIP]);
  assert.equal(world.removed, []);
  // The operator releases it only now.
  await seconds(LONG, []);
  assert.equal(world.removed, [`${VIP} eth0`]);
  assert.is(world.disk, null, 'nothing is left to remember');
});

test('what is not known of EC2 is no reason to take anything off', async () => {
  for (const unknown of [null, 'detached'] as const) {
    const { world, seconds } = createWorld();
    await seconds(LONG, unknown);
    assert.equal(world.removed, []);
  }
});

test('a reading that misses it for a moment proves nothing, and neither does one before EC2 has followed a claim', async () => {
  const { world, seconds } = createWorld();
  for (let round = 0; round < 5; round += 1) {
    await seconds(ARRIVAL_MS / 1_000, []);
    await seconds(1, round % 2 === 0 ? [VIP] : null);
  }
  assert.equal(world.removed, []);
});

test('a pair that comes back has its addresses as they were', async () => {
  const { world, leftBehind, seconds } = createWorld();
  await seconds(5, []);
  assert.equal(leftBehind.take(KEY), record);
  await seconds(LONG, []);
  assert.equal(world.removed, []);
  assert.is(leftBehind.take(KEY), undefined);
});

test('what the kernel refuses is tried again; of several addresses each goes by itself', async () => {
  const { world, told, seconds } = createWorld({ ...record, added: [VIP, OTHER] });
  world.refuses = true;
  await seconds(LONG, []);
  assert.ok(told.includes('VIP of a former pair not removed yet'));
  world.refuses = false;
  await seconds(1, []);
  assert.equal(world.disk?.added, [OTHER]);
  await seconds(1, []);
  assert.equal(world.removed, [`${VIP} eth0`, `${OTHER} eth0`]);
  assert.is(world.disk, null);
});

test('an address that a running pair has by now is that pair’s alone', async () => {
  const { world, seconds } = createWorld({ ...record, added: [VIP, OTHER] });
  world.taken = [VIP];
  await seconds(1, [VIP, OTHER]);
  assert.equal(world.disk?.added, [OTHER]);
  world.taken = [];
  await seconds(LONG, []);
  assert.equal(world.removed, [`${OTHER} eth0`]);
});

test('an address that somebody else has put there in another form is theirs', async () => {
  for (const form of [{ prefixLength: 24 }, { prefixLength: 32, scope: 'global' }]) {
    const { world, read, seconds } = createWorld();
    await seconds(LONG, [VIP]);
    read({ address: VIP, ...form });
    await seconds(LONG, []);
    assert.equal(world.removed, []);
    assert.is(world.disk, null, 'nothing is left to remember');
  }
});

test('nothing is taken off before it is known who has put up what is there', async () => {
  const { world, read, seconds } = createWorld(record, false);
  await seconds(LONG, []);
  assert.equal(world.removed, []);
  read({ address: VIP, prefixLength: 32, scope: 'host' });
  await seconds(1, []);
  assert.equal(world.removed, [`${VIP} eth0`]);
});

test.run();
