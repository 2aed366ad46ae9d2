/**
 * The Kubernetes API server and garbage collector in memory, as far as hapair uses them: resourceVersion, generation, status
 * subresource, finalizers, deletion in background and foreground, server-side apply of fields with one owner, watches that
 * resume. What each client sees of it, and when, is api-client.ts.
 */
import { validateVRRPInstance } from '../crds/validate.ts';
import { KubeError, type KubeErrorKind } from '../kube/errors.ts';
import type { ApplyOptions, Key, KubeObject, Resource, Scope } from '../kube/types.ts';
import { canonical } from '../runtime/json.ts';
import { formatTime } from '../runtime/time.ts';
import { type Timeline, wallAt } from './time.ts';

/** An object as it is stored. */
export type Stored = KubeObject & {
  metadata: {
    uid: string;
    resourceVersion: string;
    generation: number;
    creationTimestamp: string;
    ownerReferences?: { uid: string; blockOwnerDeletion?: boolean }[];
  };
  spec?: unknown;
  status?: unknown;
};

/** One change, as a watch tells it. */
export type Change = {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  plural: string;
  object: Stored;
  revision: number;
};

/** How an object is deleted: `kubectl delete`, or with --cascade=foreground. */
export type Propagation = 'Background' | 'Foreground';

const FOREGROUND = 'foregroundDeletion';
/** The garbage collector works through its queue. */
const COLLECT_MS = 500;

const fail = (kind: KubeErrorKind, status: number, what: string): KubeError =>
  new KubeError(`${what}: ${status} ${kind}`, { kind, status, reason: kind });

const idOf = ({ plural }: Resource, key: Key): string => `${plural}/${key}`;
const keyOf = ({ metadata: { namespace, name } }: KubeObject): Key => `${namespace}/${name}`;

/** `k=v`, or `k in (v,w)`. */
const hasLabel = ({ metadata: { labels } }: KubeObject, selector: string): boolean => {
  const [, name = '', list] = /^(\S+) in \((.*)\)$/.exec(selector) ?? [];
  if (list !== undefined) return list.split(',').includes(labels?.[name] ?? '');
  const [key = '', value] = selector.split('=');
  return labels?.[key] === value;
};

const hasField = (object: Stored, selector: string): boolean => {
  const [path = '', value] = selector.split('=');
  const found = path.split('.').reduce<unknown>((at, name) => Object(at)[name], object);
  return found === value;
};

/** Whether a list or watch of this scope shows the object. */
export const isIn = (scope: Scope, object: Stored): boolean =>
  (scope.namespace === undefined || scope.namespace === object.metadata.namespace) &&
  (scope.labelSelector === undefined || hasLabel(object, scope.labelSelector)) &&
  (scope.fieldSelector === undefined || hasField(object, scope.fieldSelector));

export class APIServer {
  readonly #timeline: Timeline;
  readonly #objects = new Map<string, Stored>();
  readonly #plurals = new Map<string, string>();
  readonly #changes: Change[] = [];
  readonly #listeners = new Set<{
    onChange: (change: Change) => void;
    onRestored?: (() => void) | undefined;
  }>();
  #revision = 100;
  #compactedUntil = 0;
  #uids = 0;
  #isCollecting = false;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Hears of every change as it is stored, and of a restore, which ends every watch. */
  listen(onChange: (change: Change) => void, onRestored?: () => void): () => void {
    const listener = { onChange, onRestored };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** etcd's folder of that time is put back: objects and versions are as they were at `revision`, and nobody is told. */
  restore(revision: number): void {
    this.#changes.splice(
      0,
      this.#changes.length,
      ...this.#changes.filter((each) => each.revision <= revision),
    );
    this.#objects.clear();
    for (const { type, plural, object } of this.#changes) {
      const id = `${plural}/${keyOf(object)}`;
      if (type === 'DELETED') this.#objects.delete(id);
      else this.#objects.set(id, object);
    }
    this.#revision = revision;
    this.#compactedUntil = Math.min(this.#compactedUntil, revision);
    for (const { onRestored } of [...this.#listeners]) onRestored?.();
  }

  /** As etcd does every few minutes: what changed until now can be watched no more. */
  compact(): void {
    this.#compactedUntil = this.#revision;
  }

  /** @throws KubeError 410 Gone when changes after `revision` are compacted away */
  mustRemember(revision: number): void {
    if (revision < this.#compactedUntil) throw fail('Gone', 410, `revision ${revision}`);
  }

  /** Every change so far that is newer than `revision`. */
  changesSince(revision: number): readonly Change[] {
    return this.#changes.filter((change) => change.revision > revision);
  }

  /** The stored object itself. */
  find(resource: Resource, key: Key): Stored | undefined {
    return this.#objects.get(idOf(resource, key));
  }

  get(resource: Resource, key: Key): Stored {
    return this.#must(resource, key, 'get');
  }

  /** As of `revision`; default now. */
  list(resource: Resource, scope: Scope, revision = this.#revision): Stored[] {
    const objects = revision === this.#revision ? [...this.#objects.values()] : this.#asOf(revision);
    return objects.filter(
      (object) => this.#plurals.get(object.metadata.uid) === resource.plural && isIn(scope, object),
    );
  }

  create(resource: Resource, object: KubeObject): Stored {
    const id = idOf(resource, keyOf(object));
    if (this.#objects.has(id)) throw fail('AlreadyExists', 409, `create ${id}`);
    return this.#create(resource, object);
  }

  replace(resource: Resource, object: KubeObject): Stored {
    const before = this.#must(resource, keyOf(object), 'replace');
    const { resourceVersion } = object.metadata;
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
      throw fail('Conflict', 409, `replace ${idOf(resource, keyOf(object))}`);
    return this.#update(resource, before, { ...before, ...object, metadata: before.metadata });
  }

  /** Each object's spec and its status have one owner, so what that owner applies is the whole of it. */
  apply(resource: Resource, object: KubeObject, { subresource }: ApplyOptions): Stored {
    const key = keyOf(object);
    const before = this.#objects.get(idOf(resource, key));
    const { uid, labels, resourceVersion, ...metadata } = object.metadata;
    if (resourceVersion !== undefined && resourceVersion !== before?.metadata.resourceVersion)
      throw fail('Conflict', 409, `apply ${idOf(resource, key)}`);
    if (uid !== undefined && uid !== before?.metadata.uid)
      throw fail(before ? 'Conflict' : 'NotFound', before ? 409 : 404, `apply ${idOf(resource, key)}`);
    if (before === undefined) {
      if (subresource) throw fail('NotFound', 404, `apply status of ${idOf(resource, key)}`);
      return this.#create(resource, object);
    }
    const { status } = object as Partial<Stored>;
    if (subresource) {
      const wanted = { ...before, status };
      if (resource.plural === 'vrrpinstances' && !validateVRRPInstance(wanted, before).ok)
        throw fail('Invalid', 422, `apply status of ${idOf(resource, key)}`);
      return this.#update(resource, before, wanted);
    }
    const { status: kept } = before;
    const after = {
      ...object,
      metadata: { ...before.metadata, ...metadata, labels: { ...before.metadata.labels, ...labels } },
      ...(kept !== undefined && { status: kept }),
    };
    return this.#update(resource, before, after);
  }

  /** JSON patch (RFC 6902) with the operations test, add, replace and remove. */
  patch(resource: Resource, key: Key, operations: readonly object[]): Stored {
    const before = this.#must(resource, key, 'patch');
    const after = structuredClone(before);
    for (const operation of operations) patchOnce(after, operation, `patch ${idOf(resource, key)}`);
    return this.#update(resource, before, after);
  }

  delete(resource: Resource, key: Key, propagation: Propagation = 'Background'): void {
    const before = this.#must(resource, key, 'delete');
    const { finalizers = [], deletionTimestamp } = before.metadata;
    const wanted =
      propagation === 'Foreground' && !finalizers.includes(FOREGROUND)
        ? [...finalizers, FOREGROUND]
        : finalizers;
    const metadata = {
      ...before.metadata,
      finalizers: wanted,
      deletionTimestamp: deletionTimestamp ?? formatTime(wallAt(this.#timeline.nowMs)),
      generation: before.metadata.generation + (deletionTimestamp === undefined ? 1 : 0),
    };
    this.#update(resource, before, { ...before, metadata });
    this.#collectSoon();
  }

  #must(resource: Resource, key: Key, verb: string): Stored {
    const found = this.#objects.get(idOf(resource, key));
    if (found === undefined) throw fail('NotFound', 404, `${verb} ${idOf(resource, key)}`);
    return found;
  }

  #create(resource: Resource, object: KubeObject): Stored {
    this.#uids += 1;
    const stored: Stored = {
      ...structuredClone(object),
      metadata: {
        ...structuredClone(object.metadata),
        uid: `uid-${this.#uids}`,
        generation: 1,
        resourceVersion: '',
        creationTimestamp: formatTime(wallAt(this.#timeline.nowMs)),
      },
    };
    this.#plurals.set(stored.metadata.uid, resource.plural);
    return this.#store('ADDED', resource, stored);
  }

  /** What changes nothing leaves the resourceVersion as it is and is told to nobody. */
  #update(resource: Resource, before: Stored, wanted: KubeObject & Partial<Stored>): Stored {
    const { uid, generation, creationTimestamp, resourceVersion } = before.metadata;
    const hasNewSpec = canonical(wanted.spec) !== canonical(before.spec);
    const metadata = {
      ...wanted.metadata,
      uid,
      creationTimestamp,
      resourceVersion,
      generation: Math.max(generation, wanted.metadata.generation ?? 0) + (hasNewSpec ? 1 : 0),
    } as Stored['metadata'];
    const after: Stored = { ...structuredClone({ ...wanted, metadata }) };
    if (canonical(after) === canonical(before)) return before;
    const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    return this.#store(isGone ? 'DELETED' : 'MODIFIED', resource, after);
  }

  #store(type: Change['type'], resource: Resource, object: Stored): Stored {
    this.#revision += 1;
    object.metadata.resourceVersion = String(this.#revision);
    const id = idOf(resource, keyOf(object));
    if (type === 'DELETED') this.#objects.delete(id);
    else this.#objects.set(id, object);
    const change = { type, plural: resource.plural, object, revision: this.#revision };
    this.#changes.push(change);
    for (const { onChange } of this.#listeners) onChange(change);
    if (type === 'DELETED') this.#collectSoon();
    return object;
  }

  #asOf(revision: number): Stored[] {
    const objects = new Map<string, Stored>();
    for (const { type, object, revision: at } of this.#changes) {
      if (at > revision) break;
      if (type === 'DELETED') objects.delete(object.metadata.uid);
      else objects.set(object.metadata.uid, object);
    }
    return [...objects.values()];
  }

  #collectSoon(): void {
    if (this.#isCollecting) return;
    this.#isCollecting = true;
    this.#timeline.after(COLLECT_MS, () => {
      this.#isCollecting = false;
      this.#collect();
    });
  }

  /** ownerReferences: dependents go after their owner, or before it if it is deleted in the foreground. */
  #collect(): void {
    const objects = [...this.#objects.values()];
    const resourceOf = ({ metadata: { uid } }: Stored) => ({
      group: '',
      version: '',
      kind: '',
      plural: this.#plurals.get(uid) ?? '',
    });
    for (const object of objects) {
      const owners = object.metadata.ownerReferences ?? [];
      if (owners.length === 0) continue;
      const living = objects.filter(({ metadata }) => owners.some(({ uid }) => uid === metadata.uid));
      const isOrdered = living.some(({ metadata }) => metadata.finalizers?.includes(FOREGROUND));
      if (living.length === 0 || isOrdered) this.delete(resourceOf(object), keyOf(object));
    }
    for (const owner of [...this.#objects.values()]) {
      const { finalizers = [], uid } = owner.metadata;
      const hasDependents = [...this.#objects.values()].some(({ metadata }) =>
        metadata.ownerReferences?.some((reference) => reference.uid === uid),
      );
      if (!finalizers.includes(FOREGROUND) || hasDependents) continue;
      const metadata = { ...owner.metadata, finalizers: finalizers.filter((name) => name !== FOREGROUND) };
      this.#update(resourceOf(owner), owner, { ...owner, metadata });
    }
  }
}

type Operation = { op: 'test' | 'add' | 'replace' | 'remove'; path: string; value?: unknown };

const patchOnce = (object: Stored, operation: object, what: string): void => {
  const { op, path, value } = operation as Operation;
  const names = path.split('/').slice(1);
  const last = names.pop() ?? '';
  const parent = names.reduce<unknown>((at, name) => Object(at)[name], object);
  if (typeof parent !== 'object' || parent === null) throw fail('Invalid', 422, what);
  const place = parent as Record<string, unknown>;
  if (op === 'test' && canonical(place[last]) !== canonical(value)) throw fail('Invalid', 422, what);
  if (op === 'remove' && Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (op === 'remove') delete place[last];
  else if (op !== 'test') place[last] = structuredClone(value);
};
