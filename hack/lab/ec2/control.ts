/**
 * The lab's own hand on its EC2, under `/_lab/`, in JSON. No part of EC2.
 *
 * | request | does |
 * | --- | --- |
 * | GET /_lab/healthz | 200 while the process answers |
 * | GET /_lab/calls?since=ID&action=A&phase=received\|effect\|mapped\|answered&wait=MS | the log of calls; with `wait`, as soon as one matches |
 * | GET /_lab/mapping?wait=MS | what the fabric does now; with `wait`, once it has followed everything |
 * | POST /_lab/faults | adds a fault (FaultSpec) or an array of them |
 * | GET, DELETE /_lab/faults | the faults still waiting; none any more |
 * | POST /_lab/release?proceed=true | lets held calls go on; without `proceed`, cuts them |
 * | POST /_lab/instances/NAME | {"state": "running", "stopped", "shutting-down" or "terminated"} |
 * | POST /_lab/moods/NAME | a Mood of an instance's metadata, or of `credentials` (the role's metadata, and STS) |
 * | POST /_lab/gateway | {"attached": true or false}: the VPC's internet gateway |
 * | GET, POST /_lab/sessions | how many the operator's role has given out; {"lifetimeMs": …} of the next ones, {"end": true} ends all |
 * | GET /_lab/connections | how many connections were ever opened to the API |
 * | POST /_lab/reset | everything as at the start; {"vpc": {…}, "latency": {…}, "initial": […]} replaces parts |
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CALL_PHASES, type LabVPC, SETTABLE_STATES } from '../types.ts';
import type { EC2API, Latency } from './api.ts';
import { parseFault } from './faults.ts';
import type { Mapper } from './mapper.ts';
import { CREDENTIALS, parseMood } from './moods.ts';

/** What is different from the start after a reset. */
export type ResetOptions = {
  vpc?: Partial<LabVPC>;
  latency?: Partial<Latency>;
  /** Instead of the server's own. */
  initial?: string[];
};

/** What the control takes hold of. */
export type Controlled = {
  /** The API as it is now: a reset makes another. */
  readonly api: EC2API;
  readonly mapper: Mapper;
  /** How many connections were ever opened to the API, those of the control included. */
  readonly connectionsOpened: number;
  reset(changes: ResetOptions): Promise<void>;
};

type Reply = { status: number; body: unknown };

const MAX_WAIT_MS = 90_000;

/** A number of milliseconds or an id from a query. */
const numberOf = (query: URLSearchParams, name: string): number => {
  const value = Number(query.get(name) ?? 0);
  if (!Number.isFinite(value) || value < 0)
    throw new TypeError(`${name} is a number of at least 0, not ${query.get(name)}`);
  return value;
};

const ok = (body: unknown): Reply => ({ status: 200, body });

const readJSON = (body: Buffer): unknown => (body.length === 0 ? {} : JSON.parse(body.toString('utf8')));

const calls = async (server: Controlled, query: URLSearchParams, gone: AbortSignal): Promise<Reply> => {
  const phase = CALL_PHASES.find((known) => known === (query.get('phase') ?? 'received'));
  if (phase === undefined)
    throw new TypeError(`phase is one of ${CALL_PHASES.join(', ')}, not ${query.get('phase')}`);
  const action = query.get('action');
  const wanted = { since: numberOf(query, 'since'), phase, ...(action !== null && { action }) };
  const waitMs = Math.min(numberOf(query, 'wait'), MAX_WAIT_MS);
  const log = server.api.calls;
  return ok({ calls: waitMs > 0 ? await log.wait(wanted, waitMs, gone) : log.find(wanted) });
};

const mapping = async (server: Controlled, query: URLSearchParams): Promise<Reply> => {
  const settled = await server.mapper.settled(Math.min(numberOf(query, 'wait'), MAX_WAIT_MS));
  const { routes, nat } = server.mapper.mapped;
  return ok({ routes: Object.fromEntries(routes), nat: Object.fromEntries(nat), settled });
};

const addFaults = (server: Controlled, input: unknown): Reply => {
  const faults = (Array.isArray(input) ? input : [input]).map(parseFault);
  for (const fault of faults) server.api.faults.add(fault);
  return ok({ faults: server.api.faults.list() });
};

const setInstance = (server: Controlled, name: string, input: unknown): Reply => {
  const state = typeof input === 'object' && input !== null && 'state' in input ? input.state : undefined;
  const known = SETTABLE_STATES.find((one) => one === state);
  if (known === undefined)
    throw new TypeError(
      `an instance's state is one of ${SETTABLE_STATES.join(', ')}, not ${JSON.stringify(state)}`,
    );
  server.api.setInstanceState(name, known);
  return ok({ name, state: known });
};

const setMood = (server: Controlled, who: string, input: unknown): Reply => {
  const { vpc, moods } = server.api;
  const known = [CREDENTIALS, ...vpc.instances.map(({ name }) => name)];
  if (!known.includes(who)) throw new TypeError(`moods have ${known.join(', ')}, not ${who}`);
  const mood = parseMood(input);
  moods.set(who, mood, server.mapper.mapped);
  return ok({ who, mood });
};

const setGateway = (server: Controlled, input: unknown): Reply => {
  const attached =
    typeof input === 'object' && input !== null && 'attached' in input ? input.attached : undefined;
  if (typeof attached !== 'boolean')
    throw new TypeError(`the gateway is attached or not (true or false), not ${JSON.stringify(attached)}`);
  server.api.setGateway(attached);
  return ok({ attached });
};

const changeSessions = (server: Controlled, input: unknown): Reply => {
  const { lifetimeMs, end }: { lifetimeMs?: unknown; end?: unknown } = Object(input);
  const { sessions } = server.api;
  if (typeof lifetimeMs === 'number' && lifetimeMs > 0) {
    sessions.lifetimeMs = lifetimeMs;
  } else if (lifetimeMs !== undefined) {
    throw new TypeError(`lifetimeMs is a number above 0, not ${JSON.stringify(lifetimeMs)}`);
  }
  if (end === true) sessions.endAll();
  return ok({ issued: sessions.issued, lifetimeMs: sessions.lifetimeMs });
};

const reset = async (server: Controlled, input: unknown): Promise<Reply> => {
  const changes: ResetOptions = input ?? {};
  await server.reset(changes);
  return ok({ reset: true });
};

const route = async (
  server: Controlled,
  method: string,
  url: URL,
  body: Buffer,
  gone: AbortSignal,
): Promise<Reply> => {
  const path = url.pathname.slice('/_lab/'.length);
  switch (`${method} ${path}`) {
    case 'GET healthz':
      return ok({ healthy: true });
    case 'GET calls':
      return calls(server, url.searchParams, gone);
    case 'GET mapping':
      return mapping(server, url.searchParams);
    case 'POST faults':
      return addFaults(server, readJSON(body));
    case 'GET faults':
      return ok({ faults: server.api.faults.list() });
    case 'DELETE faults':
      server.api.faults.clear();
      return ok({ faults: [] });
    case 'POST release':
      return ok({ released: server.api.release(url.searchParams.get('proceed') === 'true') });
    case 'POST gateway':
      return setGateway(server, readJSON(body));
    case 'GET sessions':
      return changeSessions(server, {});
    case 'POST sessions':
      return changeSessions(server, readJSON(body));
    case 'GET connections':
      return ok({ opened: server.connectionsOpened });
    case 'POST reset':
      return reset(server, readJSON(body));
    default: {
      const instance = /^instances\/([^/]+)$/.exec(path)?.[1];
      if (method === 'POST' && instance !== undefined)
        return setInstance(server, decodeURIComponent(instance), readJSON(body));
      const who = /^moods\/([^/]+)$/.exec(path)?.[1];
      return method === 'POST' && who !== undefined
        ? setMood(server, decodeURIComponent(who), readJSON(body))
        : { status: 404, body: { error: `the lab's EC2 has no ${method} ${url.pathname}` } };
    }
  }
};

/** Answers a control request; a bad one gets 400 and the reason. */
export const control = async (
  server: Controlled,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): Promise<void> => {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const url = new URL(request.url ?? '/', 'http://lab');
  const reply = await route(server, request.method ?? 'GET', url, body, gone.signal).catch(
    (error: unknown): Reply => ({
      status: 400,
      body: { error: error instanceof Error ? error.message : String(error) },
    }),
  );
  response.writeHead(reply.status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(reply.body)}\n`);
};
