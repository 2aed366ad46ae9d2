/** Part of a pair's state: how it ends. Written here alone. */
import type { Seen } from './seen.ts';

type Part = {
  /** The election is over for good: no claim, addresses leave as soon as EC2 delivers them elsewhere. */
  stopping: boolean;
  /** Take every address we added off the interface, wherever EC2 delivers it. */
  abandoned: boolean;
  /** The VRRPInstance is gone: no more reports. */
  gone: boolean;
};

export type LifecycleState = Seen<Part>;

export const initialLifecycle = (): LifecycleState => ({ stopping: false, abandoned: false, gone: false });

export const stop = (state: Part): void => {
  state.stopping = true;
};

export const abandon = (state: Part): void => {
  state.abandoned = true;
};

export const goAway = (state: Part): void => {
  state.gone = true;
};
