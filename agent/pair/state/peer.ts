/** Part of a pair's state: what is known of the node at the other end. Written here alone. */
import type { VRRPInstance, VRRPInstanceStatus } from '../../../crds/types.ts';
import { observeLife, type Silence } from '../../rules/life.ts';
import { noteReject, type Rejects } from '../../rules/peer.ts';
import type { Problem } from '../../rules/problem.ts';
import type { Report } from '../../rules/term.ts';
import type { Seen } from './seen.ts';

/** Readings of the peer further apart do not prove that the API was reachable throughout. */
const LIFE_GAP_MS = 12_000;

type Part = {
  /** The peer's report as last seen; `isHealthy`: its checks pass, or it has none. */
  peer: (Report & { isHealthy: boolean }) | undefined;
  /** Null: not known. */
  peerHeard: boolean | null;
  /** Packets of the peer that were rejected. */
  rejects: Rejects;
  /** What they told of the peer when last looked at; null: nothing. */
  peerFault: Problem | null;
  silence: Silence;
  /** Monotonic time of the last reading of the peer's signs of life. */
  lifePolledAtMs: number;
};

export type PeerState = Seen<Part>;

export const initialPeer = (handover?: Pick<PeerState, 'peer' | 'peerHeard'>): PeerState => ({
  peer: handover?.peer,
  peerHeard: handover?.peerHeard ?? null,
  rejects: null,
  peerFault: null,
  silence: null,
  lifePolledAtMs: Number.NEGATIVE_INFINITY,
});

/** No verdict yet is no health. */
const isHealthy = ({ conditions = [] }: VRRPInstanceStatus): boolean =>
  !conditions.some(({ type, status }) => type === 'Healthy' && status !== 'True');

/** @param instance the peer's; null: it has none */
export const seePeer = (state: Part, instance: VRRPInstance | null): void => {
  const status = instance?.status;
  state.peer = status && { state: status.state, term: status.term, isHealthy: isHealthy(status) };
};

/** @param heard null: at another address nobody was heard yet */
export const setPeerHeard = (state: Part, heard: boolean | null): void => {
  state.peerHeard = heard;
};

/** A packet was rejected: see {@link noteReject}. */
export const seeReject = (
  state: Part,
  ...[packet, ...limits]: DropFirst<Parameters<typeof noteReject>>
): void => {
  state.rejects = noteReject(state.rejects, packet, ...limits);
};

type DropFirst<List extends unknown[]> = List extends [unknown, ...infer Rest] ? Rest : never;

export const setPeerFault = (state: Part, fault: Problem | null): void => {
  state.peerFault = fault;
};

/** A reading of its signs of life begins. @param nowMs monotonic */
export const beginLifePoll = (state: Part, nowMs: number): void => {
  state.lifePolledAtMs = nowMs;
};

/** A reading of its signs of life: see {@link observeLife}. */
export const seeLife = (state: Part, life: Parameters<typeof observeLife>[1]): void => {
  state.silence = observeLife(state.silence, life, LIFE_GAP_MS);
};

/** Whether it is silent is asked afresh. */
export const forgetSilence = (state: Part): void => {
  state.silence = null;
};
