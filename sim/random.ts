/** Randomness that a seed repeats. */

/** Draws of one seed. */
export type Random = {
  /** In [0, 1). */
  next(): number;
  /** In [low, high). */
  between(low: number, high: number): number;
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
};

/** mulberry32: 32 bits of state are plenty for a schedule, and any seed is a good one. */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    pick<T>(list: readonly T[]): T {
      const index = Math.floor(next() * list.length);
      if (list.length === 0) throw new RangeError('there is nothing to pick from');
      return list[index] as T;
    },
    chance: (probability) => next() < probability,
  };
};
