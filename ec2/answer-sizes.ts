/**
 * How much EC2 answers for an ENI: its private addresses, as last read. One that was not read yet is taken for the average of
 * those that were; before the first of them, for a crowded one.
 */

/** The calls that leave before the first answer are small ones, which costs little: there are some four of them. */
const FIRST_GUESS = 16;
/** Beyond, the one that was read longest ago is forgotten. */
const MOST_KNOWN = 100_000;

export class AnswerSizes {
  readonly #sizes = new Map<string, number>();
  #sum = 0;

  of(id: string): number {
    const guess = this.#sizes.size === 0 ? FIRST_GUESS : this.#sum / this.#sizes.size;
    return this.#sizes.get(id) ?? guess;
  }

  /** @param size 0: there is no such ENI */
  learn(id: string, size: number): void {
    this.#forget(id);
    this.#sizes.set(id, size);
    this.#sum += size;
    const [oldest] = this.#sizes.keys();
    if (this.#sizes.size > MOST_KNOWN && oldest !== undefined) this.#forget(oldest);
  }

  #forget(id: string): void {
    this.#sum -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }
}
