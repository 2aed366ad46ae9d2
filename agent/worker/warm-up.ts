/**
 * A worker lives for months and claims once: the code of that one moment would be read, compiled and linked only then, which
 * takes most of a millisecond. So it is run before it is needed, in virtual time on a link that leads nowhere.
 */
import { networkInterfaces } from 'node:os';
import { ipv4Datagram } from '../vrrp/datagrams.ts';
import { encodeAdvert } from '../vrrp/packet.ts';
import { missingOf } from './link.ts';
import type { WorkerConfig } from './messages.ts';
import { socketOn } from './socket.ts';
import { type RouterLink, VirtualRouters } from './virtual-routers.ts';

/** More would be quicker by microseconds; this takes some twenty milliseconds. */
const ROUNDS = 3;

const CONFIG: WorkerConfig = {
  version: 3,
  virtualRouterID: 1,
  priority: 100,
  advertisementIntervalMs: 100,
  checksum: 'Pseudoheader',
  sourceAddress: '192.0.2.1',
  peerAddress: '192.0.2.2',
  interface: 'lo',
  vips: ['192.0.2.3'],
};
const PASSWORD = new TextEncoder().encode('password');

/** What a Master does in its life, in both versions of the protocol. @returns how many adverts would have left */
export const warmUp = (rounds = ROUNDS): number => {
  let sent = 0;
  for (let round = 0; round < rounds; round++) {
    sent += play(CONFIG);
    sent += play({ ...CONFIG, version: 2, advertisementIntervalMs: 1000, password: PASSWORD });
  }
  return sent;
};

const play = (config: WorkerConfig): number => {
  const { link, routers, hear, untilTimeouts } = createDummyRouter(config);
  hear(advertOfPeer(config, 200));
  untilTimeouts(12); // claims, settles, advertises
  for (const priority of [50, 200, 0]) hear(advertOfPeer(config, priority));
  untilTimeouts(4); // claims after a resignation
  routers.stop();
  return link.sent;
};

/** A claim sends at once; it is given up after so many timeouts, though none is expected to be without. */
const MOST_TIMEOUTS = 5;

/**
 * Prepares a rehearsal: a claim that sends nothing, to be made shortly before a real one, because the processor's caches have
 * lost its code since the start. It takes some tenths of a millisecond.
 * @returns what makes the claim, and then tells how many adverts would have left
 */
export const createClaimWarmUp = (): (() => number) => {
  const { link, hear, untilTimeouts } = createDummyRouter(CONFIG);
  const advert = advertOfPeer(CONFIG, 200);
  return () => {
    hear(advert);
    const before = link.sent;
    for (let count = 0; link.sent === before && count < MOST_TIMEOUTS; count++) untilTimeouts(1);
    return link.sent - before;
  };
};

const createDummyRouter = (config: WorkerConfig) => {
  const link = new DummyLink();
  let now = 0;
  const routers = new VirtualRouters(
    () => now,
    () => undefined,
    () => link,
  );
  routers.handleMessage({ type: 'set', pair: 'warm-up', config });
  return {
    link,
    routers,
    hear(advert: Uint8Array): void {
      link.waiting.push(advert);
      routers.drain();
    },
    untilTimeouts(count: number): void {
      for (let turn = 0; turn < count; turn++) {
        now = routers.nextTimeout();
        routers.drain();
        routers.handleTimeouts();
      }
    },
  };
};

const advertOfPeer = (config: WorkerConfig, priority: number): Uint8Array => {
  const route = { source: config.peerAddress, destination: config.sourceAddress };
  const { checksum, password, vips } = config;
  const secret = password === undefined ? { checksum } : { checksum, password };
  return ipv4Datagram(encodeAdvert({ ...config, priority, addresses: vips }, { ...route, ...secret }), route);
};

/** Looks and sends as a link does, but its descriptor is none: nothing leaves the machine. */
class DummyLink implements RouterLink {
  readonly waiting: Uint8Array[] = [];
  sent = 0;
  readonly fault = null;
  readonly #nowhere = socketOn(-1, -1, 'lo');

  readonly socket = {
    fd: -1,
    send: (destination: string, message: Uint8Array) => {
      this.#nowhere.send(destination, message);
      this.sent += 1;
      return { ok: true } as const;
    },
    warmRoute: (destination: string) => this.#nowhere.warmRoute(destination),
    receive: () => this.waiting.shift() ?? null,
    admit: () => undefined,
    receiveStranger: () => null,
    waitedMs: () => this.#nowhere.waitedMs(),
    close: () => undefined,
  };

  check(): boolean {
    missingOf(networkInterfaces(), CONFIG.interface, CONFIG.sourceAddress);
    return false;
  }

  admit(): void {}
  lose(): void {}
  close(): void {}
}
