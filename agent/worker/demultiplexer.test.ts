import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ipv4Datagram } from '../vrrp/datagrams.ts';
import { Demultiplexer } from './demultiplexer.ts';

const from = (source: string, virtualRouterID: number): Uint8Array =>
  ipv4Datagram(Uint8Array.of(0x31, virtualRouterID, 100, 1, 0, 100, 0, 0), {
    source,
    destination: '10.0.0.1',
  });
const routers = new Demultiplexer([
  ['web', { virtualRouterID: 51, peerAddress: '10.0.0.2' }],
  ['db', { virtualRouterID: 51, peerAddress: '10.0.0.3' }],
  ['mail', { virtualRouterID: 52, peerAddress: '10.0.0.3' }],
]);

test('two pairs with one virtual router ID are told apart by who has sent it', () => {
  assert.equal(routers.recipients(from('10.0.0.2', 51)), ['web']);
  assert.equal(routers.recipients(from('10.0.0.3', 51)), ['db']);
});
test('what a third host sends is for every pair of that ID to count', () => {
  assert.equal(routers.recipients(from('10.0.0.66', 51)), ['web', 'db']);
  assert.equal(routers.recipients(from('10.0.0.2', 52)), ['mail']);
});
test('another ID of a peer is for its only pair to count, and for nobody if there are several', () => {
  assert.equal(routers.recipients(from('10.0.0.2', 99)), ['web']);
  assert.equal(routers.recipients(from('10.0.0.3', 99)), []);
  assert.equal(routers.recipients(from('10.0.0.66', 99)), []);
});
test('what is no datagram, or ends too early, is for nobody, and throws nothing', () => {
  const whole = from('10.0.0.66', 51);
  for (let length = 0; length <= 21; length++) {
    assert.equal(routers.recipients(whole.subarray(0, length)), [], `${length} bytes`);
  }
});

test.run();
