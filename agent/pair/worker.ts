/** What the VRRP worker is told of a pair: configuration, fault, resignation, last resort. */
import { isDeepStrictEqual } from 'node:util';
import type { PairPorts } from '../ports.ts';
import { isDead } from '../rules/life.ts';
import { interfaceNameOf } from './addresses.ts';
import { faultOf, isLastCandidate, mayResignToPeer, orderedTerm, workerConfig } from './derived.ts';
import { setPeerHeard } from './state/peer.ts';
import { noteAsked, noteConfigured, noteFault, noteRemoved, noteYielded } from './state/steering.ts';
import type { PairState } from './state.ts';

/** Tells the worker what differs from what it was told last. */
export const steerWorker = (state: PairState, ports: PairPorts): void => {
  if (state.stopping || state.gone) return;
  if (isMoved(state)) restart(state, ports);
  const { sent } = state;
  const config = workerConfig(state, ports.clock.now());
  if (config !== null && !isDeepStrictEqual(config, sent.config)) {
    noteConfigured(state, config, ports.clock.now());
    ports.send({ type: 'set', pair: state.key, config });
  }
  if (sent.config === null) return;
  if (config !== null) noteAsked(state, state.loaded?.spec ?? null);
  const fault = faultOf(state)?.reason ?? null;
  if (fault === sent.fault) return;
  noteFault(state, fault);
  ports.send({ type: 'fault', pair: state.key, fault });
};

/** The spec names another place on the network for this node than the one the worker runs at. */
const isMoved = (state: PairState): boolean => {
  const spec = state.loaded?.spec;
  const { config, spec: ran } = state.sent;
  if (spec === undefined || ran === null || config === null) return false;
  // The same interface under another name, or named where it was found before, is no other place.
  const isOtherInterface =
    spec.interface !== ran.interface && interfaceNameOf(state, spec) !== config.interface;
  return (
    spec.networkInterfaceID !== ran.networkInterfaceID ||
    spec.sourceAddress !== ran.sourceAddress ||
    isOtherInterface
  );
};

/** The virtual router ends where it was, a Master with priority 0; at the new place it begins as Backup. */
const restart = (state: PairState, ports: PairPorts): void => {
  noteRemoved(state);
  setPeerHeard(state, null);
  ports.log.info({ pair: state.key, reason: 'InstanceConfigured' }, 'moving to another address');
  ports.send({ type: 'remove', pair: state.key });
};

/**
 * A Master in exactly the term that is asked to yield resigns, once, when a GET has shown that the order still stands. It
 * need not be on disk or loaded: a node with a full disk must be able to hand over, and after a restart the term is another.
 */
export const yieldIfDue = (state: PairState, { log, send }: PairPorts): void => {
  const term = state.claim?.term ?? null;
  if (term === null || state.yieldedTerm === term) return;
  const ordered = orderedTerm(state) === term && state.confirmedYield === term;
  if (!ordered && !mayResignToPeer(state)) return;
  const reason = ordered ? 'YieldOrdered' : 'ChecksFailed';
  noteYielded(state, term);
  log.info({ pair: state.key, reason, term }, 'yielding');
  send({ type: 'resign', pair: state.key, reason });
};

/** The last resort; said again until the worker is Master, as it knows better whether anybody is heard. */
export const claimAsLastResort = (state: PairState, { send }: PairPorts): void => {
  if (isLastCandidate(state) && isDead(state.silence)) send({ type: 'lastResort', pair: state.key });
};
