/** Keeps the agent's HTTP server up. The election matters more: what keeps it from listening is said and tried again. */
import { type Clock, sleep } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { type HTTPServer, type ServerOptions, serve } from '../../runtime/http-server.ts';
import type { Log } from '../../runtime/log.ts';
import type { Resolve } from '../../runtime/names.ts';
import type { MetricsConfig } from '../config.ts';

export type WebOptions = {
  config: MetricsConfig;
  server: Pick<ServerOptions, 'healthz' | 'readyz' | 'metrics'>;
  clock: Pick<Clock, 'setTimer'>;
  /** Default: Node's own way. */
  resolve?: Resolve;
  log: Log;
};

export type Web = {
  /** Where it listens; null: nowhere yet. */
  port(): number | null;
  /** Ends at once; connections are cut. */
  close(): Promise<void>;
};

/** A port that somebody else has is tried again so often. */
const RETRY_MS = 10_000;

/** Listens as soon as it can; never throws. */
export const openWeb = ({ config, server, clock, resolve, log }: WebOptions): Web => {
  const { bindAddress, port } = config;
  const closing = new AbortController();
  let listening: HTTPServer | null = null;
  let said = '';

  const listen = async (): Promise<void> => {
    while (listening === null && !closing.signal.aborted) {
      try {
        listening = await serve({ ...server, bindAddress, port, log, ...(resolve && { resolve }) });
        log.info(
          { reason: 'MetricsServed', bindAddress, port: listening.port },
          'metrics and health are served',
        );
      } catch (error) {
        const err = messageOf(error);
        if (err !== said)
          log.warn(
            { reason: 'MetricsNotServed', bindAddress, port, err },
            'metrics and health are not served yet: end what has the port, or change `metrics` in the configuration',
          );
        said = err;
        await sleep(clock, RETRY_MS, closing.signal);
      }
    }
  };
  const opening = listen();
  return {
    port: () => listening?.port ?? null,
    async close() {
      closing.abort();
      await opening;
      await listening?.close();
    },
  };
};
