/** Part of a pair's state: what is desired of it, what is in force, and what orders a GET has confirmed. Written here alone. */
import type { VRRPInstance, VRRPInstanceSpec } from '../../../crds/types.ts';
import type { PairRecord } from '../../ports.ts';
import { type Contact, isCutOff } from '../../rules/priority.ts';
import type { Problem } from '../../rules/problem.ts';
import type { Seen } from './seen.ts';

/** A spec in force. */
export type LoadedSpec = { spec: VRRPInstanceSpec; uid: string; generation: number };

type Part = {
  /** The newest VRRPInstance read; null: none since the start. */
  desired: VRRPInstance | null;
  /** The spec in force. */
  loaded: LoadedSpec | null;
  loadProblem: Problem | null;
  contact: Contact;
  /** The term whose order to yield was read by GET: a watch that is resumed replays orders that were taken back since (T25). */
  confirmedYield: number;
  /** `claim: Never` was read by GET, for the same reason: a Master gives way to no pin that was taken back. */
  confirmedNever: boolean;
};

export type SpecState = Seen<Part>;

/** With a spec on disk that spec is in force. */
export const initialSpec = ({ spec, uid, generation }: PairRecord, specRead: boolean): SpecState => ({
  desired: null,
  loaded: spec === null || uid === null || generation === null ? null : { spec, uid, generation },
  loadProblem: null,
  contact: { lastContactMs: null, specRead },
  confirmedYield: 0,
  confirmedNever: false,
});

/** Whether this instance's spec is the one in force. */
export const isLoaded = ({ loaded }: Pick<SpecState, 'loaded'>, { metadata }: VRRPInstance): boolean =>
  loaded !== null && loaded.uid === (metadata.uid ?? '') && loaded.generation === (metadata.generation ?? 0);

/** The API server has shown this one. */
export const desire = (state: Part, instance: VRRPInstance): void => {
  state.desired = instance;
  state.confirmedNever &&= instance.spec.claim === 'Never';
  state.contact.specRead ||= isLoaded(state, instance);
};

/** Takes the own instance as it was read beside the peer's, if none was read since the start. */
export const desireFirst = (state: Part, instance: VRRPInstance): boolean => {
  if (state.desired !== null) return false;
  state.desired = instance;
  return true;
};

/** The spec is on disk, with all that it names: from now on it is in force. */
export const bringIntoForce = (state: Part, loaded: LoadedSpec): void => {
  state.loaded = loaded;
  state.contact.specRead = true;
  state.loadProblem = null;
};

/** @returns whether there is something new to report */
export const setLoadProblem = (state: Part, problem: Problem | null): boolean => {
  if (state.loadProblem?.message === problem?.message) return false;
  state.loadProblem = problem;
  return true;
};

/** What a GET of the own instance says of orders that only stand until they are taken back. */
export const confirmOrders = (state: Part, own: VRRPInstance | null): void => {
  state.confirmedYield = own?.spec.yieldTerm ?? 0;
  state.confirmedNever = own?.spec.claim === 'Never';
};

/** @param lastContactMs monotonic time of the API server's last answer; null: none yet */
export const observeContact = (state: Part, lastContactMs: number | null, nowMs: number): void => {
  const { contact } = state;
  contact.lastContactMs = lastContactMs;
  if (isCutOff(contact, nowMs)) contact.specRead = false;
};
