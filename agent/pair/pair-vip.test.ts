/** The VIP rule as one pair carries it out. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyRecord, type InterfaceReading } from '../ports.ts';
import { ARRIVAL_MS } from '../rules/vip.ts';
import { addressesOf, createBackup, createBench, createMaster, VIP } from '../testing/pair-bench.ts';

const OWN = '10.10.10.11';

const REFUSED: [vip: string, why: string][] = [
  [
    '10.10.11.10',
    'VIP 10.10.11.10 lies outside the subnet of 10.10.10.11/24; choose an address of that subnet',
  ],
  ['10.10.10.1', "VIP 10.10.10.1 is the node's gateway or name server; choose another address"],
  [
    '10.10.10.0',
    'VIP 10.10.10.0 is the network or broadcast address of 10.10.10.11/24; choose another address',
  ],
  [
    '10.10.10.255',
    'VIP 10.10.10.255 is the network or broadcast address of 10.10.10.11/24; choose another address',
  ],
  [OWN, `VIP ${OWN} is the node's own address; choose one that no instance has as its primary`],
];

for (const [vip, why] of REFUSED) {
  test(`a VIP that would hijack what the node needs is refused, and the condition says why: ${vip}`, async () => {
    const bench = createBench();
    await bench.look();
    await bench.apply({ addresses: addressesOf(vip) });
    await bench.look();
    const ready = bench.report?.conditions?.find(({ type }) => type === 'Ready');
    assert.equal([ready?.status, ready?.reason, ready?.message], ['False', 'AddressRefused', why]);
    assert.equal(bench.told('set'), [], 'nothing runs with it');
    assert.equal(bench.world.addresses, [OWN]);
  });
}

test('V5: a Master that is beaten before EC2 has followed it keeps the VIP until it has come and gone', async () => {
  const bench = await createBackup();
  await bench.claim();
  await bench.enter('Backup', 'HigherPriorityAdvert');
  await bench.seconds(5);
  assert.ok(bench.world.addresses.includes(VIP), 'the call may be under way');
  bench.world.delivered = [OWN, VIP];
  await bench.seconds(60);
  assert.ok(bench.world.addresses.includes(VIP), 'it came');
  bench.world.delivered = [OWN];
  await bench.seconds(1);
  assert.not(bench.world.addresses.includes(VIP), 'and went');
});

test('V5: what never comes is not waited for any longer than EC2 can take', async () => {
  const bench = await createBackup();
  await bench.claim();
  await bench.enter('Backup', 'HigherPriorityAdvert');
  await bench.seconds(ARRIVAL_MS / 1_000 + 1);
  assert.not(bench.world.addresses.includes(VIP));
});

test('an ENI whose addresses IMDS does not say is here; what it delivered last stays, and is put back', async () => {
  const bench = await createMaster();
  await bench.enter('Backup', 'HigherPriorityAdvert');
  const unknown = {
    instanceID: 'i-1',
    networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: null, addresses: null }],
  };
  bench.pair.imds(unknown);
  await bench.pass(60_000);
  assert.is(bench.told('fault').length, 0);
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.addresses = [OWN];
  await bench.look();
  bench.pair.imds(unknown);
  await bench.quiet();
  assert.ok(bench.world.addresses.includes(VIP), 'put back');
});

test('an ENI that is detached is a Fault, and nothing is put up for it', async () => {
  const bench = await createMaster();
  bench.world.addresses = [];
  await bench.look('eni-9');
  assert.is(bench.told('fault').at(-1)?.fault, 'NetworkInterfaceMismatch');
  await bench.enter('Fault', 'NetworkInterfaceMismatch');
  await bench.seconds(0);
  assert.not(bench.world.addresses.includes(VIP));
});

test('V5: while its own address is missing, what EC2 delivers here is put up, and no other VIP is', async () => {
  const bench = await createBackup({ addresses: addressesOf(VIP, '10.10.10.20'), claim: 'Always' });
  bench.world.delivered = [OWN, VIP];
  await bench.look();
  bench.world.addresses = [];
  await bench.look();
  assert.is(bench.told('fault').at(-1)?.fault, 'SourceAddressMissing');
  assert.equal(bench.world.addresses, [VIP]);
});

test('on a full disk the VIP of a claim goes up all the same, and the claim is reported', async () => {
  const bench = await createBackup();
  bench.world.diskUp = false;
  await bench.claim();
  assert.ok(bench.world.addresses.includes(VIP));
  assert.is(bench.report?.state, 'Master');
});

test('what the kernel refused is tried at once when the interface has changed, without waiting for a retry', async () => {
  const bench = await createBackup();
  bench.world.ipUp = false;
  await bench.enter('Master', 'MasterDownTimerExpired');
  await bench.pass(30_000);
  bench.world.ipUp = true;
  await bench.look();
  assert.not(bench.world.addresses.includes(VIP), 'nothing has changed: the retry is waited for');
  bench.world.linkUp = false;
  await bench.look();
  assert.ok(bench.world.addresses.includes(VIP));
});

test('what changed while the API server was away is told with the time of the change', async () => {
  const bench = await createBackup();
  await bench.hear(true);
  await bench.seconds(1);
  bench.world.apiUp = false;
  await bench.seconds(100);
  await bench.enter('Fault', 'SourceAddressMissing');
  await bench.hear(false);
  const before = bench.report?.since;
  await bench.seconds(3_600);
  await bench.enter('Backup', 'InstanceConfigured');
  await bench.seconds(1_800);
  bench.world.apiUp = true;
  bench.pair.apiBack();
  await bench.quiet();
  const { since = '', conditions = [] } = bench.report ?? {};
  assert.is(before, '2026-11-22T10:00:00.000000Z');
  assert.is(since, '2026-11-22T11:01:41.000000Z');
  const peerHeard = conditions.find(({ type }) => type === 'PeerHeard');
  assert.equal([peerHeard?.status, peerHeard?.lastTransitionTime], ['False', '2026-11-22T10:01:41Z']);
});

/** eth0 with the node's own address and a VIP in the form in which an agent puts it up. */
const withLeftover: InterfaceReading = {
  interfaces: [
    {
      name: 'eth0',
      up: true,
      addresses: [
        { address: OWN, prefixLength: 24, scope: 'global' },
        { address: VIP, prefixLength: 32, scope: 'host' },
      ],
    },
  ],
  reserved: [],
};

/** What is asked of the kernel, which does it, and is not to be asked on and on. */
const createRecorder = () => {
  const asked: string[] = [];
  const ask = (what: string) => async (name: string, address: string) => {
    if (asked.length === 10) throw new Error('asked again and again');
    asked.push(`${what} ${address} ${name}`);
  };
  return { asked, addresses: { add: ask('add'), remove: ask('remove') } };
};

test('a VIP found after the file was lost is remembered with its interface, and leaves it with the pair', async () => {
  const { asked, addresses } = createRecorder();
  const bench = createBench(undefined, addresses);
  // The interfaces were read before there was a spec, and are not read again.
  bench.pair.interfaces(withLeftover);
  bench.pair.imds({
    instanceID: 'i-1',
    networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses: [OWN, VIP] }],
  });
  await bench.apply({ onDelete: 'Remove' });
  assert.equal([bench.world.disk?.added, bench.world.disk?.interface], [[VIP], 'eth0']);
  assert.is(await bench.pair.forget(), null);
  assert.equal(asked, [`remove ${VIP} eth0`]);
});

test('an address leaves the interface that carries it, whichever was remembered', async () => {
  const { asked, addresses } = createRecorder();
  const record = { ...emptyRecord('prod', 'web'), added: [VIP], interface: 'eth1' };
  const bench = createBench(record, addresses);
  bench.pair.interfaces(withLeftover);
  bench.pair.imds({
    instanceID: 'i-1',
    networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses: [OWN] }],
  });
  await bench.apply();
  assert.equal(asked, [`remove ${VIP} eth0`]);
  assert.equal(bench.world.disk?.added, []);
});

test('with a pair every address goes, one that it left on another interface too', async () => {
  const { asked, addresses } = createRecorder();
  const bench = createBench(undefined, addresses);
  bench.pair.interfaces(withLeftover);
  await bench.apply({ onDelete: 'Remove' });
  const [eth0] = withLeftover.interfaces;
  const eth1 = { name: 'eth1', up: true, addresses: [{ address: OWN, prefixLength: 24, scope: 'global' }] };
  const left = { name: 'eth0', up: true, addresses: eth0?.addresses.slice(1) ?? [] };
  const forgotten = bench.pair.forget();
  bench.pair.interfaces({ interfaces: [left, eth1], reserved: [] });
  await forgotten;
  assert.equal(asked, [`remove ${VIP} eth0`]);
});

test.run();
