/** What every phase works with, and the waiting and measuring that they share. */
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../../lab/clock.ts';
import type { Agents } from './agents.ts';
import type { CallFollower } from './calls.ts';
import type { Fleet, FleetPair } from './fleet.ts';
import type { Harness, Operator } from './harness.ts';
import { usageOf } from './measure.ts';
import type { PairWatch } from './pair-watch.ts';

/** Everything a phase works with. */
export type Scene = {
  harness: Harness;
  fleet: Fleet;
  operator: Operator;
  agents: Agents;
  pairs: PairWatch;
  calls: CallFollower;
  onLog: (line: string) => void;
};

/** The user that the operator is to the API server. */
export const OPERATOR_USER = 'system:serviceaccount:hapair-system:hapair-operator';
const POLL_MS = 200;
const PROGRESS_MS = 15_000;

/** Waits; says how far it is now and then. @throws Error that says what was awaited. */
export const until = async (
  scene: Pick<Scene, 'operator' | 'onLog'>,
  isDone: () => boolean,
  progress: () => string,
  timeoutMs: number,
): Promise<void> => {
  const deadline = nowMs() + timeoutMs;
  let saidMs = nowMs();
  while (!isDone()) {
    const end = scene.operator.ended();
    if (end !== undefined) throw new Error(`The operator ended (${end}); see ${scene.operator.logFile}.`);
    if (nowMs() > deadline) throw new Error(`Not within ${timeoutMs / 1000} s: ${progress()}`);
    if (nowMs() - saidMs >= PROGRESS_MS) {
      scene.onLog(progress());
      saidMs = nowMs();
    }
    await sleep(POLL_MS);
  }
};

/** Processor seconds and memory over a phase. */
export type Load = {
  seconds: number;
  cpuSeconds: number;
  cpuPercent: number;
  rssMB: number;
  peakRSSMB: number;
};

/** What the operator has used since then. */
export const loadSince = ({ pid }: Operator, fromMs: number, cpuBefore: number): Load => {
  const { cpuSeconds, rssMB, peakRSSMB } = usageOf(pid);
  const seconds = (nowMs() - fromMs) / 1000;
  const used = cpuSeconds - cpuBefore;
  return { seconds, cpuSeconds: used, cpuPercent: (100 * used) / seconds, rssMB, peakRSSMB };
};

/** Longer than between two readings of EC2. */
const QUIET_MS = 40_000;
const QUIET_PATIENCE_MS = 15 * 60_000;

/** Waits until nothing changes any more. */
export const settle = (scene: Scene): Promise<void> =>
  until(
    scene,
    () => nowMs() - scene.pairs.lastChangeMs() > QUIET_MS,
    () =>
      `${scene.pairs.changes()} changes of HAPairs so far, the last one ${Math.round(nowMs() - scene.pairs.lastChangeMs())} ms ago`,
    QUIET_PATIENCE_MS,
  );

/** Evenly spread over the fleet. */
export const some = (fleet: Fleet, count: number): FleetPair[] => {
  const stride = fleet.pairs.length / count;
  return Array.from({ length: count }, (_, at) => fleet.pairs[Math.floor(at * stride)]).filter(
    (pair) => pair !== undefined,
  );
};
