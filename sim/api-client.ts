/** One process's connection to the API server: every answer takes its time, watches lag, and the path can be cut. */
import type { Page, WatchSource } from '../kube/client.ts';
import { KubeError, type KubeErrorKind } from '../kube/errors.ts';
import type { CallOptions, Key, KubeClient, KubeObject, Resource, Scope } from '../kube/types.ts';
import { type APIServer, type Change, isIn, type Stored } from './api-server.ts';
import { never, type Process, type Timeline } from './time.ts';

/** What a client does to the API server, told when it is stored. */
export type APIWrite = { process: Process; verb: string; resource: Resource; key: Key };

/** Told of what goes over a connection. */
type ConnectionWatcher = {
  /** Before a write leaves the process; false: the process dies instead. */
  mayWrite?(): boolean;
  onWrite?(write: APIWrite, before: Stored | undefined, after: Stored | undefined): void;
  /** The process has received this state of an object. */
  onRead?(process: Process, object: Stored | undefined): void;
};

/** How the network between a process and the API server is; a test changes it while it is in use. */
export class APIPath {
  /** Half of a round trip. */
  delayMs = 1;
  /** How much longer a write takes than a reading, before it is stored: as with an admission webhook that does not answer. */
  writeMs = 0;
  /** How much later than stored a watch tells of a change. */
  watchLagMs = 1;
  /** Nothing gets through: calls run into their deadlines, watches fall silent and go on later. */
  isCut = false;
  /** Every call is refused with this at once, and watches end. */
  refusal: KubeErrorKind | undefined;
  /** Lists of this resource are answered as of this revision, as by a cache that is behind. */
  staleList: { plural: string; revision: number } | undefined;
  /** Falsifies what arrives: a client with a broken rule, to see that it is caught. */
  tamper: ((object: KubeObject) => void) | undefined;

  /** Nothing keeps, delays or falsifies what goes over it. */
  get isClean(): boolean {
    return !this.isCut && this.refusal === undefined && this.watchLagMs < 100 && this.writeMs === 0;
  }
}

const BOOKMARK_MS = 60_000;
const DEADLINE_MS = 10_000;
/** The retry of a stalled stream after its path has healed. */
const STALLED_MS = 200;

/** The API as `process` reaches it over `path`. */
export const connectTo = (
  server: APIServer,
  timeline: Timeline,
  process: Process,
  path: APIPath,
  watcher: ConnectionWatcher = {},
): KubeClient & WatchSource => {
  const { clock } = process;

  const call = <T>(
    attempt: string,
    options: CallOptions | undefined,
    work: () => T,
    workMs = 0,
  ): Promise<T> => {
    if (!process.isRunning) return never();
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const end = (finish: () => void): void => {
        if (isOver) return;
        isOver = true;
        cancel();
        finish();
      };
      const failWith = (kind: KubeErrorKind): void =>
        end(() => reject(new KubeError(`${attempt}: ${kind}`, { kind })));
      const cancel = clock.setTimer(options?.timeoutMs ?? DEADLINE_MS, () => failWith('TimedOut'));
      options?.signal?.addEventListener('abort', () => failWith('Aborted'), { once: true });
      timeline.after(path.delayMs + workMs, () => {
        const { refusal } = path;
        // Who has given up has closed its connection, and what waits for a webhook then is not stored.
        if (isOver && workMs > 0) return;
        if (path.isCut) return;
        const answer = refusal === undefined ? attemptOf(work) : undefined;
        timeline.after(path.delayMs, () => {
          if (path.isCut) return;
          process.deliver(() => {
            if (refusal !== undefined) failWith(refusal);
            else if (answer !== undefined) end(() => answer(resolve, reject));
          });
        });
      });
    });
  };

  const see = <T>(object: Stored): T => {
    watcher.onRead?.(process, object);
    const copy = structuredClone(object);
    path.tamper?.(copy);
    return copy as unknown as T;
  };

  const write = <T extends KubeObject>(
    verb: string,
    resource: Resource,
    key: Key,
    options: CallOptions | undefined,
    work: () => Stored,
  ): Promise<T> => {
    if (!process.isRunning || watcher.mayWrite?.() === false) return never();
    const store = (): Stored => {
      const before = server.find(resource, key);
      const after = work();
      watcher.onWrite?.({ process, verb, resource, key }, before, after);
      return after;
    };
    const attempt = `${verb} ${resource.kind} ${key}`;
    return call(attempt, options, store, path.writeMs).then((stored) => see<T>(stored));
  };

  const listNow = (resource: Resource, scope: Scope) => {
    const { plural, revision } = path.staleList ?? {};
    const asOf = plural === resource.plural ? revision : undefined;
    return {
      items: server.list(resource, scope, asOf),
      resourceVersion: String(asOf ?? server.revision),
    };
  };

  return {
    get: <T extends KubeObject>(resource: Resource, key: Key, options?: CallOptions) =>
      call(`get ${resource.kind} ${key}`, options, () => server.get(resource, key)).then((stored) =>
        see<T>(stored),
      ),
    async list<T extends KubeObject>(resource: Resource, scope: Scope, options?: CallOptions) {
      const page = await call(`list ${resource.plural}`, options, () => listNow(resource, scope));
      return { ...page, items: page.items.map((item) => see<T>(item)) };
    },
    async listPage<T extends KubeObject>(
      resource: Resource,
      scope: Scope,
      _token: string | undefined,
      options?: CallOptions & { limit?: number },
    ): Promise<Page<T>> {
      const page = await call(`list ${resource.plural}`, options, () => listNow(resource, scope));
      // Who limits a page asks for the version of the list alone: what is on it is shown to nobody, and decides nothing.
      const items = page.items
        .slice(0, options?.limit)
        .map((item) =>
          options?.limit === undefined ? see<T>(item) : (structuredClone(item) as unknown as T),
        );
      return { ...page, items, continueToken: undefined };
    },
    async openWatch(resource, scope, from, options) {
      const revision = Number(from.resourceVersion);
      await call(`watch ${resource.plural}`, options, () => server.mustRemember(revision));
      return streamOf({ server, timeline, process, path, watcher, resource, scope, revision, options });
    },
    create: (resource, object, options) =>
      write('create', resource, keyOf(object), options, () => server.create(resource, object)),
    replace: (resource, object, options) =>
      write('replace', resource, keyOf(object), options, () => server.replace(resource, object)),
    apply: (resource, object, apply, options) =>
      write(apply.subresource ? 'apply status' : 'apply', resource, keyOf(object), options, () =>
        server.apply(resource, object, apply),
      ),
    patch: (resource, key, operations, options) =>
      write('patch', resource, key, options, () => server.patch(resource, key, operations)),
    async delete(resource, key, options) {
      if (!process.isRunning || watcher.mayWrite?.() === false) return never();
      await call(`delete ${resource.kind} ${key}`, options, () => {
        const before = server.find(resource, key);
        server.delete(resource, key);
        watcher.onWrite?.({ process, verb: 'delete', resource, key }, before, server.find(resource, key));
      });
    },
    close: async () => undefined,
  };
};

const keyOf = ({ metadata: { namespace, name } }: KubeObject): Key => `${namespace}/${name}`;

type Answer<T> = (resolve: (value: T) => void, reject: (error: unknown) => void) => void;

/** The server does it now; the client hears of it later. */
const attemptOf = <T>(work: () => T): Answer<T> => {
  try {
    const value = work();
    return (resolve) => resolve(value);
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    return (_, reject) => reject(error);
  }
};

type StreamOptions = {
  server: APIServer;
  timeline: Timeline;
  process: Process;
  path: APIPath;
  watcher: ConnectionWatcher;
  resource: Resource;
  scope: Scope;
  revision: number;
  options: CallOptions | undefined;
};

type Line = { line: string; read?: () => void };

/** A watch's lines, in the order of the changes, each as late as the path is slow. */
const streamOf = ({
  server,
  timeline,
  process,
  path,
  watcher,
  resource,
  scope,
  revision,
  options,
}: StreamOptions): AsyncIterable<Uint8Array> => {
  const arrived: Line[] = [];
  let wake: (() => void) | undefined;
  let failure: KubeError | undefined;
  /** Lines on their way, in order. */
  const underWay: { line: Line; dueMs: number }[] = [];

  const close = (): void => {
    unlisten();
    isOpen = false;
  };
  let isOpen = true;
  const fail = (kind: KubeErrorKind): void => {
    failure ??= new KubeError(`watch ${resource.plural}: ${kind}`, { kind });
    close();
    wake?.();
  };
  const send = (line: Line): void => {
    underWay.push({ line, dueMs: timeline.nowMs + path.watchLagMs });
    if (underWay.length === 1) next();
  };
  const next = (): void => {
    const [first] = underWay;
    if (first !== undefined) timeline.after(first.dueMs - timeline.nowMs, arrive);
  };
  /** In order: a line that is late, or waits for a cut path, holds up those behind it, as TCP does. */
  const arrive = (): void => {
    if (!isOpen || process.isDead) {
      close();
      return;
    }
    if (path.refusal !== undefined) {
      process.deliver(() => fail('Unreachable'));
      return;
    }
    if (path.isCut) {
      timeline.after(STALLED_MS, arrive);
      return;
    }
    const first = underWay.shift();
    process.deliver(() => {
      if (!isOpen || first === undefined) return;
      arrived.push(first.line);
      wake?.();
    });
    next();
  };
  const tell = (change: Change): void => {
    if (change.plural !== resource.plural || !isIn(scope, change.object)) return;
    if (change.revision <= revision) return;
    const { type, object } = change;
    const copy = path.tamper === undefined ? object : structuredClone(object);
    path.tamper?.(copy);
    send({
      line: JSON.stringify({ type, object: copy }),
      read: () => watcher.onRead?.(process, type === 'DELETED' ? undefined : object),
    });
  };
  const bookmark = (): void => {
    if (!isOpen || process.isDead) {
      close();
      return;
    }
    const metadata = { name: '', resourceVersion: String(server.revision) };
    // As the watch cache does: none that is older than what was asked for.
    if (server.revision >= revision)
      send({ line: JSON.stringify({ type: 'BOOKMARK', object: { metadata } }) });
    timeline.after(BOOKMARK_MS, bookmark);
  };

  const unlisten = server.listen(tell, () => fail('Unreachable'));
  for (const change of server.changesSince(revision)) tell(change);
  timeline.after(BOOKMARK_MS, bookmark);
  options?.signal?.addEventListener('abort', () => fail('Aborted'), { once: true });

  return {
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const next = arrived.shift();
        if (next !== undefined) {
          next.read?.();
          yield Buffer.from(`${next.line}\n`);
        } else if (failure !== undefined) throw failure;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    },
  };
};
