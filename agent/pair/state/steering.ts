/** Part of a pair's state: what its worker was told. Written here alone. */
import type { Reason } from '../../../crds/conditions.ts';
import type { VRRPInstanceSpec } from '../../../crds/types.ts';
import type { WorkerConfig } from '../../worker/messages.ts';
import type { Seen } from './seen.ts';

/** A worker leaves Init within so long, or its Init is reported. */
const STARTING_MS = 2_000;

/** What the worker was told about a pair. */
export type Sent = {
  /** Null: nothing runs. */
  config: WorkerConfig | null;
  /** The newest spec that asks for that configuration. */
  spec: VRRPInstanceSpec | null;
  fault: Reason | null;
};

type Part = {
  /** What the worker was told last. */
  sent: Sent;
  /** Monotonic: until then the worker, told to run the pair, is expected to leave Init; that state is not worth a report. */
  startingUntilMs: number;
  /** The term that was asked to yield, and did. */
  yieldedTerm: number;
};

export type SteeringState = Seen<Part>;

const NOTHING: Sent = { config: null, spec: null, fault: null };

export const initialSteering = (handover?: { running: Sent; yieldedTerm: number }): SteeringState => ({
  sent: { ...(handover?.running ?? NOTHING) },
  startingUntilMs: Number.NEGATIVE_INFINITY,
  yieldedTerm: handover?.yieldedTerm ?? 0,
});

/** @param nowMs monotonic */
export const noteConfigured = (state: Part, config: WorkerConfig, nowMs: number): void => {
  if (state.sent.config === null) state.startingUntilMs = nowMs + STARTING_MS;
  state.sent.config = config;
};

/** The spec in force asks for what runs. */
export const noteAsked = ({ sent }: Part, spec: VRRPInstanceSpec | null): void => {
  sent.spec = spec;
};

export const noteFault = ({ sent }: Part, fault: Reason | null): void => {
  sent.fault = fault;
};

/** Nothing runs any more. */
export const noteRemoved = (state: Part): void => {
  state.sent = { ...NOTHING };
};

/** It has left Init, or is not expected to any more. */
export const noteStarted = (state: Part): void => {
  state.startingUntilMs = Number.NEGATIVE_INFINITY;
};

export const noteYielded = (state: Part, term: number): void => {
  state.yieldedTerm = term;
};
