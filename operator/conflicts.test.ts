import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPair, HAPairSpec } from '../crds/types.ts';
import { createClaimIndex } from './conflicts.ts';
import { NODE1, NODE2, pairOf } from './testing/fixtures.ts';

const REGION = 'ap-northeast-1';

const pair = (
  name: string,
  createdAt: string,
  change: Partial<HAPairSpec> = {},
  namespace = 'prod',
): HAPair => {
  const { metadata, ...rest } = pairOf(change);
  return {
    ...rest,
    metadata: { ...metadata, name, namespace, uid: `uid-${name}`, creationTimestamp: createdAt },
  };
};

const elsewhere: Partial<HAPairSpec> = {
  nodes: [
    { ...NODE1, networkInterfaceID: 'eni-03' },
    { ...NODE2, networkInterfaceID: 'eni-04' },
  ],
};

// T15: two HAPairs name one VIP, one EIP, or one VRID on the same ENI.
for (const [what, change] of [
  ['VIP 10.10.10.10', { ...elsewhere, addresses: [{ name: 'x', vip: '10.10.10.10' }] }],
  [
    'EIP eipalloc-0ccccccccccccccc3',
    { ...elsewhere, addresses: [{ name: 'x', eipAllocationID: 'eipalloc-0ccccccccccccccc3' }] },
  ],
  [
    'virtualRouterID 10 on eni-0aaaaaaaaaaaaaaa1 and virtualRouterID 10 on eni-0bbbbbbbbbbbbbbb2',
    { addresses: [{ name: 'x', vip: '10.10.10.77' }] },
  ],
] as [string, Partial<HAPairSpec>][]) {
  test(`T15: the older owns ${what}; the other is told`, () => {
    const claims = createClaimIndex(REGION);
    claims.update('prod/old', pair('old', '2026-01-01T00:00:00Z'));
    claims.update('prod/new', pair('new', '2026-02-01T00:00:00Z', change));
    assert.is(claims.rivalOf('prod/old'), undefined);
    assert.is(
      claims.rivalOf('prod/new'),
      `HAPair old is older and names ${what} too; only one can have ${what.includes(' and ') ? 'them' : 'it'}.`,
    );
  });
}

test('T15: a region that is named and the same one by default are one', () => {
  const claims = createClaimIndex(REGION);
  claims.update('prod/old', pair('old', '2026-01-01T00:00:00Z'));
  const addresses = [{ name: 'x', vip: '10.10.10.10' }];
  claims.update('prod/new', pair('new', '2026-02-01T00:00:00Z', { ...elsewhere, addresses, region: REGION }));
  assert.match(claims.rivalOf('prod/new') ?? '', /VIP 10\.10\.10\.10/);
});

test('an address that an older pair still has by its status is not free, whatever its spec says', () => {
  const claims = createClaimIndex(REGION);
  const edited = pair('old', '2026-01-01T00:00:00Z', { addresses: [{ name: 'x', vip: '10.10.10.20' }] });
  const recorded = [{ name: 'main', vip: '10.10.10.10', networkInterfaceIDs: ['eni-01'] }];
  claims.update('prod/old', { ...edited, status: { addresses: recorded } });
  const addresses = [{ name: 'x', vip: '10.10.10.10' }];
  const younger = pair('new', '2026-02-01T00:00:00Z', { ...elsewhere, addresses });
  claims.update('prod/new', younger);
  assert.match(claims.rivalOf('prod/new') ?? '', /VIP 10\.10\.10\.10/);
  assert.equal(claims.update('prod/old', edited), ['prod/new'], 'released');
  assert.is(claims.rivalOf('prod/new'), undefined);
  // What one only has to give up is no reason to stand back.
  claims.update('prod/new', { ...younger, spec: edited.spec, status: { addresses: recorded } });
  assert.match(claims.rivalOf('prod/new') ?? '', /VIP 10\.10\.10\.20/);
});

test('of two that give up one address in the same instant the older takes it off, not neither', () => {
  const claims = createClaimIndex(REGION);
  const [old, young] = [pair('old', '2026-01-01T00:00:00Z'), pair('young', '2026-02-01T00:00:00Z')];
  const [address] = old.spec.addresses;
  assert.ok(address);
  const recorded = { addresses: [{ ...address, networkInterfaceIDs: ['eni-1'] }] };
  claims.update('prod/old', { ...old, status: recorded });
  claims.update('prod/young', { ...young, status: recorded });
  assert.ok(claims.claimedElsewhere('prod/old').length > 0);
  const other = [{ name: 'main', vip: '10.10.10.99' }];
  for (const [key, each] of [
    ['prod/old', old],
    ['prod/young', young],
  ] as const) {
    const dropped = { ...each, spec: { ...each.spec, addresses: other }, status: recorded };
    assert.equal(claims.update(key, dropped), [key === 'prod/old' ? 'prod/young' : 'prod/old']);
  }
  assert.not.ok(claims.claimedElsewhere('prod/old').includes(address.vip ?? ''));
  assert.ok(claims.claimedElsewhere('prod/young').includes(address.vip ?? ''));
});

test('of two that are deleted in the same instant the older takes off what both name', () => {
  const claims = createClaimIndex(REGION);
  for (const [name, time] of [
    ['old', '2026-01-01T00:00:00Z'],
    ['young', '2026-02-01T00:00:00Z'],
  ] as const) {
    const { metadata, ...others } = pair(name, time);
    const deletionTimestamp = '2026-03-01T00:00:00Z';
    claims.update(`prod/${name}`, { ...others, metadata: { ...metadata, deletionTimestamp } });
  }
  assert.equal(claims.claimedElsewhere('prod/old'), []);
  assert.ok(claims.claimedElsewhere('prod/young').length > 0);
});

test('T15: of equal age, the smaller UID owns', () => {
  const claims = createClaimIndex(REGION);
  claims.update('prod/a', pair('a', '2026-01-01T00:00:00Z'));
  claims.update('prod/b', pair('b', '2026-01-01T00:00:00Z'));
  assert.is(claims.rivalOf('prod/a'), undefined);
  assert.ok(claims.rivalOf('prod/b'));
});

/** A pair that EC2 delivers its VIP to, in term 3. */
const serving = (name: string, createdAt: string, change: Partial<HAPairSpec> = {}): HAPair => {
  const made = pair(name, createdAt, change);
  const addresses = made.spec.addresses.map((address) => ({
    ...address,
    holder: 'node1',
    networkInterfaceIDs: made.spec.nodes.map(({ networkInterfaceID }) => networkInterfaceID),
  }));
  return { ...made, status: { term: 3, addresses } };
};

const refused = (made: HAPair, reason: string): HAPair => {
  const condition = {
    type: 'Accepted',
    status: 'False' as const,
    reason,
    message: '',
    lastTransitionTime: '',
  };
  return { ...made, status: { ...made.status, conditions: [condition] } };
};

test('T15: an edit never bars a serving pair: the claim that came later is refused', () => {
  const claims = createClaimIndex(REGION);
  const other = { ...elsewhere, addresses: [{ name: 'x', vip: '10.10.10.20' }] };
  claims.update('prod/old', serving('old', '2026-01-01T00:00:00Z', other));
  claims.update('prod/young', serving('young', '2026-02-01T00:00:00Z'));
  const { spec, ...rest } = serving('old', '2026-01-01T00:00:00Z', other);
  const edited = { ...rest, spec: { ...spec, addresses: [{ name: 'x', vip: '10.10.10.10' }] } };
  claims.update('prod/old', edited);
  assert.is(claims.rivalOf('prod/young'), undefined);
  assert.is(claims.rivalOf('prod/old'), 'HAPair young has VIP 10.10.10.10 already; only one can have it.');
});

test('T15: of two that have it, the older owns it; who comes to have it is news to the others', () => {
  const claims = createClaimIndex(REGION);
  claims.update('prod/old', pair('old', '2026-01-01T00:00:00Z'));
  claims.update('prod/new', pair('new', '2026-02-01T00:00:00Z'));
  assert.equal(claims.update('prod/new', serving('new', '2026-02-01T00:00:00Z')), ['prod/old']);
  assert.ok(claims.rivalOf('prod/old'));
  assert.is(claims.rivalOf('prod/new'), undefined);
  assert.equal(claims.update('prod/old', serving('old', '2026-01-01T00:00:00Z')), ['prod/new']);
  assert.is(claims.rivalOf('prod/old'), undefined);
  assert.ok(claims.rivalOf('prod/new'));
});

test('T15: a pair that is refused bars nobody from what it has not', () => {
  for (const reason of ['NotPermitted', 'Invalid', 'AddressConflict']) {
    const claims = createClaimIndex(REGION);
    const old = pair('old', '2026-01-01T00:00:00Z');
    claims.update('prod/old', old);
    claims.update('prod/new', pair('new', '2026-02-01T00:00:00Z'));
    assert.ok(claims.rivalOf('prod/new'));
    assert.equal(claims.update('prod/old', refused(old, reason)), ['prod/new']);
    assert.is(claims.rivalOf('prod/new'), undefined);
    claims.update('prod/old', refused(serving('old', '2026-01-01T00:00:00Z'), reason));
    assert.ok(claims.rivalOf('prod/new'), 'what it has it keeps');
  }
});

test('a rival in another namespace is not named', () => {
  const claims = createClaimIndex(REGION);
  claims.update('other/secret', pair('secret', '2026-01-01T00:00:00Z', {}, 'other'));
  claims.update('prod/web', pair('web', '2026-02-01T00:00:00Z'));
  assert.match(claims.rivalOf('prod/web') ?? '', /^A HAPair in another namespace is older/);
});

test('pairs with nothing in common do not meet', () => {
  const claims = createClaimIndex(REGION);
  claims.update('prod/a', pair('a', '2026-01-01T00:00:00Z'));
  const other = { ...elsewhere, addresses: [{ name: 'x', vip: '10.10.10.77' }] };
  assert.equal(claims.update('prod/b', pair('b', '2026-02-01T00:00:00Z', other)), []);
  assert.is(claims.rivalOf('prod/b'), undefined);
});

test('whoever is concerned by a change is told, and an unchanged claim concerns nobody', () => {
  const claims = createClaimIndex(REGION);
  claims.update('prod/old', pair('old', '2026-01-01T00:00:00Z'));
  assert.equal(claims.update('prod/new', pair('new', '2026-02-01T00:00:00Z')), ['prod/old']);
  assert.equal(claims.update('prod/new', pair('new', '2026-02-01T00:00:00Z')), []);
  assert.equal(claims.update('prod/old', undefined), ['prod/new']);
  assert.is(claims.rivalOf('prod/new'), undefined);
});

test.run();
