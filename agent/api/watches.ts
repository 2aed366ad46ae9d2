/** Watches on the VRRPInstances of a namespace: this node's own, and every one of its pairs, the peers' too. */
import { PAIR_LABEL, type VRRPInstance } from '../../crds/types.ts';
import type { WatchSource } from '../../kube/client.ts';
import { isKubeError } from '../../kube/errors.ts';
import type { Key, Scope, Store } from '../../kube/types.ts';
import { watch } from '../../kube/watcher.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { VRRP_INSTANCES } from './reports.ts';

/** The part of a store of VRRPInstances that is read here. */
export type InstanceStore = Pick<Store<VRRPInstance>, 'get' | 'list'>;

/** Hears of the instances; keys are `namespace/pair.node`. */
export type InstanceListener = {
  /** `namespace/pairName` of every pair there is. */
  keys(): Key[];
  ownChanged(store: InstanceStore, key: Key): void;
  /** The first complete list of the own instances has been read. */
  ownListed(store: InstanceStore, namespace: string): void;
  peerChanged(store: InstanceStore, key: Key): void;
};

/** One watch on VRRPInstances, as metrics see it. */
export type WatchSnapshot = {
  /** Whose pairs are watched. */
  namespace: string;
  /** The instances of this node, or all instances of its pairs. */
  of: 'own' | 'pairs';
  /** Since the last sign of life; null: there was none yet. */
  ageMs: number | null;
  relists: number;
  reconnects: number;
  /** It is silent and knows why, so it tries again. */
  isRetrying: boolean;
  /** What the API server said: this agent may not read them; null: it may, or was not told. */
  forbidden: string | null;
};

export type InstanceWatchesOptions = {
  kube: WatchSource;
  namespace: string;
  nodeName: string;
  listener: InstanceListener;
  clock: Pick<Clock, 'now' | 'setTimer'>;
  /** Numbers in [0, 1). */
  random: () => number;
  /** Ends the watches. */
  signal: AbortSignal;
  log: Log;
};

export class InstanceWatches {
  readonly #options: InstanceWatchesOptions;
  /** The instances of this node. */
  readonly own: Store<VRRPInstance>;
  /** Those of its pairs; undefined: there are no pairs. */
  #pairs: Store<VRRPInstance> | undefined;
  /** The pairs' names, as the selector has them. */
  #selected = '';
  #ending = new AbortController();

  constructor(options: InstanceWatchesOptions) {
    const { namespace, nodeName, listener, signal } = options;
    this.#options = options;
    this.own = this.#watch({ namespace, fieldSelector: `spec.nodeName=${nodeName}` }, signal, (key) => {
      listener.ownChanged(this.own, key);
      this.#followPairs();
    });
    void this.own.synced.then(() => listener.ownListed(this.own, namespace));
    this.#followPairs();
  }

  snapshot(): WatchSnapshot[] {
    const own = this.#snapshotOf(this.own, 'own');
    return this.#pairs === undefined ? [own] : [own, this.#snapshotOf(this.#pairs, 'pairs')];
  }

  /** Watches anew whenever the set of pairs has changed. */
  #followPairs(): void {
    const { namespace, listener, signal } = this.#options;
    const names = listener.keys().filter((key) => key.startsWith(`${namespace}/`));
    const selected = names
      .map((key) => key.slice(namespace.length + 1))
      .sort()
      .join(',');
    if (selected === this.#selected) return;
    this.#selected = selected;
    this.#ending.abort();
    this.#pairs = undefined;
    if (selected === '') return;
    this.#ending = new AbortController();
    const store: Store<VRRPInstance> = this.#watch(
      { namespace, labelSelector: `${PAIR_LABEL} in (${selected})` },
      AbortSignal.any([signal, this.#ending.signal]),
      (key) => listener.peerChanged(store, key),
    );
    this.#pairs = store;
  }

  #watch(scope: Scope, signal: AbortSignal, onChange: (key: Key) => void): Store<VRRPInstance> {
    const { kube, clock, random, log } = this.#options;
    const { now, setTimer } = clock;
    return watch<VRRPInstance>(kube, VRRP_INSTANCES, scope, { signal, now, setTimer, random, log, onChange });
  }

  #snapshotOf(store: Store<VRRPInstance>, of: WatchSnapshot['of']): WatchSnapshot {
    const { namespace, clock } = this.#options;
    const { relists, reconnects, lastContactMs } = store.stats();
    const ageMs = Number.isFinite(lastContactMs) ? clock.now() - lastContactMs : null;
    const error = store.error();
    const forbidden = isKubeError(error, 'Forbidden') ? error.message : null;
    return { namespace, of, ageMs, relists, reconnects, isRetrying: error !== undefined, forbidden };
  }
}
