/** A program's HTTP server: `/metrics`, `/healthz`, `/readyz`. Plain HTTP, reads only, a deadline on everything. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Check, healthAnswer } from './health.ts';
import type { Log } from './log.ts';
import type { Resolve } from './names.ts';

export type ServerOptions = {
  /** Address, or a name for one. Default: every address of the machine. */
  bindAddress?: string | undefined;
  /** Of that name. Default: Node's own way. */
  resolve?: Resolve;
  /** 0: the kernel chooses. */
  port: number;
  healthz: readonly Check[];
  readyz: readonly Check[];
  metrics: {
    contentType: string;
    /** In Prometheus' text format. */
    text(): Promise<string>;
  };
  log: Log;
};

export type HTTPServer = {
  port: number;
  /** Ends at once. */
  close(): Promise<void>;
};

/** Whole requests must have come by then. */
const REQUEST_MS = 5_000;
/** A client that does not read its answer, or is silent, is given up. */
const SILENCE_MS = 10_000;
/** Kept open between two scrapes by the same client. */
const KEEP_ALIVE_MS = 75_000;
/** Probes, a scraper or two, a person. */
const CONNECTIONS = 32;

const TEXT = 'text/plain; charset=utf-8';

type Answer = { status: number; body: string; contentType?: string };

/** Listens. @throws Error when the address cannot be had. */
export const serve = async (options: ServerOptions): Promise<HTTPServer> => {
  const { metrics, log } = options;

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return { status: 405, body: 'Only GET and HEAD are answered.\n' };
    const url = URL.parse(request.url ?? '/', 'http://localhost');
    switch (url?.pathname) {
      case '/metrics':
        return { status: 200, body: await metrics.text(), contentType: metrics.contentType };
      case '/healthz':
        return healthAnswer('healthz', options.healthz, url.searchParams);
      case '/readyz':
        return healthAnswer('readyz', options.readyz, url.searchParams);
      default:
        return { status: 404, body: 'There are /metrics, /healthz and /readyz.\n' };
    }
  };

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const {
      status,
      body,
      contentType = TEXT,
    } = await answer(request).catch((error: unknown) => {
      log.error(
        { reason: 'HTTPRequestFailed', err: error, url: request.url },
        'an HTTP request could not be answered',
      );
      return { status: 500, body: 'The answer could not be made; the log says why.\n' } as Answer;
    });
    const bytes = Buffer.from(body);
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': bytes.length,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(status === 405 && { allow: 'GET, HEAD' }),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  };

  const { bindAddress, resolve: find } = options;
  const [host] = (bindAddress && (await find?.(bindAddress))) || [bindAddress];
  const server = createServer(
    {
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 8_192,
    },
    (request, response) => {
      response.setTimeout(SILENCE_MS, () => response.destroy());
      void respond(request, response);
    },
  );
  server.maxConnections = CONNECTIONS;

  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port: options.port, ...(host && { host }) }, resolve);
  await listening;
  server.on('error', (error) => log.error({ reason: 'HTTPServerFailed', err: error }, 'HTTP server'));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close() {
      const { promise: closed, resolve: resolveClosed } = Promise.withResolvers<void>();
      server.close(() => resolveClosed());
      server.closeAllConnections();
      return closed;
    },
  };
};
