/**
 * An API server that misbehaves: a proxy which ends TLS with a certificate of its own, passes requests and bearer tokens on
 * to the real one, and does to them what its rules say. A client certificate ends here: use a token.
 */

import { mkdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer as createTLSServer, request as httpsRequest } from 'node:https';
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

export type ChaosProxy = {
  /** Such as `https://127.0.0.1:34567`. */
  server: string;
  /** The authority of the proxy's certificate. */
  caFile: string;
  /** The first rule in force that matches a request is applied to it. */
  rule(rule: Rule): RuleHandle;
  /**
   * What becomes of the watches that are open now: reset, silent for ever, or reset in the middle of their next event.
   * @returns how many were open
   */
  streams(mischief: 'cut' | 'stall' | 'truncate'): number;
  close(): Promise<void>;
};

type Stream = { mode: 'pass' | 'stall' | 'truncate'; reset: () => void };

/** Starts the proxy on loopback. @param options.dir for its keys; @param options.caFile the authority of the API server. */
export const startChaosProxy = async (options: {
  dir: string;
  upstream: string;
  caFile: string;
}): Promise<ChaosProxy> => {
  const { dir, upstream } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const issuer = await issueCertificate(dir, 'chaos-ca', { commonName: 'hapair chaos proxy CA' });
  const subjectAltNames = ['IP:127.0.0.1', 'DNS:localhost'];
  const pair = await issueCertificate(dir, 'chaos', { commonName: 'chaos', subjectAltNames, issuer });
  const [cert, key, ca] = await Promise.all(
    [pair.certFile, pair.keyFile, options.caFile].map((file) => readFile(file)),
  );
  const agent = new Agent({ keepAlive: true, ...(ca && { ca }) });
  const rules = new Set<{ rule: Rule; hits: number }>();
  const streams = new Set<Stream>();
  const sockets = new Set<Socket>();

  const applied = (request: SeenRequest): Mischief | undefined => {
    for (const entry of rules) {
      if (entry.hits >= (entry.rule.times ?? Number.POSITIVE_INFINITY)) continue;
      if (entry.rule.match?.(request) === false) continue;
      entry.hits += 1;
      return entry.rule;
    }
    return undefined;
  };

  const forward = (request: IncomingMessage, body: Buffer): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { host: _, ...headers } = request.headers;
      const url = new URL(request.url ?? '/', upstream);
      const sent = httpsRequest(url, { method: request.method, headers, agent }, resolve);
      const giveUp = () => sent.destroy();
      sent.on('error', reject);
      // Connections are reused: nothing may pile up on one.
      sent.on('close', () => request.socket.off('close', giveUp));
      request.socket.once('close', giveUp);
      sent.end(body);
    });

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    const seen = seenRequest(request);
    const mischief = applied(seen);
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
    const answer = await forward(request, body);
    const isWatch = seen.query.get('watch') === 'true';
    if (mischief?.do === 'swallow') {
      if (!isWatch) await buffer(answer);
      reset();
      return;
    }
    const stream: Stream = { mode: mischief?.do === 'truncate' ? 'truncate' : 'pass', reset };
    if (isWatch) streams.add(stream);
    try {
      const pieces = mischief?.do === 'slow' ? slowed(answer, mischief.delayMs, mischief.pieceBytes) : answer;
      await pass(stream, answer, pieces, response);
    } finally {
      streams.delete(stream);
    }
  };

  const proxy = createTLSServer({ ...(cert && { cert }), ...(key && { key }) }, (request, response) => {
    // What fails between here and the API server looks to the client as it does in life: the connection breaks.
    serve(request, response).catch(() => request.socket.destroy());
  });
  proxy.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  return {
    server: `https://127.0.0.1:${port}`,
    caFile: issuer.certFile,
    rule(rule) {
      const entry = { rule, hits: 0 };
      rules.add(entry);
      return { hits: () => entry.hits, remove: () => rules.delete(entry) };
    },
    streams(mischief) {
      for (const stream of streams) {
        if (mischief === 'cut') stream.reset();
        else stream.mode = mischief;
      }
      return streams.size;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
      agent.destroy();
    },
  };
};

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
