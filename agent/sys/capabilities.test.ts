import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { whyNoChanges } from './capabilities.ts';

const status = (uid: number, effective: string, ambient: string): string =>
  `Name:\tnode\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nCapEff:\t${effective}\nCapBnd:\t000001ffffffffff\nCapAmb:\t${ambient}\n`;

const BOTH = '0000000000003000';
const RAW = '0000000000002000';
const NONE = '0000000000000000';

test('an ordinary user with the ambient capability may', () => {
  assert.is(whyNoChanges(status(1000, BOTH, BOTH)), null);
});

test('root may, ambient or not, as long as it was not taken away', () => {
  assert.is(whyNoChanges(status(0, '000001ffffffffff', NONE)), null);
  assert.match(whyNoChanges(status(0, RAW, NONE)) ?? '', /lacks CAP_NET_ADMIN/);
});

test('without it, the message names the capability and the way out', () => {
  assert.match(
    whyNoChanges(status(1000, RAW, RAW)) ?? '',
    /the agent lacks CAP_NET_ADMIN.*AmbientCapabilities=CAP_NET_ADMIN/,
  );
});

test('one that ends at the agent itself, as by setcap, is of no use to ip', () => {
  assert.match(whyNoChanges(status(1000, BOTH, NONE)) ?? '', /does not reach the ip command.*ambient/);
});

test('a kernel that does not say is given the benefit of the doubt', () => {
  assert.is(whyNoChanges(''), null);
  assert.match(readFileSync('/proc/self/status', 'utf8'), /^CapEff:/m);
});

test.run();
