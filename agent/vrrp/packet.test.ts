import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatIPv4Address, parseIPv4Address } from '../../runtime/ipv4.ts';
import { internetChecksum } from './checksum.ts';
import { ipv4Datagram } from './datagrams.ts';
import { parseIPv4Header } from './ipv4.ts';
import { type Advert, decodeAdvert, type Expected, encodeAdvert, type Seal } from './packet.ts';

const A = '10.77.0.11';
const B = '10.77.0.12';
const password = new TextEncoder().encode('s3cr3t42');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const advert = (version: 2 | 3, priority: number): Advert => ({
  version,
  virtualRouterID: 51,
  priority,
  advertisementIntervalMs: 1000,
  addresses: ['10.77.0.100'],
});
const seal = (source: string, destination: string): Seal => ({
  source,
  destination,
  checksum: 'Pseudoheader',
  password,
});
const expected = (version: 2 | 3, changes: Partial<Expected> = {}): Expected => ({
  version,
  virtualRouterID: 51,
  checksum: 'Pseudoheader',
  password,
  advertisementIntervalMs: 1000,
  sourceAddress: B,
  peerAddress: A,
  ...changes,
});

/** Captured from keepalived 2.2.7. */
const CAPTURES: [string, Advert, Seal, string][] = [
  ['v2 A 101', advert(2, 101), seal(A, B), '2133650101012fcd0a4d00647333637233743432'],
  ['v2 B 100', advert(2, 100), seal(B, A), '21336401010130cd0a4d00647333637233743432'],
  ['v2 resign', advert(2, 0), seal(A, B), '21330001010194cd0a4d00647333637233743432'],
  ['v3 A 101', advert(3, 101), seal(A, B), '3133650100644989' + '0a4d0064'],
  ['v3 B 100', advert(3, 100), seal(B, A), '3133640100644a89' + '0a4d0064'],
  ['v3 resign', advert(3, 0), seal(A, B), '313300010064ae89' + '0a4d0064'],
  [
    'v3 RFC 9568 checksum',
    advert(3, 101),
    { ...seal(A, B), checksum: 'MessageOnly' },
    '3133650100645eb60a4d0064',
  ],
];

for (const [name, content, sealed, bytes] of CAPTURES) {
  test(`${name} is byte for byte what keepalived sends`, () => {
    assert.is(hex(encodeAdvert(content, sealed)), bytes);
  });
  test(`${name} decodes to what was sent`, () => {
    const result = decodeAdvert(
      ipv4Datagram(Buffer.from(bytes, 'hex'), sealed),
      expected(content.version, {
        sourceAddress: sealed.destination,
        peerAddress: sealed.source,
        checksum: sealed.checksum,
      }),
    );
    assert.equal(result, { ok: true, advert: content, source: parseIPv4Address(sealed.source) });
  });
}

test('the whole datagram of keepalived decodes, header included', () => {
  const datagram = Buffer.from(
    '45c0002800010000ff70a5f40a4d000b0a4d000c2133650101012fcd0a4d00647333637233743432',
    'hex',
  );
  assert.ok(decodeAdvert(datagram, expected(2)).ok);
  assert.is(parseIPv4Header(datagram)?.ttl, 255);
});

const GOOD = { 2: encodeAdvert(advert(2, 101), seal(A, B)), 3: encodeAdvert(advert(3, 101), seal(A, B)) };
const patched = (version: 2 | 3, offset: number, value: number, fixChecksum = true): Uint8Array => {
  const message = GOOD[version].slice();
  message[offset] = value;
  if (!fixChecksum) return message;
  const pseudoHeader = { source: parseIPv4Address(A), destination: parseIPv4Address(B) };
  message.fill(0, 6, 8);
  new DataView(message.buffer).setUint16(6, internetChecksum(message, version === 3 ? pseudoHeader : null));
  return message;
};
const datagram = (message: Uint8Array, changes: object = {}): Uint8Array =>
  ipv4Datagram(message, { source: A, destination: B, ...changes });
const patchedHeader = (offset: number, value: number): Uint8Array => {
  const bytes = datagram(GOOD[3]);
  bytes[offset] = value;
  return bytes;
};

/** One fault each; the order is that of the checks. */
const REJECTED: [string, string, Uint8Array, Expected][] = [
  ['nothing at all', 'IPHeaderInvalid', new Uint8Array(0), expected(3)],
  ['IP version 6', 'IPHeaderInvalid', patchedHeader(0, 0x65), expected(3)],
  ['an IP header shorter than 20 bytes', 'IPHeaderInvalid', patchedHeader(0, 0x44), expected(3)],
  ['an IP header longer than the packet', 'IPHeaderInvalid', patchedHeader(0, 0x4f), expected(3)],
  ['another protocol', 'ProtocolMismatch', patchedHeader(9, 17), expected(3)],
  ['a total length that is not what arrived', 'IPLengthMismatch', patchedHeader(3, 31), expected(3)],
  [
    'another destination',
    'DestinationNotOurs',
    datagram(GOOD[3], { destination: '224.0.0.18' }),
    expected(3),
  ],
  ['a third host', 'SourceNotPeer', datagram(GOOD[3], { source: '10.77.0.66' }), expected(3)],
  ['TTL 253', 'TTLTooLow', datagram(GOOD[3], { ttl: 253 }), expected(3)],
  [
    'TTL below a higher floor',
    'TTLTooLow',
    datagram(GOOD[3], { ttl: 254 }),
    expected(3, { minimumTTL: 255 }),
  ],
  ['seven bytes', 'MessageTooShort', datagram(GOOD[3].subarray(0, 7)), expected(3)],
  ['v2 where v3 is spoken', 'VersionMismatch', datagram(GOOD[2]), expected(3)],
  ['v3 where v2 is spoken', 'VersionMismatch', datagram(GOOD[3]), expected(2)],
  ['type 2', 'TypeUnknown', datagram(patched(3, 0, 0x32)), expected(3)],
  ['another virtual router', 'VirtualRouterIDMismatch', datagram(patched(3, 1, 52)), expected(3)],
  ['no address', 'AddressCountInvalid', datagram(patched(3, 3, 0).subarray(0, 8)), expected(3)],
  ['more addresses than bytes', 'LengthMismatch', datagram(patched(3, 3, 2)), expected(3)],
  [
    'a v2 advert without authentication data',
    'LengthMismatch',
    datagram(GOOD[2].subarray(0, 12)),
    expected(2),
  ],
  [
    'eight bytes too many',
    'LengthMismatch',
    datagram(Buffer.concat([GOOD[3], new Uint8Array(8)])),
    expected(3),
  ],
  ['a flipped bit', 'ChecksumInvalid', datagram(patched(3, 2, 200, false)), expected(3)],
  ['the other checksum', 'ChecksumInvalid', datagram(GOOD[3]), expected(3, { checksum: 'MessageOnly' })],
  [
    'the multicast checksum of old keepalived',
    'ChecksumInvalid',
    datagram(Buffer.from('31336501006473cf0a4d0064', 'hex')),
    expected(3),
  ],
  ['authentication type 0', 'AuthenticationTypeMismatch', datagram(patched(2, 4, 0)), expected(2)],
  ['another password', 'PasswordMismatch', datagram(patched(2, 19, 0x33)), expected(2)],
  ['another v2 interval', 'IntervalMismatch', datagram(patched(2, 5, 2)), expected(2)],
  ['a v3 interval of zero', 'IntervalInvalid', datagram(patched(3, 5, 0)), expected(3)],
];
for (const [name, cause, bytes, expectation] of REJECTED) {
  test(`rejects ${name}: ${cause}`, () => {
    const result = decodeAdvert(bytes, expectation);
    assert.is(result.ok ? 'accepted' : result.cause, cause);
  });
}

test('rejects a password where none is configured', () => {
  const { password: _, ...none } = expected(2);
  const result = decodeAdvert(datagram(GOOD[2]), none);
  assert.is(result.ok ? 'accepted' : result.cause, 'AuthenticationTypeMismatch');
});
test('accepts reserved bits in v3', () => {
  assert.ok(decodeAdvert(datagram(patched(3, 4, 0xf0)), expected(3)).ok);
});
test('accepts one router on the way', () => {
  assert.ok(decodeAdvert(datagram(GOOD[3], { ttl: 254 }), expected(3)).ok);
});
test('accepts IP options', () => {
  const plain = datagram(GOOD[3]);
  const withOption = Buffer.concat([plain.subarray(0, 20), Buffer.from([1, 1, 1, 0]), plain.subarray(20)]);
  withOption[0] = 0x46;
  withOption.writeUInt16BE(withOption.length, 2);
  assert.ok(decodeAdvert(withOption, expected(3)).ok);
});
test('uses 8 bytes of a longer password, as keepalived does', () => {
  const longer = new TextEncoder().encode('s3cr3t42-and-more');
  assert.is(hex(encodeAdvert(advert(2, 101), { ...seal(A, B), password: longer })), CAPTURES[0]?.[3]);
  assert.ok(decodeAdvert(datagram(GOOD[2]), expected(2, { password: longer })).ok);
});
test('refuses to encode what has no place in a packet', () => {
  for (const broken of [
    { priority: 256 },
    { virtualRouterID: 0 },
    { virtualRouterID: 256 },
    { addresses: [] },
    { addresses: ['::1'] },
  ]) {
    assert.throws(() => encodeAdvert({ ...advert(3, 100), ...broken }, seal(A, B)));
  }
  for (const [version, advertisementIntervalMs] of [
    [2, 1500],
    [2, 256_000],
    [3, 0],
    [3, 15],
    [3, 40_960],
  ] as const) {
    assert.throws(() => encodeAdvert({ ...advert(version, 100), advertisementIntervalMs }, seal(A, B)));
  }
});

const anyAddress = fc.nat({ max: 0xffffffff }).map(formatIPv4Address);
const anyAdvert: fc.Arbitrary<Advert> = fc.constantFrom(2 as const, 3 as const).chain((version) =>
  fc.record(
    {
      version: fc.constant(version),
      virtualRouterID: fc.integer({ min: 1, max: 255 }),
      priority: fc.integer({ min: 0, max: 255 }),
      advertisementIntervalMs:
        version === 2
          ? fc.integer({ min: 1, max: 255 }).map((seconds) => seconds * 1000)
          : fc.integer({ min: 1, max: 4095 }).map((centiseconds) => centiseconds * 10),
      addresses: fc.array(anyAddress, { minLength: 1, maxLength: 20 }),
    },
    { noNullPrototype: true },
  ),
);

test('decode undoes encode, for every advert, both checksums, with and without a password', () => {
  fc.assert(
    fc.property(
      anyAdvert,
      anyAddress,
      anyAddress,
      fc.constantFrom('Pseudoheader' as const, 'MessageOnly' as const),
      fc.option(fc.uint8Array({ maxLength: 12 }), { nil: undefined }),
      (content, source, destination, checksum, secret) => {
        const authentication = secret === undefined ? {} : { password: secret };
        const message = encodeAdvert(content, { source, destination, checksum, ...authentication });
        const result = decodeAdvert(ipv4Datagram(message, { source, destination }), {
          version: content.version,
          virtualRouterID: content.virtualRouterID,
          advertisementIntervalMs: content.advertisementIntervalMs,
          sourceAddress: destination,
          peerAddress: source,
          checksum,
          ...authentication,
        });
        assert.equal(result, { ok: true, advert: content, source: parseIPv4Address(source) });
      },
    ),
    { numRuns: 2000 },
  );
});

test('no bytes make the decoder throw, and one changed byte is never accepted as another advert', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      assert.not(decodeAdvert(bytes, expected(3)).ok);
    }),
    { numRuns: 20_000 },
  );
  const bytes = datagram(GOOD[3]);
  for (let offset = 20; offset < bytes.length; offset++) {
    for (let flip = 1; flip < 256; flip++) {
      const changed = bytes.slice();
      changed[offset] = (changed[offset] ?? 0) ^ flip;
      // A reserved bit is part of the checksum too, so it cannot flip alone.
      assert.not(decodeAdvert(changed, expected(3)).ok, `offset ${offset}, flip ${flip}`);
    }
  }
});

test('reads and writes addresses, and refuses what is none', () => {
  assert.is(parseIPv4Address('255.0.0.1'), 0xff000001);
  assert.is(formatIPv4Address(0xff000001), '255.0.0.1');
  for (const text of ['', '1.2.3', '1.2.3.256', '1.2.3.04', '1.2.3.4.5', 'a.b.c.d', ' 1.2.3.4']) {
    assert.throws(() => parseIPv4Address(text), /is not an IPv4 address/);
  }
});

test.run();
