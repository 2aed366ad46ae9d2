/** One Lease behind slow and lossy calls in virtual time: compare and swap as the API server does it, and nothing else. */
import { type Clock, sleep } from '../../runtime/clock.ts';
import { KubeError } from '../errors.ts';
import type { Lease } from '../lease-types.ts';
import type { CallOptions, KubeClient } from '../types.ts';

/** How one call fares; milliseconds. A call whose way is longer than its caller's patience takes effect all the same. */
export type Fate = { thereMs: number; backMs: number };

/** The calls that an elector makes. */
export type LeaseClient = Pick<KubeClient, 'get' | 'create' | 'replace'>;

export class LeaseServer {
  lease: Lease | undefined;
  /** Calls in order: `verb` and what became of them. */
  readonly calls: { verb: string; atMs: number; outcome: 'ok' | KubeError['kind'] }[] = [];
  /** Who held the Lease from when on; an emptied Lease is held by ''. */
  readonly holders: { holder: string; sinceMs: number }[] = [];
  readonly #clock: Clock;
  #version = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A process's way to the server. @param fate of each call, asked when it is sent; `clock` is the process's own. */
  client(fate: () => Fate, clock: Clock = this.#clock): LeaseClient {
    return {
      get: (_resource, _key, options) => this.#call('get', fate(), clock, options, () => this.#get()),
      create: (_resource, object, options) =>
        this.#call('create', fate(), clock, options, () => {
          if (this.lease) throw new KubeError('exists', { kind: 'AlreadyExists' });
          return this.put(object);
        }),
      replace: (_resource, object, options) =>
        this.#call('replace', fate(), clock, options, () => {
          const { resourceVersion } = this.#get<Lease>().metadata;
          if (object.metadata.resourceVersion !== resourceVersion) {
            throw new KubeError('changed', { kind: 'Conflict' });
          }
          return this.put(object);
        }),
    };
  }

  /** Stores a Lease, whoever holds it. */
  put<T extends Lease>(object: T): T {
    this.#version += 1;
    const holder = object.spec?.holderIdentity ?? '';
    if (this.holders.at(-1)?.holder !== holder) this.holders.push({ holder, sinceMs: this.#clock.now() });
    const metadata = { ...object.metadata, resourceVersion: String(this.#version) };
    this.lease = structuredClone({ ...object, metadata });
    return structuredClone({ ...object, metadata });
  }

  #get<T>(): T {
    if (!this.lease) throw new KubeError('none', { kind: 'NotFound' });
    return structuredClone(this.lease) as T;
  }

  /** The effect comes half-way; a caller that gives up earlier hears nothing of it. */
  #call<T>(
    verb: string,
    { thereMs, backMs }: Fate,
    clock: Clock,
    { timeoutMs = 10_000, signal }: CallOptions = {},
    effect: () => T,
  ): Promise<T> {
    const run = async (): Promise<T> => {
      await sleep(this.#clock, thereMs);
      const answer = this.#perform(verb, effect);
      // The answer waits in the socket of a process that is paused.
      await sleep(this.#clock, backMs);
      await sleep(clock, 0);
      return answer;
    };
    const patience = async (): Promise<never> => {
      await sleep(clock, timeoutMs, signal);
      throw new KubeError('no answer', { kind: signal?.aborted ? 'Aborted' : 'TimedOut' });
    };
    return Promise.race([run(), patience()]);
  }

  #perform<T>(verb: string, effect: () => T): T {
    const atMs = this.#clock.now();
    try {
      const answer = effect();
      this.calls.push({ verb, atMs, outcome: 'ok' });
      return answer;
    } catch (error) {
      if (error instanceof KubeError) this.calls.push({ verb, atMs, outcome: error.kind });
      throw error;
    }
  }
}
