/** The third phase: failovers one by one, and how long the operator takes for each. */
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../../lab/clock.ts';
import type { CallRecord } from '../../lab/types.ts';
import { type Percentiles, percentilesOf } from '../common/statistics.ts';
import type { Claimed } from './agents.ts';
import { type CallFollower, vipsOf } from './calls.ts';
import { type FleetPair, NAMESPACE } from './fleet.ts';
import { reportsRead, usageOf } from './measure.ts';
import { type Load, loadSince, type Scene, some } from './scene.ts';

const POLL_MS = 200;
/** What the failovers one by one measured. */
export type Failovers = {
  /** From sending the report to EC2's receiving the call, milliseconds. */
  sentToCall: Percentiles;
  /** From the API server's answer to the report to EC2's receiving the call. */
  answeredToCall: Percentiles;
  /** The report's own way into the API server. */
  report: Percentiles;
  /** From sending the report until the operator had read it and decided: API server, etcd and watch. */
  sentToRead: Percentiles;
  /** From there to EC2's receiving the call: the operator's own part, and the SDK's. */
  readToCall: Percentiles;
  /** Claims for which no call came within 30 s. */
  lost: number;
  load: Load;
};

const SAMPLE_MS = 30_000;

/** The call that a claim led to: the first for its VIP since the report was sent. */
const callFor = (calls: readonly CallRecord[], vip: string, sentAtMs: number): CallRecord | undefined =>
  calls.find((call) => call.receivedAtMs >= sentAtMs - 1 && vipsOf(call).includes(vip));

/** One pair after another fails over while all others rest; the old master comes back once EC2 has moved. */
export const failOverOneByOne = async (
  scene: Scene,
  samples: number,
  spacingMs: number,
): Promise<Failovers> => {
  const { fleet, agents, calls, operator, onLog } = scene;
  const chosen = Array.from({ length: Math.ceil(samples / fleet.pairs.length) }, () =>
    some(fleet, Math.min(samples, fleet.pairs.length)),
  )
    .flat()
    .slice(0, samples);
  const fromMs = nowMs();
  const { cpuSeconds } = usageOf(operator.pid);
  const followed: Promise<{ pair: FleetPair; claimed: Claimed; call: CallRecord | undefined }>[] = [];
  for (const [at, pair] of chosen.entries()) {
    const claimed = await agents.failOver(pair);
    followed.push(
      awaitCall(calls, pair, claimed).then(async (call) => {
        await agents.comeBack(pair);
        return { pair, claimed, call };
      }),
    );
    if (at % 25 === 24) onLog(`${at + 1} of ${samples} failovers begun`);
    await sleep(spacingMs * (0.5 + Math.random()));
  }
  const results = await Promise.all(followed);
  const read = await reportsRead(operator.logFile);
  const found = results.flatMap(({ pair, claimed, call }) => {
    const readAtMs = read.get(`${NAMESPACE}/${pair.name} ${claimed.term}`);
    return call && readAtMs !== undefined ? [{ claimed, call, readAtMs }] : [];
  });
  return {
    sentToCall: percentilesOf(found.map(({ claimed, call }) => call.receivedAtMs - claimed.sentAtMs)),
    answeredToCall: percentilesOf(found.map(({ claimed, call }) => call.receivedAtMs - claimed.answeredAtMs)),
    report: percentilesOf(found.map(({ claimed }) => claimed.answeredAtMs - claimed.sentAtMs)),
    sentToRead: percentilesOf(found.map(({ claimed, readAtMs }) => readAtMs - claimed.sentAtMs)),
    readToCall: percentilesOf(found.map(({ call, readAtMs }) => call.receivedAtMs - readAtMs)),
    lost: results.length - found.length,
    load: loadSince(operator, fromMs, cpuSeconds),
  };
};

const awaitCall = async (
  calls: CallFollower,
  { vip }: FleetPair,
  { sentAtMs }: Claimed,
): Promise<CallRecord | undefined> => {
  for (const deadline = nowMs() + SAMPLE_MS; nowMs() < deadline; await sleep(POLL_MS)) {
    const call = callFor(calls.records().slice(-2_000), vip, sentAtMs);
    if (call) return call;
  }
  return undefined;
};
