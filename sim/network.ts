/** The VPC between the nodes, for IP protocol 112: cut one way, lossy, slow. */
import type { Random } from './random.ts';
import type { Timeline } from './time.ts';

/** One direction. */
export class Link {
  isCut = false;
  /** 0 to 1. */
  loss = 0;
  delayMs = 0.3;

  get isClean(): boolean {
    return !this.isCut && this.loss === 0 && this.delayMs < 5;
  }
}

export type Datagram = { from: string; to: string; bytes: Uint8Array };

export class Network {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #links = new Map<string, Link>();
  readonly #receivers = new Map<string, (datagram: Datagram) => void>();

  constructor(timeline: Timeline, random: Random) {
    this.#timeline = timeline;
    this.#random = random;
  }

  /** The path from one address to another. */
  link(from: string, to: string): Link {
    const name = `${from} ${to}`;
    const link = this.#links.get(name) ?? new Link();
    this.#links.set(name, link);
    return link;
  }

  links(): Link[] {
    return [...this.#links.values()];
  }

  attach(address: string, receive: (datagram: Datagram) => void): void {
    this.#receivers.set(address, receive);
  }

  /** What reaches `address` goes through `guard` from now on. */
  guard(address: string, guard: (datagram: Datagram, deliver: () => void) => void): void {
    const receive = this.#receivers.get(address);
    if (receive === undefined) throw new Error(`nobody has ${address}`);
    this.#receivers.set(address, (datagram) => guard(datagram, () => receive(datagram)));
  }

  send(datagram: Datagram): void {
    const link = this.link(datagram.from, datagram.to);
    if (link.isCut || this.#random.chance(link.loss)) return;
    this.#timeline.after(link.delayMs, () => {
      // What is on its way when the path is cut is lost.
      if (!link.isCut) this.#receivers.get(datagram.to)?.(datagram);
    });
  }
}
