import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ARRIVAL_MS,
  awaitedVIPs,
  isForeignForm,
  isOurForm,
  planVIPs,
  refuseVIP,
  type VIPInput,
} from './vip.ts';

const VIP = '10.10.10.10';
const base: VIPInput = {
  state: 'Backup',
  claim: 'Normal',
  vips: [VIP],
  delivered: [],
  lastDelivered: [],
  onInterface: ['10.10.10.11'],
  added: [],
  awaited: [],
};
const plan = (change: Partial<VIPInput>) => planVIPs({ ...base, ...change });
const NOTHING = { add: [], remove: [] };

test('a Backup that EC2 does not deliver to has no VIP', () => {
  assert.equal(plan({}), NOTHING);
  assert.equal(plan({ onInterface: ['10.10.10.11', VIP], added: [VIP] }), { add: [], remove: [VIP] });
});

test('a Master has it, whatever IMDS says', () => {
  assert.equal(plan({ state: 'Master' }), { add: [VIP], remove: [] });
  assert.equal(plan({ state: 'Master', delivered: null }), { add: [VIP], remove: [] });
  assert.equal(plan({ state: 'Master', onInterface: [VIP], added: [VIP] }), NOTHING);
});

test('claim Always has it in every state', () => {
  assert.equal(plan({ state: 'Fault', claim: 'Always' }), { add: [VIP], remove: [] });
});

test('T7: in every state it is there while IMDS lists it here', () => {
  for (const state of ['Init', 'Backup', 'Master', 'Fault'] as const) {
    assert.equal(plan({ state, delivered: [VIP] }), { add: [VIP], remove: [] });
    assert.equal(plan({ state, delivered: [VIP], onInterface: [VIP], added: [VIP] }), NOTHING);
  }
});

test('V5: a VIP that EC2 may still be about to deliver here stays, until it has come and gone or cannot come any more', () => {
  const present = { onInterface: [VIP], added: [VIP] };
  assert.equal(plan({ ...present, awaited: [VIP] }), NOTHING);

  const left = { leftAtMs: 1_000, arrived: [] };
  assert.equal(awaitedVIPs([VIP], null, 1_000), []);
  assert.equal(awaitedVIPs([VIP], left, 1_000 + ARRIVAL_MS - 1), [VIP]);
  assert.equal(awaitedVIPs([VIP], left, 1_000 + ARRIVAL_MS), []);
  assert.equal(awaitedVIPs([VIP], { ...left, arrived: [VIP] }, 1_001), []);
});

test('an unknown IMDS changes nothing', () => {
  assert.equal(plan({ delivered: null, onInterface: [VIP], added: [VIP] }), NOTHING);
  assert.equal(plan({ delivered: null }), NOTHING);
});

test('while IMDS is unknown, what it listed last is still put back when something removes it', () => {
  assert.equal(plan({ delivered: null, lastDelivered: [VIP], added: [VIP] }), { add: [VIP], remove: [] });
});

test('an address the machine already had is not ours to remove', () => {
  assert.equal(plan({ onInterface: [VIP], added: [] }), NOTHING);
});

test('T14: a VIP that left the spec stays until EC2 has moved it', () => {
  const old = { vips: ['10.10.10.20'], added: [VIP], onInterface: [VIP] };
  assert.equal(plan({ ...old, delivered: [VIP] }), NOTHING);
  assert.equal(plan({ ...old, delivered: null }), NOTHING);
  assert.equal(plan({ ...old, delivered: [] }), { add: [], remove: [VIP] });
  assert.equal(plan({ ...old, state: 'Master', delivered: [] }), { add: ['10.10.10.20'], remove: [VIP] });
});

test('other addresses of the ENI are none of our business', () => {
  assert.equal(plan({ delivered: ['10.10.10.11', '10.10.10.77'] }), NOTHING);
});

const network = { address: '10.10.10.11', prefixLength: 24, reserved: ['10.10.10.1', '10.10.10.2'] };

test('a VIP of the subnet is welcome', () => {
  assert.is(refuseVIP(VIP, network), null);
  assert.is(refuseVIP('10.10.9.255', { ...network, prefixLength: 22 }), null);
});

test('a VIP is refused outside the subnet, and where the node needs the address itself', () => {
  assert.match(refuseVIP('10.10.11.10', network) ?? '', /outside the subnet of 10\.10\.10\.11\/24/);
  assert.match(refuseVIP('10.10.10.11', network) ?? '', /own address/);
  assert.match(refuseVIP('10.10.10.1', network) ?? '', /gateway or name server/);
  assert.match(refuseVIP('10.10.10.2', network) ?? '', /gateway or name server/);
  assert.match(refuseVIP('10.10.10.0', network) ?? '', /network or broadcast/);
  assert.match(refuseVIP('10.10.10.255', network) ?? '', /network or broadcast/);
});

test('high addresses are numbers too', () => {
  assert.is(refuseVIP('203.0.113.9', { address: '203.0.113.1', prefixLength: 28, reserved: [] }), null);
  assert.match(
    refuseVIP('203.0.113.17', { address: '203.0.113.1', prefixLength: 28, reserved: [] }) ?? '',
    /outside/,
  );
});

test('a leftover of an agent is known by both its length and its scope; what lacks either is somebody else’s', () => {
  assert.ok(isOurForm({ prefixLength: 32, scope: 'host' }));
  assert.not(isOurForm({ prefixLength: 32, scope: 'global' }));
  assert.not(isOurForm({ prefixLength: 24, scope: 'host' }));
  assert.not(isOurForm({ prefixLength: 32 }), 'a scope that is not known proves nothing');
  assert.not(isForeignForm({ prefixLength: 32, scope: 'host' }));
  assert.not(isForeignForm({ prefixLength: 32 }), 'either way');
  assert.ok(isForeignForm({ prefixLength: 32, scope: 'global' }));
  assert.ok(isForeignForm({ prefixLength: 24, scope: 'host' }));
});

test.run();
