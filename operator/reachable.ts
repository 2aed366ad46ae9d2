/**
 * Whether EC2 was ever reached with these credentials: a process that never did must not count as ready, or a rollout would
 * replace a working operator by one that cannot move anything. Any reading is proof; before the first pair there is none, so
 * this one asks for an ENI that does not exist: the answer proves endpoint, credentials and permission.
 */
import type { EC2, ReadResult } from '../ec2/client.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Check } from '../runtime/health.ts';

export type Reachability = {
  /** Takes what a reading of anything said. */
  note(result: ReadResult): void;
  /** Fails until the first proof, with the reason of the last failure; never again after that. */
  check: Check;
  /** Asks until there is proof or the signal aborts. */
  prove(signal: AbortSignal): Promise<void>;
};

const NO_INTERFACE = 'eni-00000000000000000';
const RETRY_MS = { first: 1_000, most: 30_000 };

/** @param random numbers in [0, 1) */
export const createReachability = (
  ec2: Pick<EC2, 'read'>,
  region: string,
  clock: Pick<Clock, 'setTimer'>,
  random: () => number,
): Reachability => {
  let isProven = false;
  let reason = 'EC2 has not answered yet';
  const note = ({ view, failure }: ReadResult): void => {
    const answers = Object.keys(view.networkInterfaces).length + Object.keys(view.elasticIPs).length;
    isProven ||= answers > 0;
    if (failure) reason = `${failure.code}: ${failure.message}`;
  };
  return {
    note,
    check: { name: 'ec2-reachable', problem: () => (isProven ? undefined : reason) },
    async prove(signal) {
      const request = { region, networkInterfaceIDs: [NO_INTERFACE], allocationIDs: [] };
      for (let attempt = 0; !isProven && !signal.aborted; attempt++) {
        note(await ec2.read(request, 'Preflight', signal));
        if (isProven) return;
        const delayMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(attempt, 10));
        await sleep(clock, delayMs * (0.5 + random() / 2), signal);
      }
    },
  };
};
