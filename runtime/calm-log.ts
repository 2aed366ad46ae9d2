/**
 * A log that writes the same trouble once and then only how often it came again: a cause that repeats, such as a retry or a
 * forged packet, must neither fill the disk nor hide what else is logged.
 */
import type { Log } from './log.ts';

export type CalmLog = Log & {
  /** Says what was withheld and is due; to be called about once a second. */
  tick(): void;
  /** Says all that was withheld, due or not; to be called before the end. */
  flush(): void;
  /** Lines withheld since the start, whether or not a later line has counted them. */
  withheld(): number;
};

/** After a line of one kind the next one of it waits at least so long, each time longer. */
const PAUSES_MS = [10_000, 60_000, 600_000] as const;
/** Kinds that are remembered; beyond that the one that was quiet for longest is forgotten. */
const KINDS = 1_024;
/** What makes two lines with the same reason two kinds; whatever else a line says may differ between repetitions. */
const TELLING = ['pair', 'check', 'lane', 'cause', 'plural', 'region', 'path', 'err', 'error'] as const;

type Level = 'warn' | 'error';

type Entry = {
  level: Level;
  message: string;
  /** Of the newest occurrence. */
  fields: object;
  /** Occurrences since the last line. */
  count: number;
  /** When the last line came. */
  saidAtMs: number;
  /** When the next line may come. */
  dueMs: number;
  /** Lines so far. */
  said: number;
};

/**
 * Warnings and errors of one kind come at once the first time; those after that are gathered into a line with `count`, the
 * occurrences since the line before, whose message ends with them, as in `(3 more in 10 s)`: at most every 10 s, then every
 * minute, then every ten minutes. A kind that stays quiet for such a pause is new again. A kind is a reason (without one: a
 * message) and what {@link TELLING} names. Information passes as it comes: it tells changes.
 * @param now monotonic milliseconds
 */
export const createCalmLog = (log: Log, now: () => number): CalmLog => {
  const entries = new Map<string, Entry>();
  let withheld = 0;

  const say = (entry: Entry): void => {
    const { level, message, fields, count } = entry;
    const saidAtMs = now();
    log[level]({ ...fields, count }, `${message} (${count} more in ${spanText(saidAtMs - entry.saidAtMs)})`);
    entry.count = 0;
    entry.said += 1;
    entry.saidAtMs = saidAtMs;
    entry.dueMs = saidAtMs + pauseAfter(entry.said);
  };

  const note = (level: Level, fields: object, message: string): void => {
    const kind = kindOf(fields, message);
    const entry = entries.get(kind);
    if (entry === undefined || isOver(entry, now())) {
      entries.delete(kind);
      forgetQuietest(entries);
      const saidAtMs = now();
      const dueMs = saidAtMs + pauseAfter(1);
      entries.set(kind, { level, message, fields, count: 0, saidAtMs, dueMs, said: 1 });
      log[level](fields, message);
      return;
    }
    entries.delete(kind);
    entries.set(kind, entry);
    entry.fields = fields;
    entry.count += occurrencesIn(fields);
    if (now() >= entry.dueMs) say(entry);
    else withheld += 1;
  };

  return {
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => note('warn', fields, message),
    error: (fields, message) => note('error', fields, message),
    tick() {
      const nowMs = now();
      for (const [kind, entry] of entries) {
        if (isOver(entry, nowMs)) entries.delete(kind);
        else if (entry.count > 0 && nowMs >= entry.dueMs) say(entry);
      }
    },
    flush() {
      for (const entry of entries.values()) if (entry.count > 0) say(entry);
    },
    withheld: () => withheld,
  };
};

/** `10 s`, `2 min`: as a person says how long ago the line before was. */
const spanText = (ms: number): string => {
  const seconds = Math.round(ms / 1_000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
};

const pauseAfter = (said: number): number => PAUSES_MS[said - 1] ?? PAUSES_MS[PAUSES_MS.length - 1] ?? 0;

/** Nothing of the kind has come since its last line, for as long as the next one would have waited. */
const isOver = ({ count, dueMs }: Entry, nowMs: number): boolean => count === 0 && nowMs >= dueMs;

/** Entries stand in the order of their last occurrence. */
const forgetQuietest = (entries: Map<string, Entry>): void => {
  if (entries.size < KINDS) return;
  const [quietest] = entries.keys();
  if (quietest !== undefined) entries.delete(quietest);
};

const kindOf = (fields: object, message: string): string => {
  const values: Record<string, unknown> = { ...fields };
  return JSON.stringify([values.reason ?? message, ...TELLING.map((name) => textOf(values[name]))]);
};

const textOf = (value: unknown): unknown => (value instanceof Error ? value.message : value);

/** A line may stand for several occurrences already. */
const occurrencesIn = (fields: object): number =>
  'count' in fields && typeof fields.count === 'number' ? fields.count : 1;
