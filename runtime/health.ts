/**
 * `/healthz` and `/readyz` by Kubernetes' conventions ("Kubernetes API health endpoints"): 200 `ok`, or 500 with a line per
 * check; `?verbose` shows the lines in any case, `?exclude=NAME` leaves a check out.
 *
 * Neither asks whether this process leads: a standby is healthy and ready. And health does not fail because the API server or EC2
 * is away: a restart would mend nothing and would lose what is known. Readiness may, so that it can be seen.
 */
import { messageOf } from './error-text.ts';

/** One line: its name, and what is wrong; undefined: nothing. */
export type Check = {
  name: string;
  problem(): string | undefined;
  /** What is worth saying although it fails nothing; undefined, or absent: nothing. */
  note?(): string | undefined;
};

export type HealthAnswer = { status: 200 | 500; body: string };

/** The answer to a health request. @param endpoint such as `healthz` */
export const healthAnswer = (
  endpoint: string,
  checks: readonly Check[],
  query: URLSearchParams,
): HealthAnswer => {
  const excluded = query.getAll('exclude');
  let failed = false;
  const lines = checks.map(({ name, problem, note }) => {
    if (excluded.includes(name)) return `[+]${name} excluded: ok\n`;
    const found = problem();
    if (found === undefined) return `[+]${name} ok${withColon(note?.())}\n`;
    failed = true;
    return `[-]${name} failed: ${found}\n`;
  });
  if (failed) return { status: 500, body: `${lines.join('')}${endpoint} check failed\n` };
  const body = query.has('verbose') ? `${lines.join('')}${endpoint} check passed\n` : 'ok';
  return { status: 200, body };
};

const withColon = (text: string | undefined): string => (text === undefined ? '' : `: ${text}`);

/** A beat of the event loop this old means that it does nothing but one thing. */
const STALE_BEAT_MS = 10_000;
const BEAT_MS = 1_000;

type Timers = {
  now(): number;
  setTimer(delayMs: number, fire: () => void): () => void;
};

/** The event loop turns: a timer of a second was served within the last ten. */
export const eventLoopCheck = (clock: Timers, signal: AbortSignal): Check => {
  let lastBeatMs = clock.now();
  const beat = (): void => {
    lastBeatMs = clock.now();
    if (!signal.aborted) cancel = clock.setTimer(BEAT_MS, beat);
  };
  let cancel = clock.setTimer(BEAT_MS, beat);
  signal.addEventListener('abort', () => cancel(), { once: true });
  return {
    name: 'event-loop',
    problem() {
      const ageMs = clock.now() - lastBeatMs;
      return ageMs <= STALE_BEAT_MS ? undefined : `no timer was served for ${Math.round(ageMs / 1000)} s`;
    },
  };
};

/** A task that must run as long as the process does. */
export const taskCheck = (name: string, task: Promise<unknown>): Check => {
  let ended: string | undefined;
  task.then(
    (word) => {
      ended = `it has ended${typeof word === 'string' ? `: ${word}` : ''}`;
    },
    (error: unknown) => {
      ended = messageOf(error);
    },
  );
  return { name, problem: () => ended };
};

/** What of a store tells whether its watch still works. */
export type Watched = {
  lastContactMs(): number;
  /** The last error, while it retries. */
  error(): Error | undefined;
};

/**
 * A watch hears a bookmark every minute, or knows why not and tries again: one that does neither has stopped working, which
 * only a restart mends.
 */
const DEAD_WATCH_MS = 180_000;

/** A watch works, or says what it is waiting for. */
export const watchCheck = (plural: string, store: Watched, clock: Pick<Timers, 'now'>): Check => {
  const startedMs = clock.now();
  return {
    name: `watch-${plural}`,
    problem() {
      const silentMs = clock.now() - Math.max(store.lastContactMs(), startedMs);
      if (store.error() !== undefined || silentMs <= DEAD_WATCH_MS) return undefined;
      return `silent for ${Math.round(silentMs / 1000)} s without an error: the watch has stopped`;
    },
  };
};

/** A store has a complete list. */
export const syncedCheck = (
  plural: string,
  store: Pick<Watched, 'error'> & { synced: Promise<void> },
): Check => {
  let isSynced = false;
  void store.synced.then(() => {
    isSynced = true;
  });
  return {
    name: `${plural}-synced`,
    problem: () => (isSynced ? undefined : (store.error()?.message ?? 'the first list is under way')),
  };
};
