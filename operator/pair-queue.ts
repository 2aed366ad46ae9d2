/** Which lane of the queue a pair waits in. Until this process leads and its stores are fresh nobody waits: a standby plans nothing. */
import type { HAPair } from '../crds/types.ts';
import type { WorkQueue } from '../kube/queue.ts';
import type { Key } from '../kube/types.ts';
import { isFailoverOpen } from './takeover.ts';

/** A pair that a leader finds when it begins, with the terms that its agents report. */
export type FoundPair = { key: Key; pair: HAPair; terms: readonly number[] };

/** Puts pairs into the lanes of a queue. */
export class PairQueue {
  readonly #queue: Pick<WorkQueue, 'add' | 'addAfter'>;
  readonly #pairOf: (key: Key) => HAPair | undefined;
  #isOpen = false;

  constructor(queue: Pick<WorkQueue, 'add' | 'addAfter'>, pairOf: (key: Key) => HAPair | undefined) {
    this.#queue = queue;
    this.#pairOf = pairOf;
  }

  /** This process works on pairs. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** From now on pairs wait; those that are there come as routine, behind what changes, unless a failover of theirs is open. */
  open(found: readonly FoundPair[]): void {
    this.#isOpen = true;
    for (const { key, pair, terms } of found) {
      if (isFailoverOpen(pair, terms)) this.#queue.add(key);
      else this.#queue.addAfter(key, 0);
    }
  }

  /** From now on nobody waits: this process leads no more. */
  close(): void {
    this.#isOpen = false;
  }

  /**
   * Something that a pair depends on has changed. One that was never elected has no failover to hurry for: those of others need not
   * wait behind thousands of new ones.
   */
  changed(key: Key): void {
    if (!this.#isOpen) return;
    const hasServed = (this.#pairOf(key)?.status?.term ?? 0) > 0;
    if (hasServed) this.#queue.add(key);
    else this.#queue.addAfter(key, 0);
  }

  /** Something is to be looked at that the pair does not wait for. */
  noticed(key: Key): void {
    if (this.#isOpen) this.#queue.addAfter(key, 0);
  }
}
