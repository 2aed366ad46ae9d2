import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CallRecord } from '../lab/types.ts';
import { BLIND_MS, blindness, disturbances, type Said, type Seen } from './judge.ts';

const pair = { name: 'a/web', vip: '10.10.10.10', ids: ['10.10.10.10', 'eipalloc-1'] };
const probes = [1, 2, 3].map((seq) => ({ seq, sentAtMs: seq * 50, answeredAtMs: seq * 50 + 1, by: 'node1' }));
const seen = (change: Partial<Seen> = {}): Seen => ({
  pair,
  device: 'eni1',
  samples: probes,
  deliveries: probes.map(({ seq }) => ({ target: pair.vip, seq, device: 'eni1' })),
  calls: [],
  ...change,
});
const call = (parameters: Record<string, string>): CallRecord => ({
  ...{ id: 9, action: 'AssociateAddress', parameters, accessKeyID: '', userAgent: '' },
  ...{ receivedAtMs: 0, status: 200 },
});

test('a pair whose probes went where it was, and that no call names, was not disturbed', () => {
  const late = probes.map(({ seq, sentAtMs }) => ({ seq, sentAtMs }));
  assert.equal(disturbances(seen()), []);
  assert.equal(disturbances(seen({ samples: late })), [], 'an answer that was late or lost is no loss');
  assert.equal(disturbances(seen({ calls: [call({ AllocationId: 'eipalloc-2' })] })), []);
});

test('a probe that went elsewhere, or nowhere, is told with its number', () => {
  const [one, two, three] = seen().deliveries;
  assert.ok(one && two && three);
  assert.match(
    disturbances(seen({ deliveries: [one, { ...two, device: 'eni2' }, three] }))[0] ?? '',
    '1 of 3 probes did not go to eni1; the first, 2, went eni2',
  );
  assert.match(disturbances(seen({ deliveries: [one, two] }))[0] ?? '', 'the first, 3, went nowhere');
  const others = { ...three, target: '10.10.10.20' };
  assert.match(disturbances(seen({ deliveries: [one, two, others] }))[0] ?? '', 'nowhere');
});

test('a call for an address of it is told', () => {
  assert.match(disturbances(seen({ calls: [call({ AllocationId: 'eipalloc-1' })] }))[0] ?? '', 'EC2 call 9');
});

/** A look each second. */
const looks = (seconds: number, ready = 'True'): Said[] =>
  Array.from({ length: seconds }, (_, at) => ({
    atMs: at * 1_000,
    holder: 'node1',
    ready,
    redundant: 'True',
  }));

test('Ready of what does not answer is told once it was said for too long', () => {
  const tooLong = BLIND_MS / 1_000 + 3;
  assert.equal(blindness(pair, looks(tooLong - 4), []), []);
  assert.match(blindness(pair, looks(tooLong), [])[0] ?? '', 'while no probe was answered');
  assert.equal(blindness(pair, looks(tooLong, 'Unknown'), []), []);
  const answered = [{ seq: 1, sentAtMs: 100_000, by: 'node1' }];
  assert.equal(blindness(pair, looks(tooLong), answered), [], 'one answer between begins the time anew');
});

test.run();
