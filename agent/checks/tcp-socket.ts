/** `tcpSocket`: passes when a connection opens. */
import { connect } from 'node:net';
import type { HealthCheck } from '../../crds/types.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { lookupBy, type Resolve } from '../../runtime/names.ts';
import type { Outcome } from '../rules/verdict.ts';

/** One run; the connection is closed at once. */
export const runTCPSocket = async (
  { port, host }: NonNullable<HealthCheck['tcpSocket']>,
  sourceAddress: string,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<Outcome> => {
  const name = host ?? sourceAddress;
  try {
    await open(name, port, resolve, signal);
    return { result: 'success' };
  } catch (error) {
    return refused(`no connection to ${name}:${port}`, error);
  }
};

const open = (host: string, port: number, find: Resolve, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, lookup: lookupBy(find) });
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
