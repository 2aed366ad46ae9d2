/**
 * `make demo`: the recipe's own case on real parts, told as a timeline, a table and a picture. Exits 0 when every event
 * went as it must; cleans up in any case.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { nowMs } from '../lab/clock.ts';
import { STORY } from './events.ts';
import { answerSegments, deliverySegments, marksOf, masterSegments, tableOf } from './measure.ts';
import { drawPicture } from './picture.ts';
import { openStage, type Stage, VIP } from './stage.ts';
import { type Told, tell } from './tell.ts';
import { EXCESS_LIMIT_MS } from './theory.ts';
import { formatEntry, formatTable } from './timeline.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** `--dir DIR`: where its state and logs lie, for one beside another. It is emptied first. */
const { dir } = parseArgs({
  options: { dir: { type: 'string', default: join(ROOT, '.lab', 'demo') } },
}).values;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const startMs = nowMs();
const progress = (line: string): void =>
  say(`${((nowMs() - startMs) / 1000).toFixed(1).padStart(6)} s  ${line}`);

const show = async (stage: Stage): Promise<Told[]> => {
  const told: Told[] = [];
  const zeroMs = nowMs();
  for (const [i, event] of STORY.entries()) {
    say(`\n== ${i + 1}/${STORY.length}  ${event.title}: ${event.deed}`);
    const done = await tell(stage, event);
    for (const entry of done.entries) say(formatEntry(entry, zeroMs));
    if (event.title === 'stray unassign') await describe(stage);
    told.push(done);
  }
  return told;
};

/** What a person would look at before the pair is deleted. */
const describe = async (stage: Stage): Promise<void> => {
  say('\n$ kubectl get hap -n prod');
  say(await stage.kubectl(['get', 'hap', '-n', stage.namespace]));
  say('$ kubectl describe hap web -n prod   (Events)');
  const description = await stage.kubectl(['describe', 'hap', stage.name, '-n', stage.namespace]);
  say(description.slice(description.indexOf('Events:')).trimEnd());
};

const draw = async (stage: Stage, told: readonly Told[]): Promise<string> => {
  const { lan, internet, calls, adverts } = await stage.evidence();
  const instances = stage.lab.vpc.instances;
  const byAddress = (source: string): string =>
    instances.find(({ address }) => address === source)?.name ?? source;
  const byENI = (id: string): string => instances.find((one) => one.networkInterfaceID === id)?.name ?? id;
  const endMs = nowMs();
  const svg = await drawPicture(
    'hapair: one address, two instances',
    [
      ...answerSegments('LAN client answered by', lan),
      ...answerSegments('internet client answered by', internet),
      ...masterSegments('Master on the wire', adverts, byAddress, stage.costs.advertisementIntervalMs),
      ...deliverySegments('EC2 delivers the VIP to', calls, VIP, byENI, endMs),
    ],
    marksOf(told.map(({ event, fromMs }) => ({ title: event.title, fromMs }))),
    told[0]?.fromMs ?? startMs,
  );
  const file = join(ROOT, '.out', 'demo.svg');
  mkdirSync(join(ROOT, '.out'), { recursive: true });
  writeFileSync(file, svg);
  return file;
};

const main = async (): Promise<boolean> => {
  say('Building a VPC, a Kubernetes control plane and the product on it.');
  const stage = await openStage({ dir, profile: 'aws', onLog: progress });
  try {
    const told = await show(stage);
    const file = await draw(stage, told);
    say(
      '\nTheory: 3 adverts + skew from the last advert (a crash) or the skew alone (a resignation), 10 ms of listening,',
    );
    say(
      `one EC2 call of 1.5 s, 1.0 s until packets follow. An excess above ${EXCESS_LIMIT_MS / 1000} s is marked with "!".\n`,
    );
    say(formatTable(tableOf(told.map(({ outcome }) => outcome))));
    say(`\nPicture: ${file.slice(ROOT.length + 1)}`);
    return told.every(({ outcome }) => outcome.faults.length === 0);
  } finally {
    await stage.down();
    progress('everything of it is gone again');
  }
};

const ended = await main().catch((error: Error) => {
  say(`\nThe demo failed: ${error.message}`);
  say(`Logs: ${relative(process.cwd(), dir)}`);
  return false;
});
say(ended ? '\nEvery event went as it must.' : '\nNot every event went as it must.');
process.exit(ended ? 0 : 1);
