/** `tcpSocket`: passes when a connection opens. */
import { connect } from 'node:net';
import type { HealthCheck } from '../../crds/types.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { inTime } from '../../runtime/in-time.ts';
import { lookupBy, type Resolve } from '../../runtime/names.ts';
import type { Outcome } from '../rules/verdict.ts';

/**
 * One run; the connection is closed at once.
 * @param resolve throws an Error when the host may not be asked
 */
export const runTCPSocket = async (
  { port, host }: NonNullable<HealthCheck['tcpSocket']>,
  sourceAddress: string,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<Outcome> => {
  const name = host ?? sourceAddress;
  try {
    await open(name, port, await inTime(resolve(name), signal), signal);
    return { result: 'success' };
  } catch (error) {
    return refused(`no connection to ${name}:${port}`, error);
  }
};

const open = (host: string, port: number, addresses: readonly string[], signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, lookup: lookupBy(async () => addresses) });
    const end = (): void => void socket.destroy();
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      signal.removeEventListener('abort', end);
      reject(new Error('given up'));
    });
  });

/** Makes the failure of a run that an error has ended. */
export const refused = (attempt: string, error: unknown): Outcome => {
  const why = messageOf(error);
  return { result: 'failure', cause: codeOf(error) ?? why, message: `${attempt}: ${why}` };
};

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
