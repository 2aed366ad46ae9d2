import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isInside, isReserved } from './ipv4.ts';

const INSIDE: [address: string, cidr: string, inside: boolean][] = [
  ['10.10.10.0', '10.10.10.0/24', true],
  ['10.10.10.255', '10.10.10.0/24', true],
  ['10.10.11.0', '10.10.10.0/24', false],
  ['10.10.9.255', '10.10.10.0/24', false],
  ['10.10.11.255', '10.10.10.0/23', true],
  ['10.10.12.0', '10.10.10.0/23', false],
  ['10.10.10.7', '10.10.10.9/28', true],
  ['10.10.10.16', '10.10.10.9/28', false],
  ['10.10.10.11', '10.10.10.11', true],
  ['10.10.10.12', '10.10.10.11', false],
  ['255.255.255.255', '0.0.0.0/0', true],
  ['0.0.0.0', '0.0.0.0/0', true],
  ['192.168.0.1', '10.0.0.0/8', false],
];
for (const [address, cidr, inside] of INSIDE)
  test(`${address} lies ${inside ? 'inside' : 'outside'} ${cidr}`, () => {
    assert.is(isInside(address, cidr), inside);
  });

for (const [address, cidr] of [
  ['10.10.10', '10.10.10.0/24'],
  ['10.10.10.1.1', '10.10.10.0/24'],
  ['10.10.10.256', '0.0.0.0/0'],
  ['10.10.10.-1', '0.0.0.0/0'],
  ['10.10.10.1.5', '0.0.0.0/0'],
  ['10.10.10.1', '10.10.10/24'],
  ['10.10.10.1', '10.10.10.0/x'],
  ['10.10.10.1', '10.10.10.1/33'],
  ['2001:db8::1', '0.0.0.0/0'],
] as const)
  test(`what is no address lies nowhere: ${address} in ${cidr}`, () => {
    assert.not(isInside(address, cidr));
    assert.not(isReserved(address, cidr));
  });

test('AWS keeps the first four addresses of a subnet and the last one', () => {
  const reserved = (...last: number[]): boolean[] =>
    last.map((octet) => isReserved(`10.10.10.${octet}`, '10.10.10.0/24'));
  assert.equal(reserved(0, 1, 2, 3, 255), [true, true, true, true, true]);
  assert.equal(reserved(4, 5, 100, 254), [false, false, false, false]);
  assert.ok(isReserved('10.10.10.131', '10.10.10.128/28'));
  assert.not(isReserved('10.10.11.1', '10.10.10.0/24'), 'another subnet is not its own');
});

test.run();
