/** One pair as `hapair-agent status` shows it: what the agent would report, and what it does not report. */
import { type Condition, type VRRPInstanceSpec, type VRRPState, vipsOf } from '../../crds/types.ts';
import { formatMicroTime } from '../../runtime/time.ts';
import type { PairPorts } from '../ports.ts';
import { sameStatus } from '../rules/report.ts';
import { newestSpec } from './derived.ts';
import { statusOf } from './lanes/report.ts';
import type { PairState } from './state.ts';

/** Instants are RFC 3339 in UTC. */
export type PairView = {
  /** `namespace/pairName`. */
  pair: string;
  /** Of the election itself, reported or not. */
  state: VRRPState;
  /** As in `VRRPInstance.status`: the term held, else the highest seen; null: Master without a term, as it could not report yet. */
  term: number | null;
  since: string;
  /** As advertised; null: nothing runs. */
  priority: number | null;
  claim: VRRPInstanceSpec['claim'] | null;
  advertisementIntervalMilliseconds: number | null;
  interface: string | null;
  peer: {
    node: string | null;
    address: string | null;
    /** Null: not known, as always for a Master's Backup. */
    heard: boolean | null;
  };
  vips: {
    address: string;
    onInterface: boolean /** Null: IMDS could not be read. */;
    delivered: boolean | null;
  }[];
  conditions: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[];
  checks: { name: string; healthy: boolean; message?: string }[];
  /** The API server has the newest report. */
  reported: boolean;
  /** The newest first. */
  transitions: { state: VRRPState; reason: string; time: string }[];
};

/** What a pair shows of itself now. */
export const viewOf = (state: PairState, ports: PairPorts): PairView => {
  const { config } = state.sent;
  const { record, election, claim, peerHeard, reportedState, reported, transitions } = state;
  const status = statusOf(state, ports);
  const spec = newestSpec(state);
  const { vipsOnInterface = [], vipsDelivered, conditions = [], checks = [] } = status;
  const addresses = [...new Set([...(spec ? vipsOf(spec) : []), ...vipsOnInterface])];
  return {
    pair: state.key,
    state: election,
    term: claim !== null ? claim.term : record.highestTerm,
    since: formatMicroTime(claim?.sinceMs ?? reportedState.sinceMs),
    priority: config?.priority ?? null,
    claim: spec?.claim ?? null,
    advertisementIntervalMilliseconds: config?.advertisementIntervalMs ?? null,
    interface: status.interface ?? null,
    peer: {
      node: record.peerNode,
      address: spec?.peerAddress ?? null,
      heard: election === 'Master' ? null : peerHeard,
    },
    vips: addresses.map((address) => ({
      address,
      onInterface: vipsOnInterface.includes(address),
      delivered: vipsDelivered?.includes(address) ?? null,
    })),
    conditions: conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    checks,
    reported: sameStatus(status, reported),
    transitions: transitions.map(({ state, reason, atMs }) => ({
      state,
      reason,
      time: formatMicroTime(atMs),
    })),
  };
};
