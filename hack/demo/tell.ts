/** Runs the story on a stage, event by event, and measures each. The demo prints it; the end-to-end tests judge it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nowMs } from '../lab/clock.ts';
import type { StoryEvent } from './events.ts';
import { type Evidence, type Expectation, measure, type Outcome } from './measure.ts';
import type { Stage } from './stage.ts';
import { fromCalls, fromLog, fromSamples, fromViews } from './story.ts';
import { type Entry, inOrder } from './timeline.ts';

/** An event that has happened. */
export type Told = { event: StoryEvent; fromMs: number; toMs: number; outcome: Outcome; entries: Entry[] };

/** Lets one event happen and measures it. @throws Error when it does not come to its end in time. */
export const tell = async (stage: Stage, event: StoryEvent): Promise<Told> => {
  const fromMs = nowMs();
  await event.act(stage);
  await event.over(stage);
  const toMs = nowMs();
  const evidence = await stage.evidence();
  const outcome = measure(evidence, expectationOf(stage, event, fromMs, toMs));
  return { event, fromMs, toMs, outcome, entries: await entriesOf(stage, event, evidence, fromMs, toMs) };
};

const expectationOf = (stage: Stage, event: StoryEvent, fromMs: number, toMs: number): Expectation => ({
  title: event.title,
  kind: event.kind,
  fromMs,
  toMs,
  mutatingCalls: event.mutatingCalls,
  mappingLagMs: stage.costs.mappingLagMs,
  ...event.theory?.(stage.costs, fromMs, stage.adverts),
});

const entriesOf = async (
  stage: Stage,
  event: StoryEvent,
  evidence: Evidence,
  fromMs: number,
  toMs: number,
): Promise<Entry[]> => {
  const log = async (who: string, file: string): Promise<Entry[]> =>
    fromLog(who, await readFile(join(stage.lab.dir, file), 'utf8').catch(() => ''), fromMs, toMs);
  return inOrder([
    { atMs: fromMs, who: 'you', text: event.deed },
    ...(await log('operator', 'operator.log')),
    ...(await log('agent node1', 'node1-agent.log')),
    ...(await log('agent node2', 'node2-agent.log')),
    ...fromCalls(evidence.calls, fromMs, toMs),
    ...fromSamples('LAN client', evidence.lan, fromMs, toMs),
    ...fromSamples('internet client', evidence.internet, fromMs, toMs),
    ...fromViews(stage.pair.views, fromMs, toMs),
  ]);
};
