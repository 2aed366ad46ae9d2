/** Metrics that are looked up when somebody asks: what waits, what is left, who leads. Explained in docs/metrics.md. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** What a queue of pairs says of itself. */
type QueueLook = {
  /** Keys that wait now, delayed ones apart. */
  depth(): number;
  /** Keys that a worker has. */
  processing(): number;
  /** Failed keys that were put back, since the start. */
  retries(): number;
  /** How long the oldest waiting key has waited; 0 without one. */
  oldestWaitingMs(): number;
};

/** What a store of watched objects says of itself. */
type WatchLook = {
  /** Monotonic time of the last sign of life of the API server. */
  lastContactMs(): number;
  stats(): { relists: number; reconnects: number; events: number };
};

/** A token bucket of the EC2 call budget. */
type BudgetLook = { region: string; action: string; tokens: number; waiting: number };

export type GaugeSources = {
  queue: QueueLook;
  /** By the plural of what is watched. */
  watches: Readonly<Record<string, WatchLook>>;
  budget: () => readonly BudgetLook[];
  isLeader: () => boolean;
  /** How often the Lease changed hands, as the Lease itself counts. */
  leaseTransitions: () => number;
  eventsDropped: () => number;
  /** Monotonic milliseconds. */
  now: () => number;
};

/** Registers them all; to be called once per registry. */
export const exposeGauges = (registry: Registry, sources: GaugeSources): void => {
  const { queue, isLeader, leaseTransitions, eventsDropped } = sources;
  const registers = [registry];

  const gauge = (name: string, help: string, look: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(look());
      },
    });
  };
  /** A total that somebody else counts. */
  const counter = (name: string, help: string, look: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(look());
      },
    });
  };

  gauge('hapair_leader', 'Whether this process leads and makes the writes: 1 or 0.', () =>
    isLeader() ? 1 : 0,
  );
  counter(
    'hapair_leader_transitions_total',
    'How often leadership passed to another process, as the Lease counts it: the same for every replica.',
    leaseTransitions,
  );
  gauge('hapair_workqueue_depth', 'Pairs that wait for a step of the loop.', () => queue.depth());
  gauge('hapair_workqueue_processing', 'Pairs of which a step is under way.', () => queue.processing());
  gauge(
    'hapair_workqueue_longest_wait_seconds',
    'How long the pair that has waited longest has waited for its step.',
    () => queue.oldestWaitingMs() / 1000,
  );
  counter('hapair_workqueue_retries_total', 'Steps put back into the queue because they failed.', () =>
    queue.retries(),
  );
  counter(
    'hapair_events_dropped_total',
    'Kubernetes Events that were given up: too many at once, or refused.',
    eventsDropped,
  );
  exposeWatches(registry, sources);
  exposeBudget(registry, sources);
};

const exposeWatches = (registry: Registry, { watches, now }: GaugeSources): void => {
  const registers = [registry];
  const names = Object.entries(watches);
  new Gauge({
    name: 'hapair_watch_age_seconds',
    help: 'Time since the API server last said anything on a watch; it says something every minute.',
    labelNames: ['resource'],
    registers,
    collect() {
      for (const [resource, store] of names) {
        const ageMs = now() - store.lastContactMs();
        // Before the first contact there is no age to show.
        if (Number.isFinite(ageMs)) this.set({ resource }, ageMs / 1000);
      }
    },
  });
  const watchCounter = (name: string, help: string, look: (store: WatchLook) => number): void => {
    new Counter({
      name,
      help,
      labelNames: ['resource'],
      registers,
      collect() {
        this.reset();
        for (const [resource, store] of names) this.inc({ resource }, look(store));
      },
    });
  };
  watchCounter(
    'hapair_watch_relists_total',
    'Complete lists after the first: a gap that the API server could not fill, or a change of leader.',
    (store) => store.stats().relists,
  );
  watchCounter('hapair_watch_reconnects_total', 'Watches opened anew.', (store) => store.stats().reconnects);
  watchCounter('hapair_watch_events_total', 'Changes told by a watch.', (store) => store.stats().events);
};

const exposeBudget = (registry: Registry, { budget }: GaugeSources): void => {
  const registers = [registry];
  new Gauge({
    name: 'hapair_ec2_budget_tokens',
    help: 'Calls of an action that the call budget would let through now.',
    labelNames: ['region', 'action'],
    registers,
    collect() {
      for (const { region, action, tokens } of budget()) this.set({ region, action }, tokens);
    },
  });
  new Gauge({
    name: 'hapair_ec2_budget_waiting',
    help: 'Calls of an action that wait for the call budget.',
    labelNames: ['region', 'action'],
    registers,
    collect() {
      for (const { region, action, waiting } of budget()) this.set({ region, action }, waiting);
    },
  });
};
