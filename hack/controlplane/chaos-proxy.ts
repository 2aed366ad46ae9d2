/**
 * An API server that misbehaves: a proxy which ends TLS with a certificate of its own, passes requests and bearer tokens on
 * to the real one, and does to them what its rules say. A client certificate ends here: use a token.
 */
import { mkdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer as createTLSServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { issueCertificate } from './pki.ts';

/** One request as the rules see it. */
export type SeenRequest = {
  method: string;
  path: string;
  query: URLSearchParams;
  /** The bearer token, if any. */
  token: string | undefined;
};

/** What is done to a request. */
export type Mischief =
  /** Answered by the proxy; the API server hears nothing of it. `body` is sent as JSON. */
  | { do: 'answer'; status: number; body?: object; headers?: Record<string, string> }
  /** The connection is reset; the API server hears nothing of it. */
  | { do: 'cut' }
  /** The API server does its work, and instead of the answer the connection is reset. */
  | { do: 'swallow' }
  /** Nothing happens any more, and the connection stays open. */
  | { do: 'stall' }
  /** Half of the body's first piece, then a reset. */
  | { do: 'truncate' }
  /** Waits before it passes the request on, then again before each piece of the answer. */
  | { do: 'slow'; delayMs: number; pieceBytes: number };

/** What is done to which requests, and how often. */
export type Rule = Mischief & {
  /** Default: every request. */
  match?: (request: SeenRequest) => boolean;
  /** Default: every time until it is removed. */
  times?: number;
};

/** A rule in force. */
export type RuleHandle = {
  /** Requests it was applied to. */
  hits(): number;
  remove(): void;
};

type Stream = { mode: 'pass' | 'stall' | 'truncate'; reset: () => void };

type RuleInForce = { rule: Rule; hits: number };

/** The proxy while it runs: made by {@link startChaosProxy}. */
export class ChaosProxy {
  /** Such as `https://127.0.0.1:34567`. */
  readonly server: string;
  /** The authority of the proxy's certificate. */
  readonly caFile: string;
  readonly #upstream: Upstream;
  readonly #listener: Server;
  readonly #rules = new Set<RuleInForce>();
  readonly #streams = new Set<Stream>();
  readonly #sockets = new Set<Socket>();

  /** @param listener listens already, and answers nobody yet */
  constructor(listener: Server, caFile: string, upstream: Upstream) {
    this.server = `https://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    this.caFile = caFile;
    this.#upstream = upstream;
    this.#listener = listener;
    listener.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    listener.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // What fails between here and the API server looks to the client as it does in life: the connection breaks.
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
  }

  /** The first rule in force that matches a request is applied to it. */
  rule(rule: Rule): RuleHandle {
    const entry = { rule, hits: 0 };
    this.#rules.add(entry);
    return { hits: () => entry.hits, remove: () => this.#rules.delete(entry) };
  }

  /**
   * What becomes of the watches that are open now: reset, silent for ever, or reset in the middle of their next event.
   * @returns how many were open
   */
  streams(mischief: 'cut' | 'stall' | 'truncate'): number {
    for (const stream of this.#streams) {
      if (mischief === 'cut') stream.reset();
      else stream.mode = mischief;
    }
    return this.#streams.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
    this.#upstream.agent.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const seen = seenRequest(request);
    const mischief = this.#apply(seen);
    const reset = () => request.socket.destroy();
    switch (mischief?.do) {
      case 'answer':
        response.writeHead(mischief.status, { 'content-type': 'application/json', ...mischief.headers });
        response.end(JSON.stringify(mischief.body ?? {}));
        return;
      case 'cut':
        reset();
        return;
      case 'stall':
        return;
      case 'slow':
        await sleep(mischief.delayMs);
    }
    const answer = await forward(request, body, this.#upstream);
    const isWatch = seen.query.get('watch') === 'true';
    if (mischief?.do === 'swallow') {
      if (!isWatch) await buffer(answer);
      reset();
      return;
    }
    const stream: Stream = { mode: mischief?.do === 'truncate' ? 'truncate' : 'pass', reset };
    if (isWatch) this.#streams.add(stream);
    try {
      const pieces = mischief?.do === 'slow' ? slowed(answer, mischief.delayMs, mischief.pieceBytes) : answer;
      await pass(stream, answer, pieces, response);
    } finally {
      this.#streams.delete(stream);
    }
  }

  #apply(request: SeenRequest): Mischief | undefined {
    for (const entry of this.#rules) {
      if (entry.hits >= (entry.rule.times ?? Number.POSITIVE_INFINITY)) continue;
      if (entry.rule.match?.(request) === false) continue;
      entry.hits += 1;
      return entry.rule;
    }
    return undefined;
  }
}

/** The API server behind the proxy. */
type Upstream = { url: string; agent: Agent };

/** Starts the proxy on loopback. @param options.dir for its keys; @param options.caFile the authority of the API server. */
export const startChaosProxy = async (options: {
  dir: string;
  upstream: string;
  caFile: string;
}): Promise<ChaosProxy> => {
  const { dir, upstream: url } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const issuer = await issueCertificate(dir, 'chaos-ca', { commonName: 'hapair chaos proxy CA' });
  const subjectAltNames = ['IP:127.0.0.1', 'DNS:localhost'];
  const pair = await issueCertificate(dir, 'chaos', { commonName: 'chaos', subjectAltNames, issuer });
  const [cert, key, ca] = await Promise.all(
    [pair.certFile, pair.keyFile, options.caFile].map((file) => readFile(file)),
  );
  const agent = new Agent({ keepAlive: true, ...(ca && { ca }) });
  const listener = createTLSServer({ ...(cert && { cert }), ...(key && { key }) });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return new ChaosProxy(listener, issuer.certFile, { url, agent });
};

const forward = (
  request: IncomingMessage,
  body: Buffer,
  { url, agent }: Upstream,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { host: _, ...headers } = request.headers;
    const target = new URL(request.url ?? '/', url);
    const sent = httpsRequest(target, { method: request.method, headers, agent }, resolve);
    const giveUp = () => sent.destroy();
    sent.on('error', reject);
    // Connections are reused: nothing may pile up on one.
    sent.on('close', () => request.socket.off('close', giveUp));
    request.socket.once('close', giveUp);
    sent.end(body);
  });

const seenRequest = (request: IncomingMessage): SeenRequest => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'https://proxy');
  return {
    method: request.method ?? '',
    path: pathname,
    query: searchParams,
    token: /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1],
  };
};

/** Passes an answer on piece by piece, as long as its stream is left alone. */
const pass = async (
  stream: Stream,
  { statusCode = 502, headers }: IncomingMessage,
  pieces: AsyncIterable<Buffer>,
  response: ServerResponse,
): Promise<void> => {
  response.writeHead(statusCode, headers);
  response.flushHeaders();
  for await (const piece of pieces) {
    if (stream.mode === 'stall') continue;
    if (stream.mode === 'pass') response.write(piece);
    else {
      await new Promise((resolve) => response.write(piece.subarray(0, Math.ceil(piece.length / 2)), resolve));
      stream.reset();
      return;
    }
  }
  if (stream.mode !== 'stall') response.end();
};

/** Cuts a body into small pieces, anywhere: in the middle of a line, of a character. */
async function* slowed(
  body: AsyncIterable<Buffer>,
  delayMs: number,
  pieceBytes: number,
): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; start += pieceBytes) {
      await sleep(delayMs);
      yield chunk.subarray(start, start + pieceBytes);
    }
  }
}
