/** Raw calls to the API server for the load generator: many identities over few connections, every call counted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Dispatcher } from 'undici';

/** How the API server is reached. */
export type APIOptions = {
  server: string;
  ca: Buffer;
  /** A client certificate; absent: each call brings a token. */
  certificate?: { cert: Buffer; key: Buffer };
  /** Calls under way at the same time; default 32. */
  connections?: number;
};

/** One call. */
export type Request = {
  method: 'GET' | 'POST' | 'PATCH';
  /** Path and query. */
  path: string;
  token?: string | undefined;
  body?: unknown;
  /** Default `application/json`. */
  contentType?: string;
};

/** One event of a watch, as the API server sends it. */
export type WatchEvent = { type: string; object: unknown };

type Versioned = { metadata: { resourceVersion: string } };
type List = { metadata: { resourceVersion: string; continue?: string }; items: unknown[] };

const TRIES = 3;
const RETRY_MS = 500;
const WATCH_SECONDS = 7_200;
/** Objects in an answer to a list. */
const PAGE = 500;

const withQuery = (path: string, query: Record<string, string | number>): string => {
  const text = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${path}${path.includes('?') ? '&' : '?'}${text.join('&')}`;
};

/** `PATCH vrrpinstances/status` of `/apis/hapair.io/v1alpha1/namespaces/prod/vrrpinstances/x/status?…`. */
export const describe = (method: string, path: string): string => {
  const [plain = ''] = path.split('?');
  const match = /^\/apis?\/(?:[^/]+\/)?v1[^/]*(?:\/namespaces\/[^/]+)?\/([^/]+)(?:\/[^/]+(\/[^/]+)?)?$/.exec(
    plain,
  );
  return `${method} ${match ? `${match[1]}${match[2] ?? ''}` : plain}`;
};

/** The API server for the load generator. */
export class API {
  readonly #server: string;
  readonly #calls: Agent;
  readonly #streams: Agent;
  readonly #closing = new AbortController();
  readonly #counts = new Map<string, number>();

  constructor({ server, ca, certificate, connections = 32 }: APIOptions) {
    const common = {
      pipelining: 1,
      connect: { ca, ...certificate },
      headersTimeout: 60_000,
      bodyTimeout: 0,
    };
    this.#server = server;
    this.#calls = new Agent({ ...common, connections });
    this.#streams = new Agent({ ...common, connections: null });
  }

  /** @throws Error with the API server's own words after three tries. */
  async call(request: Request): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(request);
      } catch (error) {
        if (attempt >= TRIES || this.#closing.signal.aborted) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  /** @returns nothing when there is no such object */
  get(path: string, token?: string): Promise<unknown> {
    return this.call({ method: 'GET', path, token });
  }

  async text(path: string): Promise<string> {
    return (await this.#send(this.#calls, { method: 'GET', path })).body.text();
  }

  /**
   * Follows a collection from its present state on until `close`. Cut, it goes on where it was: the API server ends a watch that
   * does not keep up, and to send it everything again would be a load that no client of ours makes.
   */
  watch(path: string, token: string | undefined, onEvent: (event: WatchEvent) => void): void {
    void this.#watch(path, token, onEvent);
  }

  /** Requests so far by `VERB resource`, as {@link describe} names them. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()]);
  }

  #send(agent: Agent, request: Request): Promise<Dispatcher.ResponseData> {
    const { method, path, token, body, contentType = 'application/json' } = request;
    const name = describe(method, path);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    return agent.request({
      origin: this.#server,
      method,
      path,
      headers: {
        accept: 'application/json',
        'user-agent': 'hapair-bench',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': contentType }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: this.#closing.signal,
    });
  }

  async #once(request: Request): Promise<unknown> {
    const response = await this.#send(this.#calls, request);
    const text = await response.body.text();
    if (response.statusCode < 300) return JSON.parse(text);
    if (response.statusCode === 404 && request.method === 'GET') return undefined;
    throw new Error(`${request.method} ${request.path}: HTTP ${response.statusCode} ${text.slice(0, 300)}`);
  }

  async #watch(path: string, token: string | undefined, onEvent: (event: WatchEvent) => void): Promise<void> {
    let version: string | undefined;
    const take = (event: WatchEvent): void => {
      if (event.type === 'ERROR') {
        version = undefined;
        throw new Error(`watch ${path}: ${JSON.stringify(event.object)}`);
      }
      version = (event.object as Versioned).metadata.resourceVersion;
      if (event.type !== 'BOOKMARK') onEvent(event);
    };
    while (!this.#closing.signal.aborted) {
      try {
        version ??= await this.#list(path, token, (object) => onEvent({ type: 'ADDED', object }));
        await this.#follow(path, token, version, take);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        console.error(`hapair: ${error instanceof Error ? error.message : String(error)}; connecting again`);
        await sleep(RETRY_MS);
      }
    }
  }

  /** @returns the version from which a watch misses nothing */
  async #list(path: string, token: string | undefined, onItem: (object: unknown) => void): Promise<string> {
    let next: string | undefined;
    for (;;) {
      const query = { limit: PAGE, ...(next && { continue: next }) };
      const page = (await this.call({ method: 'GET', path: withQuery(path, query), token })) as List;
      for (const item of page.items) onItem(item);
      next = page.metadata.continue;
      if (!next) return page.metadata.resourceVersion;
    }
  }

  async #follow(
    path: string,
    token: string | undefined,
    from: string,
    onEvent: (event: WatchEvent) => void,
  ): Promise<void> {
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: WATCH_SECONDS,
      resourceVersion: from,
    };
    const response = await this.#send(this.#streams, { method: 'GET', path: withQuery(path, query), token });
    if (response.statusCode !== 200) {
      await response.body.dump();
      throw new Error(`watch ${path}: HTTP ${response.statusCode}`);
    }
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of response.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') onEvent(JSON.parse(line));
    }
  }
}
