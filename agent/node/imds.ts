/**
 * The instance metadata service, version 2: which ENIs this instance has and which addresses EC2 delivers to them.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
import { Agent, request } from 'node:http';
import type { LookupFunction } from 'node:net';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import { createOutage } from '../../runtime/outage.ts';
import type { IMDSReading } from '../ports.ts';

const DEFAULT_ENDPOINT = 'http://169.254.169.254';
const DEADLINE_MS = 1_000;
const TOKEN_SECONDS = 21_600;
/** No answer of the metadata service that we read is longer. */
const ANSWER_BYTES = 64 * 1024;

/** Reads the metadata; the token lives in memory only. */
export type IMDSClient = {
  /** @throws Error when any part of it could not be read */
  read(): Promise<IMDSReading>;
  close(): void;
};

/**
 * @param endpoint default AWS's link-local address; never reached through a proxy
 * @param lookup of the endpoint's name, if it has one; default Node's own
 * @param deadlineMs of each request, default 1000
 */
export const createIMDSClient = (
  endpoint = DEFAULT_ENDPOINT,
  lookup?: LookupFunction,
  deadlineMs = DEADLINE_MS,
): IMDSClient => {
  // An agent of our own keeps the connection and knows no proxy.
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ...(lookup && { lookup }) });
  let token: string | undefined;
  // What cannot change while an ENI is attached is read once.
  const known = new Map<string, { networkInterfaceID: string; subnetCIDR: string | null }>();
  let instanceID: string | undefined;

  const call = (method: 'GET' | 'PUT', path: string, headers: Record<string, string>): Promise<Answer> =>
    exchange(new URL(path, endpoint), { method, headers, agent, deadlineMs });

  const refreshToken = async (): Promise<string> => {
    const path = '/latest/api/token';
    const answer = await call('PUT', path, { 'X-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_SECONDS) });
    return textOf(answer, `PUT ${path}`);
  };
  /** Null: there is no such entry. */
  const get = async (path: string): Promise<string | null> => {
    const full = `/latest/meta-data/${path}`;
    token ??= await refreshToken();
    let answer = await call('GET', full, { 'X-aws-ec2-metadata-token': token });
    if (answer.status === 401) {
      token = await refreshToken();
      answer = await call('GET', full, { 'X-aws-ec2-metadata-token': token });
    }
    return answer.status === 404 ? null : textOf(answer, `GET ${full}`);
  };

  const required = async (path: string): Promise<string> => {
    const found = await get(path);
    if (found === null) throw new Error(`IMDS GET /latest/meta-data/${path}: HTTP 404`);
    return found;
  };

  /**
   * Of one ENI. IMDS has no IPv4 entries for one in an IPv6-only subnet, and loses those of one that is being detached one
   * by one: that must not hide the other ENIs, and nothing is known of the addresses of this one.
   * @returns null for an ENI that has left meanwhile
   */
  const readInterface = async (mac: string): Promise<Reading | null> => {
    const folder = `network/interfaces/macs/${mac}`;
    let facts = known.get(mac);
    if (facts === undefined) {
      const [networkInterfaceID, subnetCIDR] = await Promise.all([
        get(`${folder}/interface-id`),
        get(`${folder}/subnet-ipv4-cidr-block`),
      ]);
      if (networkInterfaceID === null) return null;
      facts = { networkInterfaceID, subnetCIDR };
      if (subnetCIDR !== null) known.set(mac, facts);
    }
    const addresses = await get(`${folder}/local-ipv4s`);
    return { ...facts, addresses: addresses === null ? null : lines(addresses) };
  };

  return {
    async read() {
      instanceID ??= await required('instance-id');
      const macs = lines(await required('network/interfaces/macs/')).map((line) => line.replace(/\/$/, ''));
      for (const mac of known.keys()) if (!macs.includes(mac)) known.delete(mac);
      const read = await Promise.all(macs.map(readInterface));
      return { instanceID, networkInterfaces: read.filter((one) => one !== null) };
    },
    close: () => agent.destroy(),
  };
};

type Reading = IMDSReading['networkInterfaces'][number];
type Exchange = { method: string; headers: Record<string, string>; agent: Agent; deadlineMs: number };
type Answer = { status: number; body: string };

const exchange = (url: URL, { method, headers, agent, deadlineMs }: Exchange): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`IMDS ${method} ${url.pathname}: ${error.message}`, { cause: error }));
    const signal = AbortSignal.timeout(deadlineMs);
    const outgoing = request(url, { method, headers, agent, signal }, (incoming) => {
      let body = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > ANSWER_BYTES)
          incoming.destroy(new Error(`answer longer than ${ANSWER_BYTES} bytes`));
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }));
      incoming.on('error', fail);
    });
    outgoing.on('error', fail);
    outgoing.end();
  });

const textOf = ({ status, body }: Answer, attempt: string): string => {
  if (status !== 200) throw new Error(`IMDS ${attempt}: HTTP ${status}`);
  return body.trim();
};

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const SLOW_MS = 1_000;
const FAST_MS = 250;
/** One lost answer is not yet ignorance worth a report. */
const FAILURES_TO_UNKNOWN = 3;

export type IMDSPollOptions = {
  client: IMDSClient;
  clock: Clock;
  log: Log;
  /** Told of every reading; null: unknown. */
  onReading: (reading: IMDSReading | null) => void;
  /** Asked before each pause: something is on its way, look more often. */
  isUrgent: () => boolean;
  signal: AbortSignal;
};

/** Reads the metadata every second, four times a second while it is urgent; resolves when the signal aborts. */
export const pollIMDS = async (options: IMDSPollOptions): Promise<void> => {
  const { client, clock, log, onReading, isUrgent, signal } = options;
  const outage = createOutage(FAILURES_TO_UNKNOWN);
  while (!signal.aborted) {
    try {
      onReading(await client.read());
      if (outage.ended()) log.info({ reason: 'IMDSReadRecovered' }, 'IMDS answers again');
    } catch (error) {
      const err = messageOf(error);
      if (outage.failed(withoutPath(err))) {
        log.warn({ reason: 'IMDSReadFailed', err }, 'IMDS could not be read');
        onReading(null);
      }
    }
    await sleep(clock, isUrgent() ? FAST_MS : SLOW_MS, signal);
  }
};

/** Several paths are read at a time, and any of them may be the first to fail. */
const withoutPath = (message: string): string => message.slice(message.indexOf(': ') + 1);
