/** The agent's VRRP thread: the loop of agent/worker/worker-loop.ts, woken by messages, datagrams and its own deadline. */
import type { FromWorker, ToWorker } from '../agent/worker/messages.ts';
import type { RouterLink } from '../agent/worker/virtual-routers.ts';
import type { Pong, VRRPWorker, VRRPWorkerOptions } from '../agent/worker/worker-client.ts';
import { WorkerClock } from '../agent/worker/worker-clock.ts';
import { WorkerLoop } from '../agent/worker/worker-loop.ts';
import type { CancelTimer } from '../runtime/clock.ts';
import type { Process, Timeline } from './time.ts';

/** From one thread to the other. */
const POST_MS = 0.05;
const PING_DEADLINE_MS = 5_000;

/** The machine that the thread runs on. */
type ThreadHost = {
  /** The main thread has told the worker this. */
  order(message: ToWorker): void;
  /** The worker has told the main thread this. */
  hear(message: FromWorker): void;
  openLink(source: string, interfaceName: string): RouterLink;
};

export class VRRPThread {
  readonly #timeline: Timeline;
  readonly #main: Process;
  readonly #thread: Process;
  readonly #host: ThreadHost;
  readonly #options: VRRPWorkerOptions;
  readonly #loop: WorkerLoop;
  readonly #inbox: ToWorker[] = [];
  readonly #pings = new Map<number, (pong: Pong) => void>();
  #stopped: (() => void) | undefined;
  #lastPing = 0;
  #cancel: CancelTimer | undefined;

  constructor(
    timeline: Timeline,
    main: Process,
    thread: Process,
    host: ThreadHost,
    options: VRRPWorkerOptions,
  ) {
    this.#timeline = timeline;
    this.#main = main;
    this.#thread = thread;
    this.#host = host;
    this.#options = options;
    this.#loop = new WorkerLoop({
      receive: () => this.#receive(),
      post: (message) => this.#post(message),
      // No machine is suspended here.
      clock: new WorkerClock(thread.clock.now, thread.clock.now),
      realtime: false,
      openLink: (source, name) => host.openLink(source, name),
    });
  }

  /** What the main thread holds in its hand. */
  get handle(): VRRPWorker {
    return {
      send: (message) => this.#send(message),
      stop: () =>
        new Promise((resolve) => {
          this.#stopped = resolve;
          this.#send({ type: 'stop' });
        }),
      ping: (deadlineMs = PING_DEADLINE_MS) =>
        new Promise((resolve, reject) => {
          const id = ++this.#lastPing;
          const cancel = this.#main.clock.setTimer(deadlineMs, () => {
            this.#pings.delete(id);
            reject(new Error(`the VRRP worker did not answer within ${deadlineMs} ms; its loop hangs`));
          });
          this.#pings.set(id, (pong) => {
            cancel();
            resolve(pong);
          });
          this.#send({ type: 'ping', id });
        }),
    };
  }

  /** A datagram waits in a socket, or time has come. */
  wake(): void {
    this.#thread.deliver(() => this.#turn());
  }

  #send(message: ToWorker): void {
    if (!this.#main.isRunning) return;
    this.#timeline.after(POST_MS, () =>
      this.#thread.deliver(() => {
        this.#inbox.push(message);
        this.#turn();
      }),
    );
  }

  #post(message: FromWorker): void {
    this.#host.hear(message);
    this.#timeline.after(POST_MS, () => this.#main.deliver(() => this.#hear(message)));
  }

  #hear(message: FromWorker): void {
    if (message.type === 'pong') this.#pings.get(message.id)?.(message);
    else if (message.type === 'stopped') this.#stopped?.();
    else this.#options.onMessage(message);
  }

  #turn(): void {
    if (!this.#loop.turn()) {
      this.#thread.kill();
      return;
    }
    this.#cancel?.();
    this.#cancel = this.#thread.clock.setTimer(this.#loop.waitMs, () => this.#turn());
  }

  #receive(): ToWorker | undefined {
    const message = this.#inbox.shift();
    if (message !== undefined) this.#host.order(message);
    return message;
  }
}
