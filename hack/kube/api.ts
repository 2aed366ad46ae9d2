import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { readConnection } from './kubeconfig.ts';

/** The API server's answer: JSON when it said so, else text. */
export type Answer = { status: number; body: unknown };

export type CallOptions = {
  /** Sent as JSON. */
  body?: unknown;
  /** Default `application/json`. */
  contentType?: string;
  /** Default 10,000 ms. */
  timeoutMs?: number;
};

/**
 * One HTTP request to the API server with a kubeconfig's identity. The lab's and the tests' own: it shares no code with
 * the client under test, and a refusal is an answer, not an exception.
 * @throws Error when no answer came in time.
 */
export const callAPI = async (
  kubeconfig: string,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: CallOptions = {},
): Promise<Answer> => {
  const { body, contentType = 'application/json', timeoutMs = 10_000 } = options;
  const { server, tokenFile, ...tls } = await readConnection(kubeconfig);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (tokenFile !== undefined) headers.authorization = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`;
  if (body !== undefined) headers['content-type'] = contentType;
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new Error(`${method} ${server}${path}: ${error.message}`, { cause: error }));
    const request = httpsRequest(
      new URL(path, server),
      { method, headers, ...tls, signal, agent: false },
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
    request.on('error', fail);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
};
