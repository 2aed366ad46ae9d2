/** The last phase: many pairs lose their masters at the same moment, and EC2's rate limit is what holds them up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../../lab/clock.ts';
import type { CallRecord } from '../../lab/types.ts';
import { type Percentiles, percentilesOf } from '../common/statistics.ts';
import { nameOfCall, vipsOf } from './calls.ts';
import { bucketBoundMs, tally, usageOf } from './measure.ts';
import { type Load, loadSince, type Scene, settle, some, until } from './scene.ts';

/** What the failure of many at once measured. */
export type MassFailure = {
  pairs: number;
  /** From the first report sent until the last one was answered. */
  reportedSeconds: number;
  /** From the first report sent until the last pair's call that worked was received. */
  lastCallSeconds: number;
  /** What EC2's token bucket allows at best. */
  boundSeconds: number;
  /** By how much `lastCallSeconds` exceeds the bound; absent without a bound. */
  overBoundPercent: number | undefined;
  /** Calls of the kind that moves a VIP, by result. */
  calls: Record<string, number>;
  /** From each report sent to that pair's call that worked. */
  perPair: Percentiles;
  convergedSeconds: number;
  load: Load;
};

/** AssignPrivateIpAddresses (EC2 Developer Guide, "Request throttling"). */
const ASSIGN_BUCKET = { capacity: 100, refillPerSecond: 5 };
/** Until the bucket is full again after anything before. */
const REFILL_MS = 20_000;
const MASS_MS = 15 * 60_000;

/** Many pairs lose their masters at the same moment. */
export const failOverAtOnce = async (scene: Scene, count: number): Promise<MassFailure> => {
  const { fleet, agents, calls, pairs, operator } = scene;
  await settle(scene);
  await sleep(REFILL_MS);
  const chosen = some(fleet, Math.min(count, fleet.pairs.length));
  const before = calls.records().length;
  const fromMs = nowMs();
  const { cpuSeconds } = usageOf(operator.pid);
  const claims = await Promise.all(
    chosen.map(async (pair) => ({ pair, claimed: await agents.failOver(pair) })),
  );
  const reportedSeconds = (nowMs() - fromMs) / 1000;
  const worked = new Map<string, CallRecord>();
  const look = (): void => {
    for (const call of calls.records().slice(before)) {
      if (call.action !== 'AssignPrivateIpAddresses' || call.effectAtMs === undefined) continue;
      for (const vip of vipsOf(call)) if (!worked.has(vip)) worked.set(vip, call);
    }
  };
  await until(
    scene,
    () => {
      look();
      return chosen.every(({ vip }) => worked.has(vip));
    },
    () => `${worked.size} of ${chosen.length} VIPs moved`,
    MASS_MS,
  );
  const lastCallSeconds =
    (Math.max(...chosen.map(({ vip }) => worked.get(vip)?.receivedAtMs ?? Number.NaN)) - fromMs) / 1000;
  for (const { pair } of claims) void agents.comeBack(pair);
  await until(
    scene,
    () => pairs.ready() === fleet.pairs.length,
    () => `${pairs.ready()} of ${fleet.pairs.length} pairs are Ready again`,
    MASS_MS,
  );
  const convergedSeconds = (nowMs() - fromMs) / 1000;
  const boundSeconds =
    bucketBoundMs(chosen.length, ASSIGN_BUCKET.capacity, ASSIGN_BUCKET.refillPerSecond) / 1000;
  return {
    pairs: chosen.length,
    reportedSeconds,
    lastCallSeconds,
    boundSeconds,
    overBoundPercent: boundSeconds > 0 ? (100 * (lastCallSeconds - boundSeconds)) / boundSeconds : undefined,
    calls: tally(calls.records().slice(before).map(nameOfCall)),
    perPair: percentilesOf(
      claims.map(
        ({ pair, claimed }) => (worked.get(pair.vip)?.receivedAtMs ?? Number.NaN) - claimed.sentAtMs,
      ),
    ),
    convergedSeconds,
    load: loadSince(operator, fromMs, cpuSeconds),
  };
};
