/**
 * The loop of the VRRP worker, without its waiting: in which order messages, datagrams and timers have their turn. None of the
 * three can keep another waiting for ever.
 */
import type { FromWorker, ToWorker } from './messages.ts';
import { type OpenLink, VirtualRouters } from './virtual-routers.ts';
import type { WorkerClock } from './worker-clock.ts';

/** The longest wait: bounds how late a link's loss is seen and how long an end without `stop` takes. */
const LONGEST_WAIT_MS = 1000;
/** So many messages in a row, then datagrams and timers have their turn. */
const MESSAGES_AT_ONCE = 64;

/** What the loop asks of the thread that it runs in. */
export type LoopPorts = {
  /** The next message that waits; undefined: none. */
  receive(): ToWorker | undefined;
  post(message: FromWorker): void;
  clock: WorkerClock;
  /** What a `pong` says of this thread's scheduling. */
  realtime: boolean;
  /** Default: the machine's links. */
  openLink?: OpenLink;
};

export class WorkerLoop {
  readonly #ports: LoopPorts;
  readonly #routers: VirtualRouters;
  /** There may be messages that nobody wakes us for. */
  #hasBacklog = true;

  constructor(ports: LoopPorts) {
    this.#ports = ports;
    this.#routers = new VirtualRouters(ports.clock.now, (message) => this.#post(message), ports.openLink);
  }

  /** How long to wait for a message or a datagram before the next turn, in milliseconds; not below 0. */
  get waitMs(): number {
    if (this.#hasBacklog) return 0;
    const untilTimeout = this.#routers.nextTimeout() - this.#ports.clock.now();
    return Math.max(0, Math.min(LONGEST_WAIT_MS, untilTimeout));
  }

  /** To be woken takes a tenth of a millisecond: for the last moments before a claim a thread had better not sleep. */
  get isAboutToClaim(): boolean {
    return this.#routers.isAboutToClaim();
  }

  /** The sockets to wait for. */
  descriptors(): number[] {
    return this.#routers.descriptors();
  }

  /** After each wait. @returns false when it has been told to stop */
  turn(): boolean {
    this.#ports.clock.wakeUp();
    // What was said before a datagram came decides over it: an acknowledged set of parameters is in force.
    if (!this.#listen()) return false;
    // Everything that has arrived is heard before a timer is believed.
    this.#routers.drain();
    // What was said meanwhile decides over what a timer sends.
    if (!this.#listen()) return false;
    this.#routers.handleTimeouts();
    return true;
  }

  /** Takes the messages that wait. @returns false after `stop` */
  #listen(): boolean {
    this.#hasBacklog = false;
    for (let count = 0; count < MESSAGES_AT_ONCE; count++) {
      const message = this.#ports.receive();
      if (message === undefined) return true;
      if (message.type === 'stop') {
        this.#routers.stop();
        this.#ports.post({ type: 'stopped' });
        return false;
      }
      this.#obey(message);
    }
    this.#hasBacklog = true;
    return true;
  }

  #obey(message: Exclude<ToWorker, { type: 'stop' }>): void {
    if (message.type === 'ping') this.#answer(message.id);
    else if (message.type === 'set' && message.resume !== undefined) {
      const { fault } = message.resume;
      const lastAdvertAtMs = this.#ports.clock.fromMonotonic(message.resume.lastAdvertAtMs);
      this.#routers.handleMessage({ ...message, resume: { lastAdvertAtMs, fault } });
    } else this.#routers.handleMessage(message);
  }

  #answer(id: number): void {
    const { clock, realtime, post } = this.#ports;
    const adverts = Object.entries(this.#routers.lastAdvertAtMs());
    const lastAdvertAtMs = Object.fromEntries(adverts.map(([pair, at]) => [pair, clock.toMonotonic(at)]));
    post({ type: 'pong', id, lastAdvertAtMs, realtime, stats: this.#routers.stats() });
  }

  #post(message: FromWorker): void {
    const { clock, post } = this.#ports;
    post('atMs' in message ? { ...message, atMs: clock.toMonotonic(message.atMs) } : message);
  }
}
