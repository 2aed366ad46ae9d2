/**
 * Whether EC2 can be reached with these credentials: a process that cannot must not count as ready, or a rollout would replace a
 * working operator by one that cannot move anything, and nobody would see that none of them can. Any recent reading is proof; where
 * no pair is read, this one asks for an ENI that does not exist: the answer proves endpoint, credentials and permission.
 */
import type { EC2, ReadResult } from '../ec2/client.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Check } from '../runtime/health.ts';

export type Reachability = {
  /** Takes what a reading of anything said. */
  note(result: ReadResult): void;
  /** Fails until the first proof, and when the last one is older than two minutes, with the reason of the last failure. */
  check: Check;
  /** Asks whenever nothing else has proved it for a minute, until the signal aborts. */
  prove(signal: AbortSignal): Promise<void>;
};

const NO_INTERFACE = 'eni-00000000000000000';
/** Two periods of the reading of all pairs. */
const ASK_MS = 60_000;
/** A proof older than this proves nothing about the present. */
const STALE_MS = 120_000;
const RETRY_MS = { first: 1_000, most: 30_000 };

/** @param random numbers in [0, 1) */
export const createReachability = (
  ec2: Pick<EC2, 'read'>,
  region: string,
  clock: Pick<Clock, 'now' | 'setTimer'>,
  random: () => number,
): Reachability => {
  let provenAtMs = Number.NEGATIVE_INFINITY;
  let reason = 'EC2 has not answered yet';
  const ageMs = (): number => clock.now() - provenAtMs;
  const note = ({ view, failure, remembered = 0 }: ReadResult): void => {
    const read = Object.keys(view.networkInterfaces).length + Object.keys(view.elasticIPs).length;
    const answers = read - remembered;
    if (answers > 0) provenAtMs = clock.now();
    if (failure) reason = `${failure.code}: ${failure.message}`;
    else if (answers > 0) reason = 'EC2 has not answered since';
  };
  const problem = (): string | undefined => {
    if (ageMs() <= STALE_MS) return undefined;
    return provenAtMs === Number.NEGATIVE_INFINITY
      ? reason
      : `no answer for ${Math.round(ageMs() / 1000)} s; ${reason}`;
  };
  return {
    note,
    check: { name: 'ec2-reachable', problem },
    async prove(signal) {
      const request = { region, networkInterfaceIDs: [NO_INTERFACE], allocationIDs: [] };
      let failures = 0;
      while (!signal.aborted) {
        if (ageMs() >= ASK_MS) note(await ec2.read(request, 'Preflight', signal));
        failures = ageMs() < ASK_MS ? 0 : failures + 1;
        const retryMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(failures - 1, 10));
        await sleep(clock, failures === 0 ? ASK_MS - ageMs() : retryMs * (0.5 + random() / 2), signal);
      }
    },
  };
};
