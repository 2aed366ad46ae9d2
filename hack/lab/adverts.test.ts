import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readAdvert } from './adverts.ts';
import { parseView } from './pair-watch.ts';

/** The v2 advert of a captured VRRPv2 exchange, with the IPv4 header in front. */
const PACKET = Buffer.from(
  '45c00028000100 00ff70a5f40a4d000b0a4d000c2133650101012fcd0a4d00647333637233743432'.replaceAll(' ', ''),
  'hex',
);

test('an advert is read out of its packet', () => {
  assert.equal(readAdvert(PACKET, 5), {
    atMs: 5,
    source: '10.77.0.11',
    version: 2,
    virtualRouterID: 51,
    priority: 101,
  });
});

test('other protocols and stumps are no adverts', () => {
  const udp = Buffer.from(PACKET);
  udp[9] = 17;
  assert.is(readAdvert(udp, 0), undefined);
  assert.is(readAdvert(PACKET.subarray(0, 24), 0), undefined);
  assert.is(readAdvert(Buffer.alloc(0), 0), undefined);
});

test("kubectl's line becomes a view; anything else does not", () => {
  const view = parseView('2|2|node1|node1|node2|7|True|Serving|True|True|Accepted|Recorded|', 9);
  assert.is(view?.master, 'node1');
  assert.is(view?.term, '7');
  assert.is(view?.deleting, '');
  assert.is(view?.atMs, 9);
  assert.is(parseView('Error from server (NotFound)', 9), undefined);
});

test.run();
