/**
 * Virtual time. Everything that happens is a step at an instant; between two steps every promise settles. So one thread runs
 * the whole system, and a seed repeats it exactly.
 */
import type { CancelTimer, Clock } from '../runtime/clock.ts';

/** Unix milliseconds at instant 0. */
const EPOCH_MS = Date.UTC(2026, 10, 22, 10);

type Step = { atMs: number; order: number; fire: () => void; isCancelled: boolean };

/** More steps at one instant than any system that comes to rest makes. */
const STEPS_PER_INSTANT = 20_000;

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The order of all that happens. */
export class Timeline {
  #nowMs = 0;
  #order = 0;
  /** A binary heap: the next step is the first. */
  readonly #steps: Step[] = [];

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Steps of one instant happen in the order in which they were asked for. */
  after(delayMs: number, fire: () => void): CancelTimer {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const step = { atMs, order: this.#order++, fire, isCancelled: false };
    this.#push(step);
    return () => {
      step.isCancelled = true;
    };
  }

  /** Lets time pass. `afterStep` looks at the world between any two steps; true ends it early. */
  async run(durationMs: number, afterStep: () => boolean | undefined): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    let instantMs = this.#nowMs;
    let steps = 0;
    await settle();
    for (let next = this.#steps[0]; next !== undefined && next.atMs <= untilMs; next = this.#steps[0]) {
      this.#pop();
      if (next.isCancelled) continue;
      steps = next.atMs === instantMs ? steps + 1 : 0;
      instantMs = next.atMs;
      if (steps > STEPS_PER_INSTANT)
        throw new Error(`the system never comes to rest at ${Math.round(this.#nowMs)} ms`);
      this.#nowMs = next.atMs;
      next.fire();
      await settle();
      if (afterStep() === true) return;
    }
    this.#nowMs = untilMs;
  }

  #push(step: Step): void {
    const heap = this.#steps;
    let at = heap.push(step) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, step)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = step;
  }

  #pop(): void {
    const heap = this.#steps;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = child === left ? 2 * at + 1 : 2 * at + 2;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Step, b: Step): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/**
 * A process, or one thread of it: it runs, is stopped (SIGSTOP) or is dead (SIGKILL). What arrives while it is stopped waits;
 * what it had begun when it died is heard of no more.
 */
export class Process {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #offsetMs: number;
  #state: 'Running' | 'Stopped' | 'Dead' = 'Running';
  #waiting: (() => void)[] = [];

  /** @param bootMs what its machine's monotonic clock showed at instant 0; no two machines agree */
  constructor(timeline: Timeline, name: string, bootMs: number) {
    this.#timeline = timeline;
    this.name = name;
    this.#offsetMs = bootMs;
  }

  readonly clock: Clock = {
    now: () => this.#timeline.nowMs + this.#offsetMs,
    wall: () => EPOCH_MS + this.#timeline.nowMs,
    setTimer: (delayMs, fire) => {
      let isCancelled = false;
      const cancel = this.#timeline.after(delayMs, () => this.deliver(() => isCancelled || fire()));
      return () => {
        isCancelled = true;
        cancel();
      };
    },
  };

  get isRunning(): boolean {
    return this.#state === 'Running';
  }

  get isDead(): boolean {
    return this.#state === 'Dead';
  }

  /** Something reaches the process from outside, or from its own past. */
  deliver(what: () => void): void {
    if (this.#state === 'Running') what();
    else if (this.#state === 'Stopped') this.#waiting.push(what);
  }

  /** SIGSTOP. */
  stop(): void {
    if (this.#state === 'Running') this.#state = 'Stopped';
  }

  /** SIGCONT: what waited comes one after another. */
  resume(): void {
    if (this.#state !== 'Stopped') return;
    this.#state = 'Running';
    for (const what of this.#waiting.splice(0)) this.#timeline.after(0, () => this.deliver(what));
  }

  /** SIGKILL. */
  kill(): void {
    this.#state = 'Dead';
    this.#waiting = [];
  }
}

/** Never answered. */
export const never = <T>(): Promise<T> => new Promise(() => undefined);

/** Wall time of an instant, as the API writes it. */
export const wallAt = (timelineMs: number): number => EPOCH_MS + timelineMs;
