/**
 * Sign of life: a change of the peer's Lease or report, timed on the reader's own monotonic clock. It serves one rule: a
 * dead newer Master must not hide a live one (DESIGN.md, "Who is master"; trace T1).
 */

/** How long a peer must show no sign of life, with the API readable throughout. */
export const SILENCE_MS = 40_000;

/** One successful reading of the peer's Lease and report. */
export type LifeReading = {
  /** Monotonic time before the first request of the reading was sent. */
  startedAtMs: number;
  /** Monotonic time after its last answer. */
  endedAtMs: number;
  /** Changes whenever the Lease or the report does. */
  mark: string;
};

/** What is known of the peer's silence; `null`: nothing (just started, or the API could not be read). */
export type Silence = {
  mark: string;
  /** When the mark had been read for the first time. */
  sinceMs: number;
  /** When the newest reading that still showed it was begun. */
  untilMs: number;
} | null;

/**
 * Takes a reading into account. A failed one is `null` and forgets everything: what happened meanwhile is not known.
 * Readings further apart than `maxGapMs` do not prove that the API was reachable throughout, so they begin anew too.
 */
export const observeLife = (silence: Silence, reading: LifeReading | null, maxGapMs: number): Silence => {
  if (reading === null) return null;
  const goesOn =
    silence !== null && silence.mark === reading.mark && reading.startedAtMs - silence.untilMs <= maxGapMs;
  return goesOn
    ? { ...silence, untilMs: reading.startedAtMs }
    : { mark: reading.mark, sinceMs: reading.endedAtMs, untilMs: reading.endedAtMs };
};

/** True when the peer has shown no sign of life for the whole of `SILENCE_MS`. */
export const isDead = (silence: Silence): boolean =>
  silence !== null && silence.untilMs - silence.sinceMs >= SILENCE_MS;
