/** The log of EC2 calls, to read and to wait on. */
import type { CallPhase, CallRecord } from '../types.ts';

/** Which calls a reader of the log asks for. */
export type CallQuery = {
  /** Calls with a higher id alone. */
  since: number;
  action?: string;
  phase: CallPhase;
};

const CALLS_KEPT = 10_000;

const REACHED: Record<CallPhase, (call: CallRecord) => boolean> = {
  received: () => true,
  effect: (call) => call.effectAtMs !== undefined,
  mapped: (call) => call.mappedAtMs !== undefined,
  answered: (call) => call.answeredAtMs !== undefined,
};

/** The log of EC2 calls: the newest 10,000. */
export class CallLog {
  #calls: CallRecord[] = [];
  #lastID = 0;
  readonly #waiting = new Set<() => void>();

  /** Starts the record of a call. */
  open(call: Omit<CallRecord, 'id' | 'status'>): CallRecord {
    const record: CallRecord = { ...call, id: ++this.#lastID, status: 0 };
    this.#calls.push(record);
    if (this.#calls.length > CALLS_KEPT) this.#calls.shift();
    this.#announce();
    return record;
  }

  /** Notes that a call has come further. */
  update(record: CallRecord, change: Partial<CallRecord>): void {
    Object.assign(record, change);
    this.#announce();
  }

  /** The calls that match now, oldest first. */
  find({ since, action, phase }: CallQuery): CallRecord[] {
    return this.#calls.filter(
      (call) => call.id > since && (action === undefined || call.action === action) && REACHED[phase](call),
    );
  }

  /** The calls that match, as soon as there is one, or none after `waitMs`. */
  async wait(query: CallQuery, waitMs: number, signal: AbortSignal): Promise<CallRecord[]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (this.find(query).length > 0) resolve();
    };
    const timer = setTimeout(resolve, waitMs);
    signal.addEventListener('abort', () => resolve(), { once: true });
    this.#waiting.add(look);
    look();
    await promise;
    this.#waiting.delete(look);
    clearTimeout(timer);
    return this.find(query);
  }

  #announce(): void {
    for (const look of this.#waiting) look();
  }
}
