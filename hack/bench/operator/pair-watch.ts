/** What users see of the fleet: the HAPairs' status. */
import { API_GROUP_VERSION, type HAPair } from '../../../crds/types.ts';
import { nowMs } from '../../lab/clock.ts';
import { NAMESPACE } from './fleet.ts';
import type { Harness } from './harness.ts';

/** The collection of the fleet's HAPairs. */
export const HAPAIRS = `/apis/${API_GROUP_VERSION}/namespaces/${NAMESPACE}/hapairs`;

/** The HAPairs' status, followed by a watch. */
export type PairWatch = {
  ready(): number;
  isReady(name: string, node: string): boolean;
  /** Unix milliseconds of the last change of any HAPair, preflights apart. */
  lastChangeMs(): number;
  /** Preflights apart. */
  changes(): number;
  /**
   * Changes of `PreflightPassed` alone. The permission to associate each EIP is asked for at a leisurely pace (operator/facts.ts):
   * with thousands of pairs for hours, during which everything else is at rest.
   */
  preflights(): number;
};

/** What a HAPair says besides `PreflightPassed`, which may be the first thing wrong and comes first in the list then. */
const withoutPreflight = ({ metadata: { generation }, status }: HAPair): string => {
  const { conditions = [], reason: _reason, message: _message, ...rest } = status ?? {};
  const others = conditions.filter(({ type }) => type !== 'PreflightPassed');
  return JSON.stringify({ generation, rest, others: others.sort((a, b) => (a.type < b.type ? -1 : 1)) });
};

/** Follows the fleet's HAPairs until the harness goes down. */
export const watchPairs = ({ admin }: Harness): PairWatch => {
  /** Holder of each pair that is Ready. */
  const ready = new Map<string, string>();
  const said = new Map<string, string>();
  let lastChangeMs = nowMs();
  let changes = 0;
  let preflights = 0;
  admin.watch(HAPAIRS, undefined, ({ object }) => {
    const pair = object as HAPair;
    const { metadata, status } = pair;
    if (!metadata?.name) return;
    const says = withoutPreflight(pair);
    if (said.get(metadata.name) === says) {
      preflights += 1;
      return;
    }
    said.set(metadata.name, says);
    const isReady = status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
    if (isReady && status?.holder !== undefined) ready.set(metadata.name, status.holder);
    else ready.delete(metadata.name);
    lastChangeMs = nowMs();
    changes += 1;
  });
  return {
    ready: () => ready.size,
    isReady: (name, node) => ready.get(name) === node,
    lastChangeMs: () => lastChangeMs,
    changes: () => changes,
    preflights: () => preflights,
  };
};
