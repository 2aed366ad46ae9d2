/** Lets the fabric follow EC2's state, in order and after the lag that EC2 has. */
import { sleep } from '../clock.ts';
import type { Fabric } from '../types.ts';
import type { Mapping } from './state.ts';

type Change = {
  table: 'routes' | 'nat';
  key: string;
  value: string | null;
  /** Later changes have higher numbers; the newest of a key wins. */
  version: number;
};

const RETRY_MS = 250;
const MAX_ATTEMPTS = 240;

/** The changes that lead from one mapping to another: what ends, then where addresses go, then new NAT. */
const difference = (from: Mapping, to: Mapping): Omit<Change, 'version'>[] => {
  const changes = (table: 'routes' | 'nat') => [
    ...[...from[table].keys()]
      .filter((key) => !to[table].has(key))
      .map((key) => ({ table, key, value: null })),
    ...[...to[table]]
      .filter(([key, value]) => from[table].get(key) !== value)
      .map(([key, value]) => ({ table, key, value })),
  ];
  const nat = changes('nat');
  return [
    ...nat.filter((change) => change.value === null),
    ...changes('routes'),
    ...nat.filter((change) => change.value !== null),
  ];
};

const copy = (mapping: Mapping): Mapping => ({ routes: new Map(mapping.routes), nat: new Map(mapping.nat) });

/**
 * Makes the fabric follow EC2's state, a lag behind it. Changes reach the fabric one at a time; of two changes of one
 * address the newer one wins, whatever their lags.
 */
export class Mapper {
  readonly #fabric: Fabric;
  readonly #report: (message: string, cause?: unknown) => void;
  #wanted: Mapping = { routes: new Map(), nat: new Map() };
  readonly #mapped: Mapping = { routes: new Map(), nat: new Map() };
  /** Version of the newest change that is due or done, per table and key. */
  readonly #newest = new Map<string, number>();
  #version = 0;
  #pending = 0;
  #tail: Promise<void> = Promise.resolve();
  readonly #idle = new Set<() => void>();

  constructor(fabric: Fabric, report: (message: string, cause?: unknown) => void) {
    this.#fabric = fabric;
    this.#report = report;
  }

  /** What the fabric does now. */
  get mapped(): Mapping {
    return copy(this.#mapped);
  }

  /** Changes that the fabric has still to follow. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Has the fabric follow `next` after `lagMs`.
   * @returns when the fabric has it; at once if nothing changes.
   */
  async follow(next: Mapping, lagMs: number, signal: AbortSignal): Promise<void> {
    const changes = difference(this.#wanted, next).map((change) => ({ ...change, version: ++this.#version }));
    this.#wanted = copy(next);
    if (changes.length === 0) return;
    this.#pending += changes.length;
    try {
      await sleep(lagMs, signal);
      await Promise.all(changes.map((change) => this.#enqueue(change, signal)));
    } finally {
      this.#pending -= changes.length;
      this.#announceIdle();
    }
  }

  /** Forgets what was wanted, once nothing is under way: the next `follow` starts from what the fabric does now. */
  async restart(): Promise<void> {
    await this.#tail;
    this.#wanted = copy(this.#mapped);
  }

  /** Resolves when the fabric has followed everything, or after `waitMs`. */
  async settled(waitMs: number): Promise<boolean> {
    if (this.#pending > 0 && waitMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, waitMs);
      this.#idle.add(resolve);
      await promise;
      this.#idle.delete(resolve);
      clearTimeout(timer);
    }
    return this.#pending === 0;
  }

  #announceIdle(): void {
    if (this.#pending === 0) {
      for (const resolve of this.#idle) resolve();
    }
  }

  #enqueue(change: Change, signal: AbortSignal): Promise<void> {
    const key = `${change.table} ${change.key}`;
    this.#newest.set(key, Math.max(change.version, this.#newest.get(key) ?? 0));
    const isNewest = () => this.#newest.get(key) === change.version && !signal.aborted;
    const applied = this.#tail.then(() => (isNewest() ? this.#apply(change) : true));
    this.#tail = applied.then(() => undefined);
    return applied.then((done) => (done ? undefined : this.#retry(change, isNewest, signal)));
  }

  /** A fabric that cannot follow (a device that is gone for now) is asked again, for a minute. */
  async #retry(change: Change, isNewest: () => boolean, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
      await sleep(RETRY_MS, signal);
      const applied = this.#tail.then(() => (isNewest() ? this.#apply(change, attempt) : true));
      this.#tail = applied.then(() => undefined);
      if (await applied) return;
    }
    this.#report(`gave up mapping ${change.key} to ${change.value ?? 'nowhere'} after a minute`);
  }

  /** Only the first failure of a change is worth a line. */
  async #apply({ table, key, value }: Change, attempt = 0): Promise<boolean> {
    try {
      await (table === 'routes' ? this.#fabric.route(key, value) : this.#fabric.nat(key, value));
    } catch (error) {
      if (attempt === 0)
        this.#report(`the fabric could not map ${key} to ${value ?? 'nowhere'}; trying again`, error);
      return false;
    }
    if (value === null) {
      this.#mapped[table].delete(key);
    } else {
      this.#mapped[table].set(key, value);
    }
    return true;
  }
}
