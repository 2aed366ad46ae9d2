/**
 * The agent's local socket: how `hapair-agent status`, `claim` and `reload` reach the running agent, without network and
 * without the API server. HTTP over a Unix socket in the state directory, for the owner's eyes only; `curl --unix-socket`
 * reads it too. No request has a body, every one has a deadline, and few are served at a time.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { finished } from 'node:stream';
import { messageOf } from '../runtime/error-text.ts';
import type { Log } from '../runtime/log.ts';
import type { AgentView } from './agent.ts';

/** What `GET /v1/status` answers. */
export type AgentStatus = AgentView & {
  nodeName: string;
  version: string;
  pid: number;
  /** RFC 3339: when the process started, whatever program it runs now. */
  startedAt: string;
  /** How often its program has been replaced in place. */
  reloads: number;
  /** Why the last reload that was under way did not happen; null: none failed. */
  reloadFailure: string | null;
};

/** What `POST /v1/claim` answers. `refused` is a sentence for people; null: this node is Master of the pair. */
export type ClaimAnswer = { pair: string; refused: string | null };

/** What `POST /v1/reload` answers; null: the program is being replaced, and `reloads` of its status will grow. */
export type ReloadAnswer = { refused: string | null };

/** What the socket serves. */
export type ControlHandlers = {
  status(): Promise<AgentStatus>;
  claim(pair: string): Promise<ClaimAnswer>;
  reload: {
    /** Whether it can be done. @returns why not */
    prepare(): Promise<string | null>;
    /** Does it; called once the answer is out, or nobody waits for it any more. */
    replace(): Promise<void>;
  };
};

/** The longest path that fits into a socket address, its closing NUL aside (unix(7)). */
const LONGEST_PATH_BYTES = 107;
const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
const MOST_CONNECTIONS = 16;
const HEADER_BYTES = 4_096;

/**
 * Where the socket of a state directory lies.
 * @throws Error that names the directory when the path is too long
 */
export const controlPath = (stateDir: string): string => {
  const path = join(stateDir, 'agent.sock');
  const length = Buffer.byteLength(path);
  if (length <= LONGEST_PATH_BYTES) return path;
  throw new Error(
    `stateDir: ${JSON.stringify(stateDir)} is too long: the agent's socket would be ${path}, ${length} bytes, and Linux takes ${LONGEST_PATH_BYTES}; choose a shorter directory`,
  );
};

/**
 * Opens the socket; what a dead agent has left of it goes. The caller holds the lock of the directory.
 * @throws Error when it cannot be opened
 */
export const openControl = async (path: string, handlers: ControlHandlers, log: Log): Promise<Server> => {
  rmSync(path, { force: true });
  const options = { maxHeaderSize: HEADER_BYTES, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS };
  const server = createServer(options, (request, response) => {
    void serve(request, response, handlers).catch((error: unknown) => {
      const message = messageOf(error);
      log.warn(
        { reason: 'LocalRequestFailed', url: request.url, err: message },
        'request on the local socket failed',
      );
      answer(response, 500, { error: message });
    });
  });
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const hint = 'check the permissions of the state directory';
      reject(new Error(`cannot open the local socket ${path}: ${error.message}; ${hint}`, { cause: error }));
    });
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  // Whatever goes wrong with it later, the agent serves on.
  server.on('error', (error) =>
    log.warn({ reason: 'LocalSocketFailed', err: error.message }, 'local socket'),
  );
  server.unref();
  return server;
};

const serve = async (
  request: IncomingMessage,
  response: ServerResponse,
  { status, claim, reload }: ControlHandlers,
): Promise<void> => {
  request.resume();
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://agent');
  switch (`${request.method} ${pathname}`) {
    case 'GET /v1/status':
      return answer(response, 200, await status());
    case 'POST /v1/claim': {
      const claimed = await claim(searchParams.get('pair') ?? '');
      return answer(response, claimed.refused === null ? 200 : 409, claimed);
    }
    case 'POST /v1/reload': {
      const refused = await reload.prepare();
      // Whoever asked may be gone by now. What was prepared is done all the same, or nobody could ask again.
      if (refused === null) finished(response, () => void reload.replace());
      return answer(response, refused === null ? 200 : 409, { refused } satisfies ReloadAnswer);
    }
    default:
      return answer(response, 404, {
        error: `${request.method} ${pathname}: there are GET /v1/status, POST /v1/claim?pair=NAME, POST /v1/reload`,
      });
  }
};

const answer = (response: ServerResponse, status: number, body: object): void => {
  if (response.headersSent) return;
  const headers = { 'Content-Type': 'application/json', Connection: 'close' };
  response.writeHead(status, headers).end(`${JSON.stringify(body)}\n`);
};
