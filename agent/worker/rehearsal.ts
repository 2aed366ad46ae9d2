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
const PASSWORD = new TextEncoder().encode('rehearse');

/** What a Master does in its life, in both versions of the protocol. @returns how many adverts would have left */
export const rehearse = (rounds = ROUNDS): number => {
  let sent = 0;
  for (let round = 0; round < rounds; round++) {
    sent += play(CONFIG);
    sent += play({ ...CONFIG, version: 2, advertisementIntervalMs: 1000, password: PASSWORD });
  }
  return sent;
};

const play = (config: WorkerConfig): number => {
  const { stage, routers, hear, untilTimeouts } = raiseCurtain(config);
  hear(advertOfPeer(config, 200));
  untilTimeouts(12); // claims, settles, advertises
  for (const priority of [50, 200, 0]) hear(advertOfPeer(config, priority));
  untilTimeouts(4); // claims after a resignation
  routers.stop();
  return stage.sent;
};

/** A claim sends at once; it is given up after so many timeouts, though none is expected to be without. */
const MOST_TIMEOUTS = 5;

/**
 * One claim, to be rehearsed shortly before a real one: its code has run at the start, and the processor's caches have
 * forgotten it. It takes some tenths of a millisecond. @returns what rehearses it, and then tells how many adverts would have left
 */
export const prepareClaim = (): (() => number) => {
  const { stage, hear, untilTimeouts } = raiseCurtain(CONFIG);
  const advert = advertOfPeer(CONFIG, 200);
  return () => {
    hear(advert);
    const before = stage.sent;
    for (let count = 0; stage.sent === before && count < MOST_TIMEOUTS; count++) untilTimeouts(1);
    return stage.sent - before;
  };
};

const raiseCurtain = (config: WorkerConfig) => {
  const stage = new Stage();
  let now = 0;
  const routers = new VirtualRouters(
    () => now,
    () => undefined,
    () => stage,
  );
  routers.handleMessage({ type: 'set', pair: 'rehearsal', config });
  return {
    stage,
    routers,
    hear(advert: Uint8Array): void {
      stage.waiting.push(advert);
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
class Stage implements RouterLink {
  readonly waiting: Uint8Array[] = [];
  sent = 0;
  readonly fault = null;
  readonly #nowhere = socketOn(-1, 'lo');

  readonly socket = {
    fd: -1,
    send: (destination: string, message: Uint8Array) => {
      this.#nowhere.send(destination, message);
      this.sent += 1;
      return { ok: true } as const;
    },
    rehearse: (destination: string) => this.#nowhere.rehearse(destination),
    receive: () => this.waiting.shift() ?? null,
    waitedMs: () => this.#nowhere.waitedMs(),
    close: () => undefined,
  };

  check(): boolean {
    missingOf(networkInterfaces(), CONFIG.interface, CONFIG.sourceAddress);
    return false;
  }

  lose(): void {}
  close(): void {}
}
