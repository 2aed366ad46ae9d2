/** Single requests to the API server, with any kubeconfig. */
import { readFile, stat } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { type Connection, readConnection } from './kubeconfig.ts';

/** The API server's answer: JSON when it said so, else text. */
export type Answer = { status: number; body: unknown };

/** What a request may have besides method and path. */
export type CallOptions = {
  /** Sent as JSON. */
  body?: unknown;
  /** Default `application/json`. */
  contentType?: string;
  /** Default 10,000 ms. */
  timeoutMs?: number;
};

/** What requests with one kubeconfig share: what it says, and the connections that its user has open. */
type Access = { connection: Promise<Connection>; agent: Agent; readAtMs: number };

const accesses = new Map<string, Access>();
/** A test asks ten times a second: handshakes and kubeconfigs read would be most of its work. */
const IDLE_MS = 5_000;

/** Anew when the file was written again. */
const accessOf = async (kubeconfig: string): Promise<Access> => {
  const { mtimeMs } = await stat(kubeconfig);
  const known = accesses.get(kubeconfig);
  if (known !== undefined && known.readAtMs === mtimeMs) return known;
  known?.agent.destroy();
  const access = {
    connection: readConnection(kubeconfig),
    agent: new Agent({ keepAlive: true, timeout: IDLE_MS }),
    readAtMs: mtimeMs,
  };
  accesses.set(kubeconfig, access);
  return access;
};

/** The server closed an idle connection at the moment at which it was used again: nothing of the request was read. */
const isStale = (error: unknown): boolean => (error as { isStale?: boolean }).isStale === true;

/**
 * One HTTP request to the API server with a kubeconfig's identity. The lab's and the tests' own: it shares no code with
 * the client under test, and a refusal is an answer, not an exception.
 * @throws Error when no answer came in time.
 */
export const callAPI = async (...call: Parameters<typeof attempt>): Promise<Answer> => {
  try {
    return await attempt(...call);
  } catch (error) {
    if (isStale(error)) return attempt(...call);
    throw error;
  }
};

const attempt = async (
  kubeconfig: string,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: CallOptions = {},
): Promise<Answer> => {
  const { body, contentType = 'application/json', timeoutMs = 10_000 } = options;
  const { connection, agent } = await accessOf(kubeconfig);
  const { server, tokenFile, ...tls } = await connection;
  const headers: Record<string, string> = { accept: 'application/json' };
  if (tokenFile !== undefined) headers.authorization = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`;
  if (body !== undefined) headers['content-type'] = contentType;
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      new URL(path, server),
      { method, headers, ...tls, signal, agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJSON = response.headers['content-type']?.startsWith('application/json') === true;
          resolve({ status: response.statusCode ?? 0, body: isJSON ? JSON.parse(text) : text });
        });
      },
    );
    const fail = (error: NodeJS.ErrnoException): void => {
      const words = `${method} ${server}${path}: ${error.message}`;
      const isReset = request.reusedSocket && error.code === 'ECONNRESET';
      reject(Object.assign(new Error(words, { cause: error }), { isStale: isReset }));
    };
    request.on('error', fail);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
};
