/** The second phase: nothing happens, and nothing should be asked or written. */
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../../lab/clock.ts';
import { nameOfCall } from './calls.ts';
import { requestTotals, tally, usageOf, writesBetween } from './measure.ts';
import { type Load, loadSince, OPERATOR_USER, type Scene } from './scene.ts';

const AGENT_USERS = 'system:serviceaccount:hapair-system:hapair-agent-';

/** What the second phase measured. */
export type Rest = {
  load: Load;
  /** Writes of the operator, its own Lease apart: there must be none (S6). */
  operatorWrites: Record<string, number>;
  /** All writes at the API server by who made them, per minute. */
  writesPerMinute: Record<string, number>;
  /** Reads at the API server of the kinds that the product knows, less the benchmark's own, per minute. */
  readsPerMinute: Record<string, number>;
  ec2CallsPerMinute: Record<string, number>;
  changedPairs: number;
  /** Pairs whose `PreflightPassed` alone changed: one write of the operator each. */
  preflights: number;
};

type Totals = { before: ReadonlyMap<string, number>; after: ReadonlyMap<string, number> };

/** A while in which nothing happens. */
export const rest = async (scene: Scene, seconds: number): Promise<Rest> => {
  const { harness, operator, pairs } = scene;
  const ownTotals = (): Map<string, number> => {
    const sum = new Map<string, number>();
    for (const api of [harness.admin, harness.agents])
      for (const [name, count] of api.counts()) sum.set(name, (sum.get(name) ?? 0) + count);
    return sum;
  };
  const allTotals = async () => requestTotals(await harness.admin.text('/metrics'));
  const [allBefore, ownBefore] = [await allTotals(), ownTotals()];
  const sinceID = scene.calls.lastID();
  const { cpuSeconds } = usageOf(operator.pid);
  const changesBefore = pairs.changes();
  const preflightsBefore = pairs.preflights();
  const fromMs = nowMs();
  await sleep(seconds * 1000);
  const load = loadSince(operator, fromMs, cpuSeconds);
  const toMs = nowMs();
  const all = { before: allBefore, after: await allTotals() };
  const own = { before: ownBefore, after: ownTotals() };
  const writes = await writesBetween(harness.controlPlane.dir, fromMs, toMs);
  const perMinute = (counts: Record<string, number>): Record<string, number> =>
    Object.fromEntries(
      Object.entries(counts).map(([name, count]) => [name, (count * 60_000) / (toMs - fromMs)]),
    );
  const requests: Record<string, number> = {};
  for (const name of all.after.keys()) {
    if (!/^(GET|LIST|WATCH) (hapairs|vrrpinstances|leases|secrets)(\/|$)/.test(name)) continue;
    const gained = (counts: Totals): number => (counts.after.get(name) ?? 0) - (counts.before.get(name) ?? 0);
    const others = gained(all) - gained(own);
    if (others > 0) requests[name] = others;
  }
  const ofOperator = writes.filter(({ user, resource }) => user === OPERATOR_USER && resource !== 'leases');
  return {
    load,
    operatorWrites: tally(ofOperator.map(({ verb, resource }) => `${verb} ${resource}`)),
    writesPerMinute: perMinute(
      tally(writes.map(({ user, verb, resource }) => `${whoIs(user)}: ${verb} ${resource}`)),
    ),
    readsPerMinute: perMinute(requests),
    ec2CallsPerMinute: perMinute(tally((await harness.ec2.calls(sinceID)).map(nameOfCall))),
    changedPairs: pairs.changes() - changesBefore,
    preflights: pairs.preflights() - preflightsBefore,
  };
};

const whoIs = (user: string): string => {
  if (user === OPERATOR_USER) return 'operator';
  if (user.startsWith(AGENT_USERS)) return 'agents';
  return user === 'admin' ? 'benchmark' : 'control plane';
};
