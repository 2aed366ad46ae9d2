import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { missingOf } from './link.ts';

const SOURCE = '10.10.10.11';
const missing = (listed: Parameters<typeof missingOf>[0]): string | null => missingOf(listed, 'eth0', SOURCE);

test('a link needs its interface, up, and its address on it', () => {
  assert.is(missing({ eth0: [{ address: SOURCE }] }), null);
  assert.match(missing({ lo: [{ address: '127.0.0.1' }] }) ?? '', /missing, down or without a carrier/);
  assert.match(missing({ eth0: [{ address: '10.10.10.10' }] }) ?? '', /does not carry 10\.10\.10\.11/);
});

test('an address with a label of its own, as after a rename of the interface, is still on it', () => {
  assert.is(missing({ eth0: [{ address: '10.10.10.10' }], 'eth0:2': [{ address: SOURCE }] }), null);
  assert.is(missing({ 'eth0:2': [{ address: SOURCE }] }), null);
});

test('the address on another interface does not count, however alike the names', () => {
  assert.ok(missing({ eth0: [{ address: '10.10.10.10' }], eth1: [{ address: SOURCE }] }));
  assert.ok(missing({ eth0: [{ address: '10.10.10.10' }], 'eth01:2': [{ address: SOURCE }] }));
});

test.run();
