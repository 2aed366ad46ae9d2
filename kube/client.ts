/** Typed calls on any Kubernetes resource. */
import type { LookupFunction } from 'node:net';
import type { StartProcess } from '../runtime/child.ts';
import { messageOf } from '../runtime/error-text.ts';
import { createCredentials } from './credentials.ts';
import { isKubeError, KubeError } from './errors.ts';
import { type Access, createAccessReader, type Environment } from './kubeconfig.ts';
import { createTransport, type Method, type Transport } from './transport.ts';
import type { CallOptions, Key, KubeClient, KubeObject, Resource, Scope } from './types.ts';

export { type FieldConflict, isKubeError, KubeError, type KubeErrorKind } from './errors.ts';

export type ConnectOptions = {
  /** Default: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config. */
  kubeconfigPath?: string | undefined;
  /** Names this program and its version in the API server's audit log. */
  userAgent: string;
  /** Deadline of a call that sets none; default 10,000 ms. */
  deadlineMs?: number;
  /** Connections for calls, and so the bound of calls in flight; more wait their turn. Watches have their own. Default 8. */
  callConnections?: number;
  /** Default: the process's. */
  environment?: Environment;
  /** Of the API server's name. Default: Node's own, which waits in libuv's threads. */
  lookup?: LookupFunction;
  /** Starts an exec plugin. Default: with this program's privileges. */
  start?: StartProcess;
  /**
   * A kubeconfig that cannot be used now makes every call fail as `Unauthorized`, and is looked at again with each, where
   * it would make `connect` fail. Default false.
   */
  patient?: boolean;
};

/** One page of a list. */
export type Page<T> = { items: T[]; resourceVersion: string; continueToken: string | undefined };

/** What a watcher needs of a client. */
export type WatchSource = {
  /** One page of at most `limit` objects, default 100; without a token the first, of the newest state. @throws KubeError */
  listPage<T extends KubeObject>(
    resource: Resource,
    scope: Scope,
    continueToken: string | undefined,
    options?: CallOptions & { limit?: number },
  ): Promise<Page<T>>;
  /** Opens a watch with bookmarks; `timeoutMs` bounds the time to its headers. Lines of JSON, cut anywhere. @throws KubeError */
  openWatch(
    resource: Resource,
    scope: Scope,
    from: { resourceVersion: string; timeoutSeconds: number },
    options?: CallOptions,
  ): Promise<AsyncIterable<Uint8Array>>;
};

/** Somebody may have filled each object to the brim: a page is parsed as a whole. */
const PAGE_SIZE = 100;
/** A list whose token expires is begun anew; one that never ends that way is an error. */
const LIST_RESTARTS = 3;

/**
 * Reads the access and opens nothing yet: the first call connects. A kubeconfig that has changed counts from the next call on.
 * @throws KubeError `Invalid` when there is no usable kubeconfig, unless `patient`.
 */
export const connect = async (options: ConnectOptions): Promise<KubeClient & WatchSource> => {
  const { userAgent, callConnections, lookup, start, patient = false } = options;
  const read = createAccessReader(options.kubeconfigPath, options.environment ?? process.env);
  const open = (access: Access): Transport =>
    createTransport({
      ...{ server: access.cluster.server, userAgent, lookup },
      credentials: createCredentials(access, { read: lastOf(read, access), start }),
      ...(callConnections !== undefined && { callConnections }),
    });
  if (!patient) read();
  return createClient(followKubeconfig(read, open), options.deadlineMs ?? 10_000);
};

/** While it cannot be read somebody may be writing it: what was read last counts. */
const lastOf = (read: () => Access, first: Access): (() => Access) => {
  let last = first;
  return () => {
    try {
      last = read();
    } catch {
      // Said by the server, should the credential not be good any more.
    }
    return last;
  };
};

/** A transport for whatever cluster the kubeconfig names when a call is made. */
const followKubeconfig = (read: () => Access, open: (access: Access) => Transport): Transport => {
  let opened: { access: Access; transport: Transport } | undefined;

  const openNow = (): Transport => {
    const access = read();
    if (opened?.access === access) return opened.transport;
    const isSame = JSON.stringify(opened?.access.cluster) === JSON.stringify(access.cluster);
    const transport = isSame && opened !== undefined ? opened.transport : open(access);
    // What is under way there ends, watches too, and is begun again here.
    if (transport !== opened?.transport) opened?.transport.close().catch(() => undefined);
    opened = { access, transport };
    return transport;
  };
  const transport = (attempt: string): Transport => {
    try {
      return openNow();
    } catch (error) {
      if (opened !== undefined) return opened.transport;
      throw new KubeError(`${attempt}: ${messageOf(error)}`, { kind: 'Unauthorized' });
    }
  };
  return {
    json: async (request) => transport(request.attempt).json(request),
    stream: async (request) => transport(request.attempt).stream(request),
    close: async () => opened?.transport.close(),
  };
};

/** The client on a transport. */
export const createClient = (transport: Transport, deadlineMs: number): KubeClient & WatchSource => {
  const call = <T>(
    attempt: string,
    method: Method,
    path: string,
    options: CallOptions | undefined,
    payload: { body?: unknown; contentType?: string } = {},
  ): Promise<T> =>
    transport.json<T>({
      ...payload,
      attempt,
      method,
      path,
      timeoutMs: options?.timeoutMs ?? deadlineMs,
      signal: options?.signal,
    });

  const listPage: WatchSource['listPage'] = async <T extends KubeObject>(
    resource: Resource,
    scope: Scope,
    continueToken: string | undefined,
    options?: CallOptions & { limit?: number },
  ) => {
    const query = selectors(scope);
    query.set('limit', String(options?.limit ?? PAGE_SIZE));
    if (continueToken) query.set('continue', continueToken);
    const path = `${collectionPath(resource, scope.namespace)}?${query}`;
    const page = await call<ListBody<T>>(`list ${describeScope(resource, scope)}`, 'GET', path, options);
    return {
      items: page.items.map((item) => withType(item, resource)),
      resourceVersion: page.metadata.resourceVersion,
      continueToken: page.metadata.continue || undefined,
    };
  };

  return {
    listPage,
    async list<T extends KubeObject>(resource: Resource, scope: Scope, options?: CallOptions) {
      for (let attempt = 0; ; attempt++) {
        try {
          return await listAll<T>(listPage, resource, scope, options);
        } catch (error) {
          if (!isKubeError(error, 'Gone') || attempt >= LIST_RESTARTS) throw error;
        }
      }
    },
    openWatch(resource, scope, from, options) {
      const query = selectors(scope);
      query.set('watch', 'true');
      query.set('allowWatchBookmarks', 'true');
      query.set('resourceVersion', from.resourceVersion);
      query.set('timeoutSeconds', String(from.timeoutSeconds));
      return transport.stream({
        attempt: `watch ${describeScope(resource, scope)}`,
        method: 'GET',
        path: `${collectionPath(resource, scope.namespace)}?${query}`,
        timeoutMs: options?.timeoutMs ?? deadlineMs,
        signal: options?.signal,
      });
    },
    get: (resource, key, options) =>
      call(`get ${resource.kind} ${key}`, 'GET', objectPath(resource, key), options),
    create(resource, object, options) {
      const path = collectionPath(resource, object.metadata.namespace);
      return call(`create ${resource.kind} ${keyOf(object)}`, 'POST', path, options, { body: object });
    },
    replace(resource, object, options) {
      const key = keyOf(object);
      return call(`replace ${resource.kind} ${key}`, 'PUT', objectPath(resource, key), options, {
        body: object,
      });
    },
    apply(resource, object, { fieldManager, force = false, subresource }, options) {
      const key = keyOf(object);
      const query = new URLSearchParams({ fieldManager, force: String(force) });
      const path = `${objectPath(resource, key)}${subresource ? `/${subresource}` : ''}?${query}`;
      const attempt = `apply ${subresource ? `${subresource} of ` : ''}${resource.kind} ${key} as ${fieldManager}`;
      // JSON is YAML, and the API server requires this media type for server-side apply.
      return call(attempt, 'PATCH', path, options, {
        body: withType(object, resource),
        contentType: 'application/apply-patch+yaml',
      });
    },
    patch: (resource, key, operations, options) =>
      call(`patch ${resource.kind} ${key}`, 'PATCH', objectPath(resource, key), options, {
        body: operations,
        contentType: 'application/json-patch+json',
      }),
    async delete(resource, key, options) {
      await call<unknown>(`delete ${resource.kind} ${key}`, 'DELETE', objectPath(resource, key), options);
    },
    close: () => transport.close(),
  };
};

type ListBody<T> = { items: T[]; metadata: { resourceVersion: string; continue?: string } };

const listAll = async <T extends KubeObject>(
  listPage: WatchSource['listPage'],
  resource: Resource,
  scope: Scope,
  options?: CallOptions,
): Promise<{ items: T[]; resourceVersion: string }> => {
  const items: T[] = [];
  let continueToken: string | undefined;
  for (;;) {
    const page = await listPage<T>(resource, scope, continueToken, options);
    for (const item of page.items) items.push(item);
    if (!page.continueToken) return { items, resourceVersion: page.resourceVersion };
    continueToken = page.continueToken;
  }
};

/** The key of an object: `namespace/name`, or `name` when it has no namespace. */
export const keyOf = ({ metadata: { namespace, name } }: KubeObject): Key =>
  namespace ? `${namespace}/${name}` : name;

/** `group/version`, or `v1` of the core group. */
export const apiVersionOf = ({ group, version }: Resource): string =>
  group ? `${group}/${version}` : version;

/** Items of a list carry no type of their own. */
const withType = <T extends KubeObject>(object: T, resource: Resource): T => ({
  apiVersion: apiVersionOf(resource),
  kind: resource.kind,
  ...object,
});

const collectionPath = (resource: Resource, namespace: string | undefined): string => {
  const base = `/${resource.group ? 'apis' : 'api'}/${apiVersionOf(resource)}`;
  return `${base}${namespace ? `/namespaces/${encodeURIComponent(namespace)}` : ''}/${resource.plural}`;
};

const objectPath = (resource: Resource, key: Key): string => {
  const slash = key.indexOf('/');
  const namespace = slash < 0 ? undefined : key.slice(0, slash);
  return `${collectionPath(resource, namespace)}/${encodeURIComponent(key.slice(slash + 1))}`;
};

const selectors = ({ labelSelector, fieldSelector }: Scope): URLSearchParams => {
  const query = new URLSearchParams();
  if (labelSelector) query.set('labelSelector', labelSelector);
  if (fieldSelector) query.set('fieldSelector', fieldSelector);
  return query;
};

const describeScope = (resource: Resource, { namespace, labelSelector, fieldSelector }: Scope): string => {
  const selected = [labelSelector, fieldSelector].filter(Boolean).join(', ');
  return `${resource.plural}${namespace ? ` in ${namespace}` : ''}${selected ? ` (${selected})` : ''}`;
};
