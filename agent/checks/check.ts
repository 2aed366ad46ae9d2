/** One health check of one pair: has it run period after period, one run at a time, and keeps the verdict. */
import type { HealthCheck } from '../../crds/types.ts';
import { type CancelTimer, type Clock, sleep } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { type CheckFinding, judge, noVerdict, type Outcome, type Verdict } from '../rules/verdict.ts';
import type { Gate } from './gate.ts';
import type { CheckPlace, CheckRunner, CheckSnapshot } from './types.ts';

/** What a check needs of its surroundings. */
export type CheckOptions = {
  place: CheckPlace;
  runner: CheckRunner;
  /** Passed by each run. */
  gate: Gate;
  clock: Clock;
  /** When the first run comes, in [0, 1) of a second. */
  phase: number;
  /** Called when the verdict or its message has changed; `isNew`: the verdict has. */
  onFinding: (isNew: boolean) => void;
};

/** The first run comes within so long. */
const FIRST_RUN_MS = 1_000;
/** A deadline that is noticed so late was slept through, and the answer too may have come in time. */
const OVERSLEPT_MS = 1_000;

export class Check {
  readonly #options: CheckOptions;
  readonly #ending = new AbortController();
  readonly #runs: CheckSnapshot['runs'];
  #spec: HealthCheck;
  #verdict: Verdict;
  #lastDurationMs: number | null = null;
  /** The last run, which may not have ended even though its time is over: nothing ends a process that hangs in the kernel. */
  #running: Promise<unknown> | null = null;
  #startedAtMs: number;
  #timer: { atMs: number; cancel: CancelTimer } | undefined;

  /** @param runs what a check of that name has counted before */
  constructor(spec: HealthCheck, options: CheckOptions, runs?: CheckSnapshot['runs']) {
    this.#spec = spec;
    this.#options = options;
    this.#runs = runs ?? { success: 0, failure: 0, timeout: 0 };
    this.#verdict = noVerdict(options.clock.wall());
    this.#startedAtMs = options.clock.now();
    this.#wake(this.#startedAtMs + options.phase * FIRST_RUN_MS);
  }

  /** True when `spec` asks for the same thing at the same place: the verdict on it stands. */
  asksFor(spec: HealthCheck, place: CheckPlace): boolean {
    return actionOf(spec, place) === actionOf(this.#spec, this.#options.place);
  }

  /** Goes on with other times and thresholds. */
  retime(spec: HealthCheck): void {
    this.#spec = spec;
    if (this.#timer !== undefined) this.#wake(Math.min(this.#timer.atMs, this.#startedAtMs + this.#periodMs));
  }

  get spec(): HealthCheck {
    return this.#spec;
  }

  get finding(): CheckFinding {
    const { healthy, message, sinceMs } = this.#verdict;
    return { name: this.#spec.name, healthy, message, sinceMs };
  }

  get snapshot(): CheckSnapshot {
    const { healthy } = this.#verdict;
    const { pair } = this.#options.place;
    const lastDurationMs = this.#lastDurationMs;
    return { pair, name: this.#spec.name, healthy, runs: { ...this.#runs }, lastDurationMs };
  }

  /** No further run; one under way is ended and says nothing any more. */
  stop(): void {
    this.#ending.abort();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get #periodMs(): number {
    return this.#spec.periodSeconds * 1_000;
  }

  #wake(atMs: number): void {
    this.#timer?.cancel();
    const delayMs = Math.max(0, atMs - this.#options.clock.now());
    const cancel = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      void this.#run();
    });
    this.#timer = { atMs, cancel };
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    const { clock, gate, place } = this.#options;
    if (await this.#isStuck()) {
      if (signal.aborted) return;
      this.#take(stuck);
      return this.#wake(clock.now());
    }
    const leave = await this.#turn(gate.enter(place.pair, signal));
    if (leave === null) return;
    this.#startedAtMs = clock.now();
    const outcome = await this.#runInTime();
    leave();
    if (signal.aborted) return;
    if (outcome !== null) this.#take(outcome);
    this.#wake(this.#startedAtMs + this.#periodMs);
  }

  /** The way out, once it is this check's turn. A node that does not know how its application does says so in time. */
  async #turn<Way>(entering: Promise<Way>): Promise<Way> {
    const { clock } = this.#options;
    const entered = new AbortController();
    void entering.then(() => entered.abort());
    const signal = AbortSignal.any([entered.signal, this.#ending.signal]);
    let waitMs = this.#spec.timeoutSeconds * 1_000;
    while (!signal.aborted) {
      const dueMs = clock.now() + waitMs;
      await Promise.race([entering, sleep(clock, waitMs, signal)]);
      if (!signal.aborted && clock.now() - dueMs <= OVERSLEPT_MS) this.#take(starved);
      waitMs = this.#periodMs;
    }
    return entering;
  }

  /** The run before has not ended, not even within another period. */
  async #isStuck(): Promise<boolean> {
    if (this.#running === null) return false;
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, this.#ending.signal]);
    await Promise.race([this.#running, sleep(this.#options.clock, this.#periodMs, signal)]);
    waiting.abort();
    return this.#running !== null;
  }

  /** @returns null when this process slept through the deadline: then the run says nothing. */
  async #runInTime(): Promise<Outcome | null> {
    const { clock, runner, place } = this.#options;
    const { timeoutSeconds } = this.#spec;
    const deadlineMs = clock.now() + timeoutSeconds * 1_000;
    const ending = new AbortController();
    const late = Promise.withResolvers<Outcome | null>();
    const cancel = clock.setTimer(timeoutSeconds * 1_000, () =>
      late.resolve(clock.now() - deadlineMs > OVERSLEPT_MS ? null : timedOut(timeoutSeconds)),
    );
    const running = runner(this.#spec, place, AbortSignal.any([ending.signal, this.#ending.signal]))
      .catch((error: unknown): Outcome => brokenRunner(error))
      .finally(() => {
        this.#running = null;
      });
    this.#running = running;
    const outcome = await Promise.race([running, late.promise]);
    cancel();
    ending.abort();
    this.#lastDurationMs = clock.now() - this.#startedAtMs;
    return outcome;
  }

  #take(outcome: Outcome): void {
    this.#runs[outcome.result] += 1;
    const before = this.#verdict;
    this.#verdict = judge(before, outcome, this.#spec, this.#options.clock.wall());
    const { healthy, message } = this.#verdict;
    const isNew = healthy !== before.healthy;
    if (isNew || message !== before.message) this.#options.onFinding(isNew);
  }
}

/** What a check asks, and of whom: times and thresholds apart, this is what its verdict is about. */
const actionOf = ({ httpGet, tcpSocket, command }: HealthCheck, { sourceAddress }: CheckPlace): string => {
  const host = httpGet?.host ?? tcpSocket?.host ?? (command === undefined ? sourceAddress : '');
  const { port, path, scheme } = { path: '', scheme: '', port: 0, ...tcpSocket, ...httpGet };
  return JSON.stringify([host, port, path, scheme, command?.name ?? '']);
};

const timedOut = (timeoutSeconds: number): Outcome => ({
  result: 'timeout',
  cause: 'timeout',
  message: `no result within ${timeoutSeconds} s (timeoutSeconds)`,
});

const stuck: Outcome = {
  result: 'timeout',
  cause: 'stuck',
  message: 'the run before has not ended, though it was killed: look for a file system that hangs',
};

const starved: Outcome = {
  result: 'timeout',
  cause: 'starved',
  message:
    "no place to run in time: checks of this node hang, the pair's own or those of more pairs than there are places",
};

const brokenRunner = (error: unknown): Outcome => {
  const message = messageOf(error);
  return { result: 'failure', cause: message, message };
};
