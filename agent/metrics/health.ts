/**
 * What `/healthz` and `/readyz` of the agent check. To restart an agent costs an election, so `/healthz` fails only for what a
 * restart mends. `/readyz` says whether this node can do its part; an API server that is away, once the pairs run, takes
 * nothing from that: the election goes on.
 */
import { type Check, eventLoopCheck } from '../../runtime/health.ts';
import type { WatchSnapshot } from '../api/watches.ts';
import type { PairSnapshot } from '../pair/snapshot.ts';
import type { AgentSnapshot } from './snapshot.ts';

/**
 * The worker is pinged at least every 15 s, and a ping unanswered for 5 s ends the process: older than that, nobody pings any
 * more.
 */
const STALE_PONG_MS = 30_000;
/** A watch hears a bookmark every minute, or knows why not and tries again. */
const DEAD_WATCH_MS = 180_000;
/** Pairs that one line names. */
const NAMED = 5;

type TakeSnapshot = () => AgentSnapshot;

/** The lines of `/healthz`. `signal` ends the beat of the event loop. */
export const healthChecks = (
  snapshot: TakeSnapshot,
  clock: Parameters<typeof eventLoopCheck>[0],
  signal: AbortSignal,
): Check[] => [eventLoopCheck(clock, signal), workerCheck(snapshot)];

/** The lines of `/readyz`. */
export const readinessChecks = (snapshot: TakeSnapshot): Check[] => [
  apiCheck(snapshot),
  specsCheck(snapshot),
  imdsCheck(snapshot),
  watchesCheck(snapshot),
];

const workerCheck = (snapshot: TakeSnapshot): Check => ({
  name: 'vrrp-worker',
  problem() {
    const { pongAgeMs } = snapshot();
    return pongAgeMs <= STALE_PONG_MS ? undefined : `it has not answered for ${inSeconds(pongAgeMs)}`;
  },
});

/** The API server has answered once since the start, or the pairs run from disk. */
const apiCheck = (snapshot: TakeSnapshot): Check => ({
  name: 'api',
  problem() {
    const { api, pairs } = snapshot();
    if (api.silenceMs !== null || pairs.some(({ isLoaded }) => isLoaded)) return undefined;
    return `the API server has not answered yet, and no pair is on disk: ${api.failure?.message ?? 'the first call is under way'}`;
  },
  note() {
    const { failure, silenceMs } = snapshot().api;
    if (failure === null) return undefined;
    const since = silenceMs === null ? 'since the start' : `for ${inSeconds(silenceMs)}`;
    const what = failure.kind === 'Unauthorized' ? 'it refuses the credential' : 'away';
    return `${what} ${since}, the election goes on: ${failure.message}`;
  },
});

/** Every pair that is known has a spec in force. */
const specsCheck = (snapshot: TakeSnapshot): Check => ({
  name: 'specs',
  problem: () =>
    named(
      snapshot().pairs.filter(({ isLoaded }) => !isLoaded),
      (pair) => pair.status.conditions?.find(({ type }) => type === 'Ready')?.message ?? 'not loaded',
    ),
});

/** IMDS has shown the ENI of every pair on this instance; until then a pair does not run. */
const imdsCheck = (snapshot: TakeSnapshot): Check => ({
  name: 'imds',
  problem: () =>
    named(
      snapshot().pairs.filter(({ isLoaded, isVerified }) => isLoaded && !isVerified),
      () => 'IMDS has not shown its ENI on this instance',
    ),
});

/** A watch that died unnoticed, or that is forbidden, keeps wishes from this node, though the election goes on. */
const watchesCheck = (snapshot: TakeSnapshot): Check => ({
  name: 'watches',
  problem() {
    const { watches } = snapshot();
    const refused = watches.find(({ forbidden }) => forbidden !== null);
    if (refused !== undefined)
      return `the API server forbids to read the namespace ${refused.namespace}: ${refused.forbidden}; give the agents their RoleBinding there (agents.namespaces of the chart), or take it out of namespaces in agent.yaml`;
    const dead = watches.filter(isDead);
    if (dead.length === 0) return undefined;
    const names = dead.map(({ namespace, of }) => `${of} of ${namespace}`).join(', ');
    return `silent without an error for more than ${inSeconds(DEAD_WATCH_MS)}: ${names}; restart the agent of a Backup first`;
  },
});

const isDead = ({ ageMs, isRetrying }: WatchSnapshot): boolean =>
  !isRetrying && ageMs !== null && ageMs > DEAD_WATCH_MS;

const named = (pairs: readonly PairSnapshot[], why: (pair: PairSnapshot) => string): string | undefined => {
  if (pairs.length === 0) return undefined;
  const lines = pairs.slice(0, NAMED).map((pair) => `${pair.key}: ${why(pair)}`);
  const more = pairs.length - lines.length;
  return `${lines.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
};

const inSeconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;
