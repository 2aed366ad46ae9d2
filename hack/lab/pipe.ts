/** Joins network namespaces: a connection that was accepted in one is led to an address of another. */
import { connect, type Socket } from 'node:net';

const CONNECT_MS = 5_000;

/** Joins a connection with an address of this process's own network; either end's close closes the other. */
export const pipe = (accepted: Socket, host: string, port: number): void => {
  const onward = connect({ host, port, timeout: CONNECT_MS });
  onward.once('connect', () => onward.setTimeout(0));
  onward.once('timeout', () => onward.destroy());
  for (const [from, to] of [
    [accepted, onward],
    [onward, accepted],
  ] as const) {
    from.setNoDelay(true);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
};
