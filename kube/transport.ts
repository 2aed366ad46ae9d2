/** HTTP to one API server: shared connections, credentials, a deadline on everything. No word of Kubernetes objects. */
import type { LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { messageOf } from '../runtime/error-text.ts';
import { inTime } from '../runtime/in-time.ts';
import type { Credentials, TLSMaterial } from './credentials.ts';
import { errorOfStatus, KubeError, type StatusBody } from './errors.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type TransportRequest = {
  /** What is attempted on what, for error messages: `get Lease kube-system/a`. */
  attempt: string;
  method: Method;
  /** Path and query. */
  path: string;
  body?: unknown;
  /** Default `application/json`. */
  contentType?: string;
  /** Deadline of the whole call; of a stream: until its headers. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
};

export type Transport = {
  /** @returns the answer's JSON. @throws KubeError */
  json<T>(request: TransportRequest): Promise<T>;
  /** @returns the body as it arrives, without an end of its own in time: the caller watches for silence. @throws KubeError */
  stream(request: TransportRequest): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
};

/** Each holds one call at a time, so this also bounds the calls in flight; more wait their turn. */
const CALL_CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 3_000;
/** Below the 90 s after which a Go server closes an idle connection: a warm one is there when a failover needs it. */
const KEEP_ALIVE_MS = 60_000;
/** Largest error answer that is read. */
const ERROR_BODY_BYTES = 256 * 1024;

/** HTTP/1.1 on purpose: one connection per call in flight, so that one that died silently stalls one call, not all. */
const createAgent = (
  tls: TLSMaterial,
  connections: number | null,
  lookup: LookupFunction | undefined,
): Agent => {
  const { version: _, ...material } = tls;
  return new Agent({
    connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      ...material,
      timeout: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelay: 15_000,
      ...(lookup && { lookup }),
    },
  });
};

/** One pool for calls and one for streams, replaced together when the TLS material changes. */
type Agents = { version: string; calls: Agent; streams: Agent };

/** Makes a transport, which opens nothing yet. @param server base URL, such as `https://10.0.0.1:6443` */
export const createTransport = (options: {
  server: string;
  userAgent: string;
  credentials: Credentials;
  /** Default 8. */
  callConnections?: number;
  /** Of the server's name; default Node's own. */
  lookup?: LookupFunction | undefined;
}): Transport => {
  const { callConnections = CALL_CONNECTIONS, lookup } = options;
  const { origin, pathname } = new URL(options.server);
  const prefix = pathname.replace(/\/$/, '');
  let agents: Agents | undefined;

  const agentsFor = (tls: TLSMaterial): Agents => {
    if (agents?.version === tls.version) return agents;
    const old = agents;
    agents = {
      version: tls.version,
      calls: createAgent(tls, callConnections, lookup),
      streams: createAgent(tls, null, lookup),
    };
    // Lets calls in flight finish; a failure to close leaves nothing to do.
    old?.calls.close().catch(() => undefined);
    old?.streams.close().catch(() => undefined);
    return agents;
  };

  const send = async (request: TransportRequest, pool: 'calls' | 'streams', signal: AbortSignal) => {
    const { headers, tls } = await credentialsInTime(options.credentials, signal);
    const sending: Dispatcher.RequestOptions = {
      origin,
      path: prefix + request.path,
      method: request.method,
      headers: { ...headers, accept: 'application/json', 'user-agent': options.userAgent },
      signal,
    };
    if (request.body !== undefined) {
      sending.body = JSON.stringify(request.body);
      sending.headers = { ...sending.headers, 'content-type': request.contentType ?? 'application/json' };
    }
    return agentsFor(tls)[pool].request(sending);
  };

  /** A refused credential is asked for afresh, once: the server did nothing, so any call may be repeated. */
  const answer = async (request: TransportRequest, pool: 'calls' | 'streams', signal: AbortSignal) => {
    let response = await send(request, pool, signal);
    if (response.statusCode === 401) {
      await response.body.dump({ limit: ERROR_BODY_BYTES });
      options.credentials.forget();
      response = await send(request, pool, signal);
    }
    if (response.statusCode < 300) return response;
    throw await errorOfResponse(request.attempt, response);
  };

  return {
    async json<T>(request: TransportRequest): Promise<T> {
      const deadline = AbortSignal.timeout(request.timeoutMs);
      const signal = request.signal ? AbortSignal.any([deadline, request.signal]) : deadline;
      try {
        const response = await answer(request, 'calls', signal);
        return (await response.body.json()) as T;
      } catch (error) {
        throw explain(error, request, deadline.aborted);
      }
    },
    async stream(request) {
      const opening = new AbortController();
      const timer = setTimeout(() => opening.abort(), request.timeoutMs);
      const signal = request.signal ? AbortSignal.any([opening.signal, request.signal]) : opening.signal;
      try {
        const response = await answer(request, 'streams', signal);
        return explained(response.body, request);
      } catch (error) {
        throw explain(error, request, opening.signal.aborted);
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      const last = agents;
      agents = undefined;
      options.credentials.close();
      await Promise.all([last?.calls.destroy(), last?.streams.destroy()]);
    },
  };
};

/** A call was given up before its credentials were there. The message says what they wait for. */
class WaitError extends Error {}

/** An exec plugin may take longer than a call waits. */
const credentialsInTime = (
  credentials: Credentials,
  signal: AbortSignal,
): ReturnType<Credentials['current']> =>
  inTime(credentials.current(), signal).catch((error: unknown) => {
    throw signal.aborted ? new WaitError(credentials.waitsFor(), { cause: error }) : error;
  });

async function* explained(
  body: AsyncIterable<Uint8Array>,
  request: TransportRequest,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw explain(error, request, false);
  }
}

const errorOfResponse = async (attempt: string, response: Dispatcher.ResponseData): Promise<KubeError> => {
  const text = await beginningOf(response.body);
  const retryAfter = response.headers['retry-after'];
  const seconds = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  return errorOfStatus(attempt, response.statusCode, parseStatus(text), seconds);
};

/** As much of an answer as is read of an error; what is longer costs the connection. */
const beginningOf = async (body: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= ERROR_BODY_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** A proxy in between answers in other languages: the first line of such an answer is its message. */
const parseStatus = (text: string): StatusBody => {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return { message: text.slice(0, 200).split('\n', 1)[0] ?? '' };
  }
};

/** Turns what undici throws into a KubeError; its errors carry no headers, so no credential either. */
const explain = (error: unknown, request: TransportRequest, timedOut: boolean): KubeError => {
  if (error instanceof KubeError) {
    if (error.status !== 0) return error;
    // A failure to get credentials does not know what they were for.
    return new KubeError(`${request.attempt}: ${error.message}`, { kind: error.kind });
  }
  if (timedOut) {
    const waited = error instanceof WaitError && error.message !== '' ? ` from ${error.message}` : '';
    const message = `${request.attempt}: no answer${waited} within ${request.timeoutMs} ms`;
    return new KubeError(message, { kind: 'TimedOut' }, { cause: error });
  }
  if (request.signal?.aborted) {
    return new KubeError(`${request.attempt}: aborted`, { kind: 'Aborted' }, { cause: error });
  }
  if (error instanceof SyntaxError) {
    // The parser's message quotes the answer, which may be a Secret.
    return new KubeError(`${request.attempt}: the answer is not JSON`, { kind: 'Unreachable' });
  }
  const what = messageOf(error) || (error as NodeJS.ErrnoException).code || String(error);
  return new KubeError(`${request.attempt}: ${what}`, { kind: 'Unreachable' }, { cause: error });
};
