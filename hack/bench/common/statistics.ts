/** The few figures that a table of measured values shows. Pure. */

/** Spread of a sample; every field is in the unit of the values. */
export type Spread = { n: number; min: number; median: number; p99: number; max: number };

/**
 * The value below which a share of the sample lies, between two values in proportion (R's type 7, NumPy's default).
 * @param share 0 to 1
 * @throws Error for an empty sample.
 */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) throw new Error('An empty sample has no quantile.');
  return low + (high - low) * (place - Math.floor(place));
};

/** Undefined for an empty sample. */
export const spreadOf = (values: readonly number[]): Spread | undefined => {
  if (values.length === 0) return undefined;
  const at = (share: number): number => quantile(values, share);
  return { n: values.length, min: at(0), median: at(0.5), p99: at(0.99), max: at(1) };
};

/** How many times one sample is as large as another. */
export type Ratio = {
  /** Of the medians. */
  median: number;
  /** Smallest numerator by largest denominator, and the other way round: no choice of two runs leaves these bounds. */
  lowest: number;
  highest: number;
};

/** Undefined when a sample is empty or the denominator holds a value that is not positive. */
export const ratioOf = (numerator: readonly number[], denominator: readonly number[]): Ratio | undefined => {
  const [over, under] = [spreadOf(numerator), spreadOf(denominator)];
  if (over === undefined || under === undefined || under.min <= 0) return undefined;
  return {
    median: over.median / under.median,
    lowest: over.min / under.max,
    highest: over.max / under.min,
  };
};

/** Percentiles of a sample by nearest rank: each is a value that was measured. */
export type Percentiles = { n: number; min: number; p50: number; p90: number; p99: number; max: number };

/** @throws RangeError for an empty sample. */
export const percentilesOf = (values: readonly number[]): Percentiles => {
  const sorted = [...values].sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new RangeError('An empty sample has no percentiles.');
  const rank = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? max;
  return { n: sorted.length, min, p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), max };
};
