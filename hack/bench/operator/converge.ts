/** The first phase: a fleet of HAPairs is created and comes to be Ready. */
import { nowMs } from '../../lab/clock.ts';
import { nameOfCall } from './calls.ts';
import { manifestOf } from './fleet.ts';
import { familyCPUSeconds, tally, usageOf, writesBetween } from './measure.ts';
import { HAPAIRS } from './pair-watch.ts';
import { type Load, loadSince, OPERATOR_USER, type Scene, until } from './scene.ts';

const CREATES_AT_ONCE = 16;
/** The API server needs most of it: some 25 writes for each pair, at 8 to 18 ms of processor time each. */
const CONVERGENCE_MS = 90 * 60_000;

/** What the first phase measured. */
export type Convergence = {
  /** Until the last HAPair was created. */
  createdSeconds: number;
  /** From the first creation until every pair was Ready. */
  convergedSeconds: number;
  load: Load;
  /** What the operator wrote, by verb and resource, its own Lease apart. */
  writes: Record<string, number>;
  ec2Calls: Record<string, number>;
  /** Who used the processors meanwhile, in seconds. */
  processors: Record<string, number>;
};

/** Creates every HAPair and waits until all are Ready. */
export const converge = async (scene: Scene): Promise<Convergence> => {
  const { harness, fleet, operator, pairs, onLog } = scene;
  const fromMs = nowMs();
  const { cpuSeconds } = usageOf(operator.pid);
  const sinceID = scene.calls.lastID();
  const processorsBefore = familyCPUSeconds();
  const waiting = [...fleet.pairs];
  const worker = async (): Promise<void> => {
    for (let pair = waiting.shift(); pair; pair = waiting.shift())
      await harness.admin.call({ method: 'POST', path: HAPAIRS, body: manifestOf(fleet, pair) });
  };
  let createdSeconds = Number.NaN;
  const created = Promise.all(Array.from({ length: CREATES_AT_ONCE }, worker)).then(() => {
    createdSeconds = (nowMs() - fromMs) / 1000;
    onLog(`${fleet.pairs.length} HAPairs created`);
  });
  // When something else ends the phase first, its own end is no news.
  created.catch(() => undefined);
  await until(
    scene,
    () => pairs.ready() === fleet.pairs.length,
    () => `${pairs.ready()} of ${fleet.pairs.length} pairs are Ready; ${scene.agents.reports} reports sent`,
    CONVERGENCE_MS,
  );
  await created;
  const toMs = nowMs();
  const load = loadSince(operator, fromMs, cpuSeconds);
  const processors = Object.entries(familyCPUSeconds());
  const writes = await writesBetween(harness.controlPlane.dir, fromMs, toMs);
  return {
    createdSeconds,
    convergedSeconds: (toMs - fromMs) / 1000,
    load,
    writes: tally(
      writes.flatMap(({ user, verb, resource, status }) =>
        user === OPERATOR_USER && resource !== 'leases'
          ? [`${verb} ${resource}${status < 300 ? '' : ` (${status})`}`]
          : [],
      ),
    ),
    ec2Calls: tally((await harness.ec2.calls(sinceID)).map(nameOfCall)),
    processors: Object.fromEntries(
      processors.map(([name, seconds]) => [
        name === `node ${operator.pid}` ? 'operator' : name.replace(/^node .*/, 'EC2'),
        seconds - (processorsBefore[name] ?? 0),
      ]),
    ),
  };
};
