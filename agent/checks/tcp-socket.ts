/** `tcpSocket`: passes when a connection opens. */
import { connect } from 'node:net';
import type { HealthCheck } from '../../crds/types.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Outcome } from '../rules/verdict.ts';
import type { Resolve } from './names.ts';

/** One run; the connection is closed at once. */
export const runTCPSocket = async (
  { port, host }: NonNullable<HealthCheck['tcpSocket']>,
  sourceAddress: string,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<Outcome> => {
  const place = `${host ?? sourceAddress}:${port}`;
  try {
    const address = await resolve(host ?? sourceAddress);
    await open(address, port, signal);
    return { result: 'success' };
  } catch (error) {
    return refused(`no connection to ${place}`, error);
  }
};

const open = (host: string, port: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port });
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
