/** Reads what no watch can be trusted with: the own spec after a silence, and signs of life of a Master that hides this one. */

import type { PairPorts } from '../../ports.ts';
import { mustConfirmNever, mustWatchPeer, orderedTerm } from '../derived.ts';
import type { Instances } from '../state/election.ts';
import { beginLifePoll, forgetSilence, seeLife } from '../state/peer.ts';
import { confirmOrders, isLoaded } from '../state/spec.ts';
import type { PairState } from '../state.ts';

/** While a newer Master hides this one, its Lease and report are read so often. */
const LIFE_POLL_MS = 5_000;

/** The spec in force may be out of date, and no newer one is on its way. */
const mustReadSpec = ({ contact, loaded, desired }: PairState): boolean =>
  !contact.specRead && loaded !== null && (desired === null || isLoaded({ loaded }, desired));

/** An order to yield, or to claim never, is carried out only if it still stands. */
const mustConfirm = (state: PairState): boolean => {
  const term = orderedTerm(state);
  return (term !== null && state.confirmedYield !== term) || mustConfirmNever(state);
};

/** Something must be read by GET. */
export const mustRead = (state: PairState): boolean =>
  mustWatchPeer(state) || mustReadSpec(state) || mustConfirm(state);

/**
 * One step of the read lane.
 * @param onInstances takes both ends as they were read
 * @returns whether the peer's signs of life were read
 * @throws KubeError when the API does not answer
 */
export const readStep = async (
  state: PairState,
  { kube, clock }: PairPorts,
  onInstances: (read: Instances) => void,
): Promise<boolean> => {
  if (state.gone) return false;
  if (mustReadSpec(state) || mustConfirm(state)) {
    const read = await kube.readInstances(state.record.peerNode);
    confirmOrders(state, read.own);
    onInstances(read);
  }
  const { peerNode } = state.record;
  const isDue = clock.now() - state.lifePolledAtMs >= LIFE_POLL_MS;
  if (peerNode === null || !mustWatchPeer(state) || !isDue) return false;
  beginLifePoll(state, clock.now());
  try {
    seeLife(state, await kube.readLife(peerNode));
  } catch (error) {
    forgetSilence(state);
    throw error;
  }
  return true;
};
