/**
 * `make storm`: several pairs on the real control plane and the lab, under a random schedule of everything that the lab can
 * break, by turns with quiet. After each round a disturbed pair must be back in time; one that nobody disturbed has lost no
 * probe and got no EC2 call; a stranger's address has not moved; nothing was called ready for long while it did not answer.
 *
 *     node hack/storm/main.ts [--minutes 20] [--seed N] [--only "NAME,NAME"] [--dir DIR]
 *
 * Ends with a table, and with the seed and the schedule of what failed; exits 1 then.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { formatTable } from '../demo/timeline.ts';
import { nowMs } from '../lab/clock.ts';
import { isMutating } from '../lab/ec2-control.ts';
import { between, longestOutageMs } from '../lab/outage.ts';
import { FAULTS } from './faults.ts';
import { blindness, disturbances } from './judge.ts';
import { type Round, roundsOf, type Strike } from './schedule.ts';
import { openStormWorld, SIDES, STRANGER, type StormPair, type StormWorld } from './world.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** After the last fault of a round everything must be well again within this time: back-offs end after half a minute each. */
const BACK_MS = 150_000;
const LOOK_MS = 500;
/** Every probe of a round has its fate. */
const DECIDED_MS = 3_000;
/** Before a round: what it begins with is at rest. */
const QUIET_MS = 5_000;

type Options = { minutes: number; seed: number; only: readonly string[]; dir: string };

/** @throws Error for a person to read. */
const readOptions = (args: string[]): Options => {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      only: { type: 'string', default: '' },
      dir: { type: 'string', default: join(ROOT, '.lab', 'storm') },
    },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0)) throw new Error(`--minutes is a number above 0, not ${values.minutes}.`);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed is a whole number, not ${values.seed}.`);
  const only = values.only === '' ? [] : values.only.split(',');
  const unknown = only.filter((name) => !FAULTS.some((fault) => fault.name === name));
  if (unknown.length > 0)
    throw new Error(
      `--only takes names of faults (${FAULTS.map(({ name }) => name).join(', ')}), not ${unknown.join(', ')}.`,
    );
  return { minutes, seed, only, dir: values.dir };
};

const startedMs = performance.now();
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (line: string): void =>
  say(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);

const textOf = ({ kind, target, startMs, lengthMs }: Strike): string =>
  `${kind}${target === '' ? '' : ` (${target})`} at ${(startMs / 1000).toFixed(1)} s for ${(lengthMs / 1000).toFixed(1)} s`;

const strike = async (world: StormWorld, { kind, target, startMs, lengthMs }: Strike): Promise<void> => {
  await sleep(startMs);
  const fault = FAULTS.find(({ name }) => name === kind);
  if (fault === undefined) throw new Error(`There is no fault ${kind}.`);
  const undo = await fault.begin(world, target);
  await sleep(lengthMs);
  await undo();
};

/** The node that answers for a pair now; undefined: nobody does. */
const serving = async ({ probe }: StormPair): Promise<string | undefined> =>
  (await probe.samples()).findLast(({ sentAtMs }) => sentAtMs < nowMs() - 100)?.by;

const isWell = async (pair: StormPair, sinceMs: number): Promise<boolean> => {
  const said = pair.said.at(-1);
  if (said === undefined || said.atMs < sinceMs || said.ready !== 'True' || said.redundant !== 'True')
    return false;
  return (await serving(pair)) === said.holder;
};

/** @returns those that are not well in time */
const untilWell = async (pairs: readonly StormPair[], sinceMs: number): Promise<StormPair[]> => {
  const deadline = performance.now() + BACK_MS;
  for (;;) {
    const verdicts = await Promise.all(pairs.map((pair) => isWell(pair, sinceMs)));
    const ill = pairs.filter((_, at) => verdicts[at] === false);
    if (ill.length === 0 || performance.now() > deadline) return ill;
    await sleep(LOOK_MS);
  }
};

type Outcome = { round: Round; found: string[]; outageMs: number; backMs: number };

const runRound = async (world: StormWorld, round: Round): Promise<Outcome> => {
  const { lab, pairs, deliveries } = world;
  const fromMs = nowMs();
  const firstDelivery = deliveries.length;
  const lastCall = (await lab.ec2.calls()).at(-1)?.id ?? 0;
  const deviceOf = new Map(
    pairs.map((pair) => [
      pair,
      lab.vpc.instances.find(({ name }) => name === pair.said.at(-1)?.holder)?.fabricDevice ?? '',
    ]),
  );
  const strikes = await Promise.allSettled(round.strikes.map((one) => strike(world, one)));
  const failures = strikes.flatMap((one) => (one.status === 'rejected' ? [`the lab: ${one.reason}`] : []));
  const endMs = nowMs();
  const ill = await untilWell(pairs, endMs);
  const backMs = nowMs() - endMs;
  await sleep(DECIDED_MS);
  const toMs = nowMs() - DECIDED_MS;
  const calls = (await lab.ec2.calls(lastCall)).filter(isMutating);
  const found = [
    ...failures,
    ...ill.map(({ name }) => `${name}: not back ${BACK_MS / 1000} s after the last fault`),
  ];
  let outageMs = 0;
  for (const pair of pairs) {
    const samples = between(await pair.probe.samples(), fromMs, toMs);
    const said = pair.said.filter(({ atMs }) => atMs >= fromMs);
    found.push(...blindness(pair, said, samples));
    if (pair.side === round.side) outageMs = Math.max(outageMs, longestOutageMs(samples));
    else
      found.push(
        ...disturbances({
          pair,
          device: deviceOf.get(pair) ?? '',
          samples,
          deliveries: deliveries.slice(firstDelivery),
          calls,
        }),
      );
  }
  const { routes } = await lab.ec2.settledMapping();
  if (routes[STRANGER.address] !== STRANGER.networkInterfaceID)
    found.push(`a stranger's address went to ${routes[STRANGER.address] ?? 'nowhere'}`);
  deliveries.splice(0, firstDelivery);
  return { round, found, outageMs, backMs };
};

const report = (outcomes: readonly Outcome[]): string => {
  const kinds = [...new Set(outcomes.flatMap(({ round }) => round.strikes.map(({ kind }) => kind)))].sort();
  const rows = kinds.map((kind) => {
    const its = outcomes.filter(({ round }) => round.strikes.some((one) => one.kind === kind));
    const survived = its.filter(({ found }) => found.length === 0).length;
    const seconds = (of: (outcome: Outcome) => number): string =>
      (its.reduce((most, one) => Math.max(most, of(one)), 0) / 1000).toFixed(1);
    return [
      kind,
      String(its.length),
      String(survived),
      seconds((one) => one.outageMs),
      seconds((one) => one.backMs),
    ];
  });
  return formatTable([
    ['fault', 'rounds', 'survived', 'longest outage of a disturbed pair, s', 'back after the last fault, s'],
    ...rows,
  ]);
};

const storm = async ({ minutes, seed, only, dir }: Options): Promise<boolean> => {
  say(`seed ${seed}, ${minutes} minutes`);
  const kinds = FAULTS.filter(({ name }) => only.length === 0 || only.includes(name));
  const world = await openStormWorld(dir, progress);
  const outcomes: Outcome[] = [];
  try {
    const ill = await untilWell(world.pairs, 0);
    if (ill.length > 0)
      throw new Error(`Not well from the start: ${ill.map(({ name }) => name).join(', ')}.`);
    const endMs = performance.now() + minutes * 60_000;
    for (const round of roundsOf(seed, kinds, SIDES)) {
      if (performance.now() > endMs) break;
      await sleep(QUIET_MS);
      progress(`round ${outcomes.length + 1}: ${round.strikes.map(textOf).join('; ')}`);
      const outcome = await runRound(world, round);
      outcomes.push(outcome);
      for (const line of outcome.found) progress(`  FOUND ${line}`);
    }
  } finally {
    await world.down();
  }
  const table = report(outcomes);
  say(`\n${table}\n`);
  const failed = outcomes.flatMap(({ found, round }, at) =>
    found.length > 0 ? [{ round: at + 1, found, ...round }] : [],
  );
  const out = join(ROOT, '.out');
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'storm.json'), JSON.stringify({ seed, minutes, outcomes }, undefined, 2));
  say(
    `seed ${seed}: ${outcomes.length} rounds, ${failed.length} failed; all of it in ${relative(ROOT, join(out, 'storm.json'))}`,
  );
  for (const one of failed) say(JSON.stringify(one));
  return failed.length === 0;
};

try {
  process.exitCode = (await storm(readOptions(process.argv.slice(2)))) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
