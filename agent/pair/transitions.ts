/** Counts a pair's changes of state: from where to where, and why. Bounded: states and reasons are words of tables. */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPState } from '../../crds/types.ts';
import type { TransitionCount } from './snapshot.ts';

export class Transitions {
  readonly #counted = new Map<string, TransitionCount>();

  count(from: VRRPState, to: VRRPState, reason: Reason): void {
    const key = `${from} ${to} ${reason}`;
    const { count } = this.#counted.get(key) ?? { count: 0 };
    this.#counted.set(key, { from, to, reason, count: count + 1 });
  }

  /** Each combination once. */
  list(): readonly TransitionCount[] {
    return [...this.#counted.values()];
  }
}
