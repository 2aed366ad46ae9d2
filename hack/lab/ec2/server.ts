/** EC2 over HTTP: the query protocol, the operator's role, and the lab's control beside them. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { nowMs } from '../clock.ts';
import type { Fabric, LabVPC } from '../types.ts';
import { type Answer, type Call, EC2API, type Latency } from './api.ts';
import { control, type ResetOptions } from './control.ts';
import { EC2Error } from './errors.ts';
import { Mapper } from './mapper.ts';
import { CREDENTIALS, inMood } from './moods.ts';
import { place } from './placement.ts';
import { initialState } from './state.ts';
import { answerSTS, STS_VERSION, type STSAnswer, stsError } from './sts.ts';
import { renderAnswer, renderError } from './xml.ts';

/** What the lab's EC2 is made of. */
export type EC2ServerOptions = {
  vpc: LabVPC;
  latency: Latency;
  fabric: Fabric;
  logger: Logger;
  /** Where addresses are before the first call, as `place` reads them; default: primaries alone. */
  initial?: string[];
};

const MAX_BODY_BYTES = 256 * 1024;
const API_VERSION = '2016-11-15';

/** Reads a request's body; `null`: larger than any EC2 call. */
const readBody = async (request: IncomingMessage): Promise<Buffer | null> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const buffer = Buffer.from(chunk);
    size += buffer.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(buffer);
  }
  return Buffer.concat(chunks);
};

/** A call of the query protocol. Version is checked by the caller, since its absence has an answer too. */
const parseCall = (request: IncomingMessage, body: Buffer): { call: Call; version: string | undefined } => {
  const fields = new URLSearchParams(body.toString('utf8'));
  const { Action: action = '', Version: version, ...parameters } = Object.fromEntries(fields);
  const { method = '', url = '/', headers } = request;
  return { call: { action, parameters, request: { method, url, headers, body } }, version };
};

/** Serves EC2 by HTTP: the query protocol on `/`, the lab's own control on `/_lab/`. */
export class EC2Server {
  readonly mapper: Mapper;
  readonly #options: EC2ServerOptions;
  readonly #server: Server;
  #api: EC2API;
  /** How many connections were ever opened to the API, those of the control included. */
  connectionsOpened = 0;

  constructor(options: EC2ServerOptions) {
    this.#options = options;
    this.mapper = new Mapper(options.fabric, (message, cause) =>
      options.logger.error({ err: cause }, message),
    );
    this.#api = this.#begin({});
    this.#server = createServer((request, response) => {
      this.#respond(request, response).catch((error: unknown) => {
        options.logger.error({ err: error }, 'could not answer a request');
        response.destroy();
      });
    });
    this.#server.on('connection', () => {
      this.connectionsOpened++;
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  get api(): EC2API {
    return this.#api;
  }

  #begin({ vpc = {}, latency = {}, initial = this.#options.initial ?? [] }: ResetOptions): EC2API {
    const state = place(initialState({ ...this.#options.vpc, ...vpc }), initial);
    return new EC2API(state, { ...this.#options.latency, ...latency }, this.mapper);
  }

  /** Begins anew: fresh state, buckets, log and faults, and the fabric follows. */
  async reset(changes: ResetOptions = {}): Promise<void> {
    const next = this.#begin(changes);
    this.#api.close();
    await this.mapper.restart();
    this.#api = next;
    await next.applyMapping();
  }

  /** Brings the fabric to the first mapping, then listens; port 0 lets the kernel choose. */
  async listen(host: string, port: number): Promise<{ host: string; port: number }> {
    await this.#api.applyMapping();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(port, host, resolve);
    await promise;
    const bound = this.#server.address();
    return { host, port: typeof bound === 'object' && bound !== null ? bound.port : port };
  }

  /** Ends at once, whatever is under way. */
  async close(): Promise<void> {
    this.#api.close();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    if (body === null) {
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    if (request.url?.startsWith('/_lab/')) {
      await control(this, request, response, body);
      return;
    }
    if (request.url?.startsWith('/latest/')) {
      await this.#respondAsRole(request.method ?? 'GET', request.url, response);
      return;
    }
    const { call, version } = parseCall(request, body);
    if (version === STS_VERSION) {
      await this.#respondAsSTS(response, body);
      return;
    }
    if (version !== API_VERSION) {
      const text = `The requested version (${version}) of service EC2 does not exist`;
      this.#write(response, randomUUID(), new EC2Error('NoSuchVersion', text), call.action);
      return;
    }
    const api = this.#api;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    this.#finish(api, response, await api.handle(call, gone.signal));
  }

  /** The role of an instance profile, by its metadata. */
  async #respondAsRole(method: string, url: string, response: ServerResponse): Promise<void> {
    const { sessions, moods } = this.#api;
    const answer = (): void => {
      const { status, type, body } = sessions.answer(method, url, nowMs());
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    await inMood(moods.take(CREDENTIALS), response, answer, ({ status }) => response.writeHead(status).end());
  }

  async #respondAsSTS(response: ServerResponse, body: Buffer): Promise<void> {
    const { sessions, moods } = this.#api;
    const write = ({ status, body: text }: STSAnswer): void => {
      response.writeHead(status, { 'content-type': 'text/xml' }).end(text);
    };
    await inMood(
      moods.take(CREDENTIALS),
      response,
      () => write(answerSTS(sessions, new URLSearchParams(body.toString('utf8')), nowMs())),
      ({ status, code = 'InternalFailure' }) => write(stsError(status, code, 'The lab was told to refuse.')),
    );
  }

  #finish(api: EC2API, response: ServerResponse, { record, outcome }: Answer): void {
    const { action, id, fault, errorCode } = record;
    this.#options.logger.info(
      { call: id, action, parameters: record.parameters, fault, errorCode },
      'EC2 call',
    );
    if (outcome === null || response.destroyed) {
      response.destroy();
      return;
    }
    api.calls.update(record, {
      status: this.#write(response, randomUUID(), outcome, action),
      answeredAtMs: nowMs(),
    });
  }

  #write(response: ServerResponse, requestID: string, outcome: Answer['outcome'], action: string): number {
    const failed = outcome instanceof EC2Error;
    const status = failed ? outcome.status : 200;
    const text = failed
      ? renderError(outcome.code, outcome.message, requestID)
      : renderAnswer(action, requestID, outcome ?? {});
    response.writeHead(status, {
      'content-type': 'text/xml;charset=UTF-8',
      'content-length': Buffer.byteLength(text),
      'x-amzn-requestid': requestID,
    });
    response.end(text);
    return status;
  }
}
