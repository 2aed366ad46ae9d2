/** A million and more packets, random ones and spoiled genuine ones, against a virtual router in every state. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { internetChecksum } from './checksum.ts';
import { parseIPv4Header } from './ipv4.ts';
import { VirtualRouter } from './machine.ts';
import { type Case, DEFAULTS, enter, peerDatagram, withChanges } from './testing/case-steps.ts';
import { REJECT_CAUSES, type VirtualRouterConfig } from './types.ts';

/** For each of the eleven routers; together it is over a million. */
const PACKETS = 110_000;
const INITIAL: Case['initial'][] = ['Init', 'Backup', 'NewMaster', 'Master', 'Fault'];
const CONFIGS: VirtualRouterConfig[] = [
  DEFAULTS,
  withChanges(DEFAULTS, { version: 2, password: 's3cr3t42' }),
];
/** Within it no timer of any router is due. */
const NOW = 5;

/** Numbers that a seed decides (xorshift32), so that a failure comes again. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** An integer of 0 to `limit` - 1. */
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % limit;
  }
}

const genuine = (config: VirtualRouterConfig): Uint8Array[] => [
  ...[0, 1, 99, 100, 101, 255].map((priority) => peerDatagram(config, { priority })),
  peerDatagram(config, { vips: Array.from({ length: 40 }, (_, index) => `10.77.1.${index}`) }),
];

const randomBytes = (dice: Dice): Uint8Array => {
  const bytes = new Uint8Array(dice.below(96));
  for (let index = 0; index < bytes.length; index++) bytes[index] = dice.below(256);
  return bytes;
};

/** Some bytes changed, or the end cut off, or something added. */
const spoil = (dice: Dice, datagram: Uint8Array): Uint8Array => {
  const kind = dice.below(8);
  if (kind === 0) return datagram.slice(0, dice.below(datagram.length));
  const bytes = new Uint8Array(datagram.length + (kind === 1 ? 1 + dice.below(16) : 0));
  bytes.set(datagram);
  for (let changes = 1 + dice.below(3); changes > 0; changes--) {
    bytes[dice.below(bytes.length)] = dice.below(256);
  }
  return bytes;
};

/** The lengths and checksum of a spoiled datagram put right, so that it gets past them. */
const reseal = (bytes: Uint8Array, version: number): Uint8Array => {
  if (bytes.length < 28) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint16(2, bytes.length);
  const header = parseIPv4Header(bytes);
  const message = bytes.subarray(header?.headerLength ?? bytes.length);
  if (header === null || message.length < 8) return bytes;
  message.fill(0, 6, 8);
  const checksum = internetChecksum(message, version === 3 ? header : null);
  view.setUint16(header.headerLength + 6, checksum);
  return bytes;
};

const packet = (dice: Dice, originals: readonly Uint8Array[], version: number): Uint8Array => {
  const kind = dice.below(4);
  if (kind === 0) return randomBytes(dice);
  const spoiled = spoil(dice, originals[dice.below(originals.length)] ?? new Uint8Array());
  return kind === 1 ? spoiled : reseal(spoiled, version);
};

/** Sends the packets to routers in that state. @returns how many there were of each verdict. */
const bombard = (dice: Dice, config: VirtualRouterConfig, initial: Case['initial']): Map<string, number> => {
  const originals = genuine(config);
  const fresh = (): VirtualRouter => {
    const router = new VirtualRouter(config);
    enter(router, initial, config);
    return router;
  };
  const verdicts = new Map<string, number>();
  let router = fresh();
  for (let count = 0; count < PACKETS; count++) {
    const { state } = router;
    const deadline = router.nextTimeout();
    const bytes = packet(dice, originals, config.version);
    const outputs = router.handleDatagram(NOW, bytes);
    const [first] = outputs;
    const heard = state.name === 'Init' ? 'unheard' : 'accepted';
    const verdict = first?.type === 'rejected' ? first.cause : heard;
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    const isUntouched = router.state === state && router.nextTimeout() === deadline;
    if (verdict === 'unheard') {
      if (outputs.length > 0 || !isUntouched) fail(bytes, 'Init has heard it');
    } else if (verdict === 'accepted') {
      const after = router.nextTimeout();
      if (outputs.length > 4 || (after !== null && after < NOW))
        fail(bytes, `answered with ${outputs.length}`);
      if (!isUntouched) router = fresh();
    } else if (outputs.length !== 1 || !isUntouched) fail(bytes, `${verdict}, and state or timer touched`);
  }
  // Nothing was kept for later.
  assert.equal(router.handleTimeout(NOW), []);
  return verdicts;
};

const fail = (bytes: Uint8Array, what: string): never => {
  throw new Error(`${Buffer.from(bytes).toString('hex')}: ${what}`);
};

const all = new Map<string, number>();
const runs = CONFIGS.flatMap((config) => INITIAL.map((initial) => ({ config, initial })));
for (const [index, { config, initial }] of [
  ...runs,
  // The owner of the addresses, which starts as Master.
  { config: withChanges(DEFAULTS, { priority: 255 }), initial: 'Backup' as const },
].entries()) {
  const { version, priority } = config;
  test(`v${version}, ${initial}, priority ${priority}: no packet throws, and a rejected one touches nothing`, () => {
    const verdicts = bombard(new Dice(0x9e3779b9 ^ (index + 1)), config, initial);
    for (const [verdict, count] of verdicts) all.set(verdict, (all.get(verdict) ?? 0) + count);
    const total = [...verdicts.values()].reduce((sum, count) => sum + count, 0);
    assert.is(total, PACKETS);
  });
}

test('they were a million at least, reached every check, and got past all of them often enough', () => {
  const total = [...all.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(total >= 1_000_000, `${total} packets`);
  assert.equal(
    REJECT_CAUSES.filter((cause) => !all.has(cause)),
    [],
  );
  assert.ok((all.get('accepted') ?? 0) > 10_000, `${all.get('accepted')} accepted`);
});

test.run();
