/** An HTTP server on loopback whose answers the test writes, request by request; a stand-in for failures, not for Kubernetes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One request that waits for its answer. */
export type Exchange = {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
  /** Answers with JSON. */
  json(status: number, body: unknown, headers?: Record<string, string>): void;
  /** Opens a stream of lines that stays open. */
  open(): void;
  /** Writes bytes of an open stream. */
  write(bytes: string | Uint8Array): void;
  /** Ends an open stream cleanly. */
  end(): void;
  /** Resets the connection. */
  reset(): void;
};

export type ScriptedServer = {
  /** A kubeconfig for it with a token file. */
  kubeconfigPath: string;
  tokenPath: string;
  /** The next request, in order of arrival. */
  next(): Promise<Exchange>;
  /** Requests that nobody has taken yet. */
  waiting(): number;
  /** TCP connections accepted so far. */
  connections(): number;
  close(): Promise<void>;
};

export const TOKEN = 'token-that-no-message-may-hold';

export const startScriptedServer = async (): Promise<ScriptedServer> => {
  const arrived: Exchange[] = [];
  const takers: ((exchange: Exchange) => void)[] = [];
  let connections = 0;

  const server = createServer(async (request, response) => {
    const exchange = await exchangeOf(request, response);
    const taker = takers.shift();
    if (taker) taker(exchange);
    else arrived.push(exchange);
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const dir = await mkdtemp(join(tmpdir(), 'kube-test-'));
  const kubeconfigPath = join(dir, 'config');
  const tokenPath = join(dir, 'token');
  await writeFile(tokenPath, `${TOKEN}\n`);
  await writeFile(kubeconfigPath, kubeconfig(`http://127.0.0.1:${port}`));

  return {
    kubeconfigPath,
    tokenPath,
    next: () => {
      const exchange = arrived.shift();
      return exchange ? Promise.resolve(exchange) : new Promise((resolve) => takers.push(resolve));
    },
    waiting: () => arrived.length,
    connections: () => connections,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(dir, { recursive: true });
    },
  };
};

const exchangeOf = async (request: IncomingMessage, response: ServerResponse): Promise<Exchange> => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://scripted');
  let body = '';
  for await (const chunk of request) body += chunk;
  return {
    method: request.method ?? '',
    path: pathname,
    query: searchParams,
    headers: request.headers,
    body,
    json(status, answer, headers = {}) {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(answer));
    },
    open() {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
    },
    write: (bytes) => response.write(bytes),
    end: () => response.end(),
    reset: () => request.socket.resetAndDestroy(),
  };
};

const kubeconfig = (server: string): string => `apiVersion: v1
kind: Config
clusters: [{name: scripted, cluster: {server: "${server}"}}]
users: [{name: tester, user: {tokenFile: token}}]
contexts: [{name: scripted, context: {cluster: scripted, user: tester}}]
current-context: scripted
`;
