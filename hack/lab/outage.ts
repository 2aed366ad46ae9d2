/**
 * What a client's probes say about an outage. A probe goes out every ten milliseconds whether or not earlier ones were
 * answered, so the gap between two answered ones bounds what a user would have noticed. Pure: samples in, findings out.
 */

/** One probe. Times are Unix milliseconds with a fraction. */
export type Sample = {
  /** Counts up from 1 without a gap. */
  seq: number;
  sentAtMs: number;
  /** Absent: no answer within 2.5 s. */
  answeredAtMs?: number;
  /** The node that answered. */
  by?: string;
};

/** A stretch of probes without an answer. */
export type Outage = {
  /** When the last answered probe before it was sent; without one, when its first lost probe was. */
  fromMs: number;
  /** When the first answered probe after it was sent; `null`: it goes on at the end of the samples. */
  toMs: number | null;
  lost: number;
  /** Who answered last before it; `null`: nobody had. */
  before: string | null;
  after: string | null;
};

/** Another node answers than before, with or without an outage between. */
export type Handover = { atMs: number; from: string; to: string; lost: number };

/** All stretches of lost probes, in time order. */
export const outages = (samples: readonly Sample[]): Outage[] => {
  const found: Outage[] = [];
  let lastAnswered: Sample | undefined;
  let open: Outage | undefined;
  for (const sample of inOrder(samples)) {
    if (sample.by === undefined) {
      if (open === undefined) {
        const fromMs = lastAnswered?.sentAtMs ?? sample.sentAtMs;
        open = { fromMs, toMs: null, lost: 0, before: lastAnswered?.by ?? null, after: null };
        found.push(open);
      }
      open.lost += 1;
      continue;
    }
    if (open !== undefined) {
      open.toMs = sample.sentAtMs;
      open.after = sample.by;
      open = undefined;
    }
    lastAnswered = sample;
  }
  return found;
};

/** All changes of the answering node; `atMs` is when the first probe that the new one answered was sent. */
export const handovers = (samples: readonly Sample[]): Handover[] => {
  const found: Handover[] = [];
  let from: string | undefined;
  let lost = 0;
  for (const { by, sentAtMs } of inOrder(samples)) {
    if (by === undefined) {
      lost += 1;
      continue;
    }
    if (from !== undefined && by !== from) found.push({ atMs: sentAtMs, from, to: by, lost });
    from = by;
    lost = 0;
  }
  return found;
};

/** How many probes were lost. */
export const lost = (samples: readonly Sample[]): number =>
  samples.filter(({ by }) => by === undefined).length;

/** The samples sent in a stretch of time, bounds included. */
export const between = (samples: readonly Sample[], fromMs: number, toMs: number): Sample[] =>
  samples.filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs <= toMs);

/** The first probe that `node` answered and that was sent at `afterMs` or later. */
export const firstAnswer = (samples: readonly Sample[], node: string, afterMs = 0): Sample | undefined =>
  inOrder(samples).find(({ by, sentAtMs }) => by === node && sentAtMs >= afterMs);

/** The longest outage in milliseconds, 0 without one; one that goes on counts up to the last sample. */
export const longestOutageMs = (samples: readonly Sample[]): number => {
  const endMs = inOrder(samples).at(-1)?.sentAtMs ?? 0;
  return outages(samples).reduce((most, { fromMs, toMs }) => Math.max(most, (toMs ?? endMs) - fromMs), 0);
};

const inOrder = (samples: readonly Sample[]): Sample[] => samples.toSorted((a, b) => a.seq - b.seq);
