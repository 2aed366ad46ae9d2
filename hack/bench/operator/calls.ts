/** What the operator asks EC2 for: the lab's log of calls, followed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallRecord } from '../../lab/types.ts';
import type { Harness } from './harness.ts';

const POLL_MS = 200;

/** The lab's log of mutating calls, followed so that nothing of it is lost; tells the agents what IMDS would show. */
export type CallFollower = {
  /** Mutating calls so far, oldest first; a record grows while its call goes on. */
  records(): readonly CallRecord[];
  /** The number of the newest call of any kind: at most 200 ms old. */
  lastID(): number;
  stop(): void;
};

const MUTATING = ['AssignPrivateIpAddresses', 'AssociateAddress'] as const;

/** Follows EC2's log of calls until `stop`. @param onMapped is told when packets for a VIP arrive at an ENI */
export const followCalls = ({ ec2 }: Harness, onMapped: (vip: string, eni: string) => void): CallFollower => {
  const known = new Map<number, CallRecord>();
  const mapped = new Set<number>();
  let sinceID = 0;
  let lastID = 0;
  let isStopped = false;
  const take = (records: readonly CallRecord[]): void => {
    let open = Number.POSITIVE_INFINITY;
    let newest = sinceID;
    for (const record of records) {
      newest = Math.max(newest, record.id);
      if (!MUTATING.some((action) => action === record.action) || record.parameters.DryRun === 'true')
        continue;
      known.set(record.id, record);
      const isOver = record.mappedAtMs !== undefined || record.errorCode !== undefined;
      if (!isOver) open = Math.min(open, record.id);
      if (record.mappedAtMs === undefined || mapped.has(record.id)) continue;
      mapped.add(record.id);
      if (record.action !== 'AssignPrivateIpAddresses') continue;
      for (const vip of vipsOf(record)) onMapped(vip, record.parameters.NetworkInterfaceId ?? '');
    }
    lastID = Math.max(lastID, newest);
    sinceID = Math.min(open - 1, newest);
  };
  const run = async (): Promise<void> => {
    while (!isStopped) {
      await sleep(POLL_MS);
      const records = await ec2.calls(sinceID).catch((error: Error) => {
        if (!isStopped) console.error(`hapair: ${error.message}`);
        return [];
      });
      take(records);
    }
  };
  void run();
  return {
    records: () => [...known.values()],
    lastID: () => lastID,
    stop() {
      isStopped = true;
    },
  };
};

/** The VIPs that a call moves. */
export const vipsOf = ({ parameters }: CallRecord): string[] =>
  Object.entries(parameters).flatMap(([name, value]) =>
    name.startsWith('PrivateIpAddress.') ? [value] : [],
  );

/** An action and what became of it, as the tables name it. */
export const nameOfCall = ({ action, errorCode }: CallRecord): string =>
  errorCode === undefined ? action : `${action} (${errorCode})`;
