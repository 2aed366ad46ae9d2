/** What the next EC2 calls suffer. */
import { FAULT_KINDS, type FaultKind, type FaultSpec } from '../types.ts';

/** Faults of a read's contents, which a call that changes something cannot have. */
const OF_READS: readonly FaultKind[] = ['stale', 'omit'];

const MAX_FAULTS = 1000;

const optionalNumber = (input: Record<string, unknown>, name: string): number | undefined => {
  const value = input[name];
  if (value !== undefined && (typeof value !== 'number' || !Number.isFinite(value) || value < 0))
    throw new TypeError(`a fault's ${name} is a number of at least 0, not ${JSON.stringify(value)}`);
  return value;
};

const optionalString = (input: Record<string, unknown>, name: string): string | undefined => {
  const value = input[name];
  if (value !== undefined && typeof value !== 'string')
    throw new TypeError(`a fault's ${name} is a string, not ${JSON.stringify(value)}`);
  return value;
};

/**
 * A fault from JSON.
 * @throws TypeError that names the field at fault.
 */
export const parseFault = (input: unknown): FaultSpec => {
  if (typeof input !== 'object' || input === null) throw new TypeError('a fault is an object');
  const fields: Record<string, unknown> = { ...input };
  const kind = FAULT_KINDS.find((known) => known === fields.kind);
  if (kind === undefined)
    throw new TypeError(
      `a fault's kind is one of ${FAULT_KINDS.join(', ')}, not ${JSON.stringify(fields.kind)}`,
    );
  const action = optionalString(fields, 'action');
  const code = optionalString(fields, 'code');
  const address = optionalString(fields, 'address');
  const count = optionalNumber(fields, 'count');
  const delayMs = optionalNumber(fields, 'delayMs');
  const ageMs = optionalNumber(fields, 'ageMs');
  return {
    kind,
    ...(action !== undefined && { action }),
    ...(code !== undefined && { code }),
    ...(address !== undefined && { address }),
    ...(count !== undefined && { count }),
    ...(delayMs !== undefined && { delayMs }),
    ...(ageMs !== undefined && { ageMs }),
  };
};

/** The faults that the next calls will suffer, oldest first. */
export class Faults {
  #waiting: { spec: FaultSpec; left: number }[] = [];

  /** @throws Error when a thousand are waiting. */
  add(spec: FaultSpec): void {
    if (this.#waiting.length >= MAX_FAULTS)
      throw new Error(`${MAX_FAULTS} faults are waiting already; clear them first`);
    this.#waiting.push({ spec, left: spec.count ?? 1 });
  }

  /** The next calls suffer nothing. */
  clear(): void {
    this.#waiting = [];
  }

  /** The API is away, until the faults are cleared. */
  get isAway(): boolean {
    return this.#waiting.some(({ spec }) => spec.kind === 'outage');
  }

  /** What is still waiting, with the calls left in `count`. */
  list(): FaultSpec[] {
    return this.#waiting.map(({ spec, left }) => ({ ...spec, count: left }));
  }

  /** The fault of a call, used up by it. */
  take(action: string, mutating: boolean): FaultSpec | undefined {
    const found = this.#waiting.find(
      ({ spec }) =>
        (spec.action === undefined || spec.action === action) && !(mutating && OF_READS.includes(spec.kind)),
    );
    if (found !== undefined) {
      found.left -= 1;
      this.#waiting = this.#waiting.filter(({ left }) => left > 0);
    }
    return found?.spec;
  }
}
