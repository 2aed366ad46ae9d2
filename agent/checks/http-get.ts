/**
 * `httpGet`, as the kubelet does it: a status of 200 to 399 passes, a redirect to the same host is followed, one to another
 * host passes as it is, a certificate is not verified, no proxy, no connection is kept.
 */
import { type ClientRequest, type IncomingMessage, request as requestHTTP } from 'node:http';
import { request as requestHTTPS } from 'node:https';
import { isIPv6 } from 'node:net';
import type { HealthCheck } from '../../crds/types.ts';
import { inTime } from '../../runtime/in-time.ts';
import { lookupBy, type Resolve } from '../../runtime/names.ts';
import type { Outcome } from '../rules/verdict.ts';
import { refused } from './tcp-socket.ts';

/** No more of an answer is read; what goes on after it is well all the same. */
const ANSWER_BYTES = 10 * 1024;
const REDIRECTS = 10;
const MESSAGE_BYTES = 200;

type Answer = { status: number; location: string | undefined; body: string };

/** How a run is made. */
export type HTTPGetOptions = {
  /** The node's own address, which is asked unless the check names a host. */
  sourceAddress: string;
  /** Of the host. @throws Error when it may not be asked */
  resolve: Resolve;
  /** Whether a failure quotes the beginning of the answer: it may be anything that the host knows. */
  quotes: boolean;
  signal: AbortSignal;
};

/** One run. */
export const runHTTPGet = async (
  { port, path, host = '', scheme }: NonNullable<HealthCheck['httpGet']>,
  { sourceAddress, resolve, quotes, signal }: HTTPGetOptions,
): Promise<Outcome> => {
  const name = host || sourceAddress;
  const origin = `${scheme.toLowerCase()}://${isIPv6(name) ? `[${name}]` : name}:${port}`;
  // A path is no reference: one of two slashes would name another host.
  let url = new URL(`${origin}${path}`);
  try {
    // As the URL has it, where `2130706433` is an address. Once: a redirect to the same host goes to the same one.
    const addresses = await inTime(resolve(url.hostname.replace(/^\[|\]$/g, '')), signal);
    for (let hops = 0; hops <= REDIRECTS; hops += 1) {
      const answer = await get(url, addresses, signal);
      const next = redirectOf(url, answer);
      if (next === undefined) return outcomeOf(url, answer, quotes);
      url = next;
    }
    const message = `${url.href} redirects more than ${REDIRECTS} times`;
    return { result: 'failure', cause: 'redirects', message };
  } catch (error) {
    return refused(`GET ${url.href}`, error);
  }
};

/** Where the same host sends the question on to. */
const redirectOf = (url: URL, { status, location }: Answer): URL | undefined => {
  const isRedirect = [301, 302, 303, 307, 308].includes(status);
  if (!isRedirect || location === undefined || !URL.canParse(location, url.href)) return undefined;
  const next = new URL(location, url);
  return next.hostname === url.hostname && /^https?:$/.test(next.protocol) ? next : undefined;
};

const outcomeOf = (url: URL, { status, body }: Answer, quotes: boolean): Outcome => {
  if (status >= 200 && status <= 399) return { result: 'success' };
  const said = quotes ? body.replace(/\s+/g, ' ').trim().slice(0, MESSAGE_BYTES) : '';
  const message = `GET ${url.href} is answered by ${status}${said && `, ${said}`}`;
  return { result: 'failure', cause: `HTTP ${status}`, message };
};

/** @param addresses of the URL's host. @throws Error when no complete answer comes. */
const get = (url: URL, addresses: readonly string[], signal: AbortSignal): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = {
      agent: false as const,
      signal,
      headers: { 'User-Agent': 'hapair-agent', Accept: '*/*', Connection: 'close' },
      lookup: lookupBy(async () => addresses),
    };
    const hear = (incoming: IncomingMessage): void => readAnswer(outgoing, incoming, resolve, reject);
    const outgoing =
      url.protocol === 'https:'
        ? requestHTTPS(url, { ...options, rejectUnauthorized: false }, hear)
        : requestHTTP(url, options, hear);
    outgoing.on('error', reject);
    outgoing.end();
  });

const readAnswer = (
  outgoing: ClientRequest,
  incoming: IncomingMessage,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): void => {
  const chunks: Buffer[] = [];
  let length = 0;
  const end = (): void => {
    const { statusCode = 0, headers } = incoming;
    const body = Buffer.concat(chunks).toString('utf8');
    resolve({ status: statusCode, location: headers.location, body });
  };
  incoming.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length < ANSWER_BYTES) return;
    end();
    outgoing.destroy();
  });
  incoming.on('end', end);
  incoming.on('error', reject);
};
