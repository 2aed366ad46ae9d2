/**
 * The series of single pairs, from their stored status: with thousands of pairs the client library would spend a tenth of a
 * second of every scrape on them, in which no failover could begin. So each pair's lines are made when its status changes, and
 * a scrape joins them. A pair's series go with it. Every replica shows them, leader or not.
 */
import type { HAPair } from '../crds/types.ts';
import type { Key } from '../kube/types.ts';
import { parseTimeMs } from '../runtime/time.ts';
import { conditionOf } from './plan/problem.ts';

/** Conditions that are counted over all pairs and shown for each. */
const SHOWN = ['Ready', 'Redundant', 'PreflightPassed'] as const;
type Shown = (typeof SHOWN)[number];

const STATUSES = ['True', 'False', 'Unknown'] as const;
type Status = (typeof STATUSES)[number];

type PairSeries = {
  /** Takes a pair as it is stored now; undefined: it is gone. */
  observe(key: Key, pair: HAPair | undefined): void;
  /** All series in Prometheus' text format. */
  text(): string;
};

type Entry = {
  /** `namespace="…",pair="…"`: names of Kubernetes objects hold nothing that must be escaped. */
  labels: string;
  statuses: Record<Shown, Status>;
  conditionLines: string;
  /** Wall time since which EC2 does not deliver every address to the elected master; undefined: it does. */
  unconvergedSinceMs: number | undefined;
};

const head = (name: string, help: string): string => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`;

const HEADS = {
  pairs: head('hapair_pairs', 'HAPairs by the status of a condition.'),
  condition: head('hapair_pair_condition', 'The present status and reason of a condition of a pair; 1.'),
  unconverged: head(
    'hapair_pair_unconverged_seconds',
    'How long AddressesConverged of a pair has not been True; 0: it is.',
  ),
};

/** @param wall Unix milliseconds */
export const createPairSeries = (wall: () => number): PairSeries => {
  const entries = new Map<Key, Entry>();
  const counts = Object.fromEntries(SHOWN.map((type) => [type, { True: 0, False: 0, Unknown: 0 }])) as Record<
    Shown,
    Record<Status, number>
  >;

  const count = (entry: Entry | undefined, by: 1 | -1): void => {
    if (entry) for (const type of SHOWN) counts[type][entry.statuses[type]] += by;
  };

  /** Since the first look that showed it so; a status found so keeps its own time, which outlives this process. */
  const unconvergedSince = (pair: HAPair, before: Entry | undefined): number | undefined => {
    const condition = conditionOf(pair.status, 'AddressesConverged');
    if (condition?.status === 'True') return undefined;
    if (before?.unconvergedSinceMs !== undefined) return before.unconvergedSinceMs;
    const storedMs = parseTimeMs(condition?.lastTransitionTime);
    return Number.isNaN(storedMs) ? wall() : Math.min(storedMs, wall());
  };

  return {
    observe(key, pair) {
      const before = entries.get(key);
      count(before, -1);
      if (!pair) {
        entries.delete(key);
        return;
      }
      const { namespace, name } = pair.metadata;
      const labels = `namespace="${namespace}",pair="${name}"`;
      const shown = SHOWN.map((type) => {
        const { status, reason } = conditionOf(pair.status, type) ?? {
          status: 'Unknown',
          reason: 'Unobserved',
        };
        return { type, status, reason } as const;
      });
      const entry: Entry = {
        labels,
        statuses: Object.fromEntries(shown.map(({ type, status }) => [type, status])) as Record<
          Shown,
          Status
        >,
        conditionLines: shown
          .map(
            ({ type, status, reason }) =>
              `hapair_pair_condition{${labels},condition="${type}",status="${status}",reason="${reason}"} 1\n`,
          )
          .join(''),
        unconvergedSinceMs: unconvergedSince(pair, before),
      };
      count(entry, 1);
      entries.set(key, entry);
    },
    text() {
      const nowMs = wall();
      let pairs = HEADS.pairs;
      let condition = HEADS.condition;
      let unconverged = HEADS.unconverged;
      for (const type of SHOWN) {
        for (const status of STATUSES)
          pairs += `hapair_pairs{condition="${type}",status="${status}"} ${counts[type][status]}\n`;
      }
      for (const { labels, conditionLines, unconvergedSinceMs } of entries.values()) {
        condition += conditionLines;
        const seconds = unconvergedSinceMs === undefined ? 0 : Math.max(0, nowMs - unconvergedSinceMs) / 1000;
        unconverged += `hapair_pair_unconverged_seconds{${labels}} ${seconds}\n`;
      }
      return pairs + condition + unconverged;
    },
  };
};
