/**
 * How much EC2 answers for an ENI: its private addresses, as last read. One that was not read yet is taken for the average of
 * those that were; before the first of them, for a crowded one.
 */

/** The calls that leave before the first answer are small ones, which costs little: there are some four of them. */
const FIRST_GUESS = 16;

export class AnswerSizes {
  readonly #sizes = new Map<string, number>();
  #sum = 0;

  of(id: string): number {
    const guess = this.#sizes.size === 0 ? FIRST_GUESS : this.#sum / this.#sizes.size;
    return this.#sizes.get(id) ?? guess;
  }

  learn(id: string, size: number): void {
    this.forget(id);
    this.#sizes.set(id, size);
    this.#sum += size;
  }

  forget(id: string): void {
    this.#sum -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }

  /** Forgets all others. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#sizes.keys()) if (!ids.has(id)) this.forget(id);
  }
}
