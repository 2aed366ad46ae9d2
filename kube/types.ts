/** What `kube/` offers: the Kubernetes API without a word of HAPair in it. */

/** A namespaced or cluster-wide resource, as it stands in a request path. */
export type Resource = { group: string; version: string; plural: string; kind: string };

/** The least that every stored object has. */
export type KubeObject = {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    deletionTimestamp?: string;
    finalizers?: string[];
  };
};

/** `namespace/name`; cluster-wide objects have just `name`. */
export type Key = string;

/** Which objects a list or watch covers. */
export type Scope = { namespace?: string; labelSelector?: string; fieldSelector?: string };

/** Options of a server-side apply. */
export type ApplyOptions = {
  fieldManager: string;
  /** Take fields from other managers; default false: a conflict is an error that names the rival. */
  force?: boolean;
  subresource?: 'status';
};

/** Bounds of one request. */
export type CallOptions = {
  /** Default 10,000 ms. */
  timeoutMs?: number;
  signal?: AbortSignal;
};

/** Typed calls on any resource. All throw KubeError. */
export type KubeClient = {
  get<T extends KubeObject>(resource: Resource, key: Key, options?: CallOptions): Promise<T>;
  /** Lists all pages with resourceVersion unset: the newest state, not a cache's. */
  list<T extends KubeObject>(
    resource: Resource,
    scope: Scope,
    options?: CallOptions,
  ): Promise<{ items: T[]; resourceVersion: string }>;
  create<T extends KubeObject>(resource: Resource, object: T, options?: CallOptions): Promise<T>;
  /** PUT: refused with 409 when `metadata.resourceVersion` is not the newest. */
  replace<T extends KubeObject>(resource: Resource, object: T, options?: CallOptions): Promise<T>;
  apply<T extends KubeObject>(
    resource: Resource,
    object: T,
    apply: ApplyOptions,
    options?: CallOptions,
  ): Promise<T>;
  /** JSON patch (RFC 6902). */
  patch<T extends KubeObject>(
    resource: Resource,
    key: Key,
    operations: readonly object[],
    options?: CallOptions,
  ): Promise<T>;
  delete(resource: Resource, key: Key, options?: CallOptions): Promise<void>;
  /** Closes the shared connections. */
  close(): Promise<void>;
};

/** An in-memory copy of a scope, kept fresh by list and watch until its signal aborts. */
export type Store<T extends KubeObject> = {
  /** Resolves after the first complete list; never rejects. */
  synced: Promise<void>;
  get(key: Key): T | undefined;
  list(): T[];
  /** The version up to which the store knows every change: that of the newest list, event or bookmark. Undefined: none yet. */
  shownVersion(): string | undefined;
  /** Monotonic time of the last sign of life of the API server: an answer, an event or a bookmark. */
  lastContactMs(): number;
  /** The last error, while the store is not connected. */
  error(): Error | undefined;
  /**
   * Resolves when the store holds what a list begun after this call has shown, read with resourceVersion unset: what somebody
   * decides on who must not act on an older state, such as a new leader. The watch goes on from that list. Waits out failures.
   * @throws KubeError `Aborted` when the watch is ended first.
   */
  refresh(): Promise<void>;
  stats(): StoreStats;
};

/** Counters since the start, for metrics. */
export type StoreStats = {
  /** Complete lists, apart from the first. */
  relists: number;
  /** Watches opened, apart from the first; one every few minutes is the API server's own timeout. */
  reconnects: number;
  /** Objects added, changed or deleted by watch events. */
  events: number;
  /** Objects held now. */
  objects: number;
  /** As `lastContactMs()` of the store; -Infinity before the first. */
  lastContactMs: number;
};

/** Receives the key of each object that was added, changed or deleted. Must not throw. */
export type OnChange = (key: Key) => void;
