/**
 * Ids of which EC2 has said that they do not exist. One unknown id fails the request of all that stand beside it, so these are
 * asked for apart from all others, by filter, and ever less often: however many somebody invents, the readings of others stay what
 * they are.
 */

/** Shorter than the period of the reading of all pairs: what was missing once is looked for in the next one. */
const FIRST_MS = 20_000;
const MOST_MS = 120_000;
/** Beyond, the oldest is forgotten: it costs its pair a request or two again. */
const MOST_KNOWN = 100_000;

/** The missing of one kind in one Region. */
export class MissingIDs {
  readonly #known = new Map<string, { dueMs: number; delayMs: number }>();

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** It is time to look whether it exists by now. */
  isDue(id: string, nowMs: number): boolean {
    return nowMs >= (this.#known.get(id)?.dueMs ?? 0);
  }

  /** Takes an answer: `null`, it does not exist. */
  learn(found: Readonly<Record<string, unknown>>, nowMs: number): void {
    for (const [id, thing] of Object.entries(found)) {
      const before = this.#known.get(id);
      this.#known.delete(id);
      if (thing !== null) continue;
      const delayMs = before === undefined ? FIRST_MS : Math.min(MOST_MS, 2 * before.delayMs);
      this.#known.set(id, { dueMs: nowMs + delayMs, delayMs });
    }
    for (const id of this.#known.keys()) {
      if (this.#known.size <= MOST_KNOWN) break;
      this.#known.delete(id);
    }
  }
}
