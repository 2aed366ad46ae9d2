import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RejectCause } from '../vrrp/types.ts';
import { noteReject, peerFault, type Rejects } from './peer.ts';

const PEER = '10.10.10.12';
const INTERVAL_MS = 1_000;

/** Packets of the cause, one a second from `fromMs` on. */
const packets = (
  count: number,
  change: { cause?: RejectCause; source?: string; fromMs?: number; rejects?: Rejects } = {},
): Rejects => {
  const { cause = 'PasswordMismatch', source = PEER, fromMs = 0, rejects = null } = change;
  return Array.from({ length: count }, (_, index) => fromMs + index * INTERVAL_MS).reduce<Rejects>(
    (known, atMs) => noteReject(known, { cause, source, count: 1 }, PEER, atMs, INTERVAL_MS),
    rejects,
  );
};
const faultAt = (rejects: Rejects, nowMs: number) => peerFault(rejects, PEER, nowMs, INTERVAL_MS);

test('three adverts in a row that are wrong are a fault of the peer, with what is wrong and what to do', () => {
  const fault = faultAt(packets(3), 2_000);
  assert.is(fault?.reason, 'PeerMisconfigured');
  assert.match(fault?.message ?? '', 'The peer 10.10.10.12 sends another password');
  assert.match(fault?.message ?? '', 'PasswordMismatch');
  assert.match(fault?.message ?? '', 'secretRef');
});

test('one or two are the end of a change, not a fault', () => {
  assert.is(faultAt(packets(2), 1_000), null);
});

test('a count that stands for many is as good as many', () => {
  const burst = { cause: 'ChecksumInvalid', source: PEER, count: 500 } as const;
  const fault = faultAt(noteReject(null, burst, PEER, 0, INTERVAL_MS), 0);
  assert.match(fault?.message ?? '', 'ChecksumInvalid');
});

test('nobody but the peer makes a fault of the peer', () => {
  assert.is(faultAt(packets(100, { source: '10.10.10.66', cause: 'SourceNotPeer' }), 99_000), null);
  assert.is(faultAt(packets(100, { source: '10.10.10.66' }), 99_000), null);
  assert.is(faultAt(packets(100, { source: 'unknown', cause: 'IPHeaderInvalid' }), 99_000), null);
});

test('causes that say nothing of what the peer sends make none', () => {
  for (const cause of ['DestinationNotOurs', 'LocalRouterIsOwner', 'IPLengthMismatch'] as const)
    assert.is(faultAt(packets(100, { cause }), 99_000), null, cause);
});

test('it is over after three intervals and ten seconds of quiet, and begins anew', () => {
  const rejects = packets(3);
  assert.ok(faultAt(rejects, 2_000 + 13_000));
  assert.is(faultAt(rejects, 2_000 + 13_001), null);
  const again = packets(2, { rejects, fromMs: 20_000 });
  assert.is(faultAt(again, 21_000), null, 'two after the pause are two');
  assert.ok(faultAt(packets(1, { rejects: again, fromMs: 22_000 }), 22_000));
});

test('a peer that is slow by its interval is not forgotten between two adverts', () => {
  const slow = 40_000;
  let rejects: Rejects = null;
  for (const atMs of [0, 40_000, 80_000]) {
    const packet = { cause: 'IntervalMismatch', source: PEER, count: 1 } as const;
    rejects = noteReject(rejects, packet, PEER, atMs, slow);
  }
  assert.ok(peerFault(rejects, PEER, 119_000, slow));
});

test('the peer that takes its place at another address starts without its faults', () => {
  const rejects = packets(3);
  assert.is(peerFault(rejects, '10.10.10.13', 2_000, INTERVAL_MS), null);
  const packet = { cause: 'PasswordMismatch', source: '10.10.10.13', count: 1 } as const;
  const next = noteReject(rejects, packet, '10.10.10.13', 2_500, INTERVAL_MS);
  assert.is(peerFault(next, '10.10.10.13', 2_500, INTERVAL_MS), null);
});

test('two wrongs are both told, in the order of the receive checks', () => {
  const both = packets(3, { rejects: packets(3), cause: 'ChecksumInvalid' });
  assert.match(faultAt(both, 2_000)?.message ?? '', /ChecksumInvalid\).*PasswordMismatch\)/);
});

test.run();
