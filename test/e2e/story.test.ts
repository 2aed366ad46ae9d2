/**
 * The demo's story with an EC2 that answers at once: every event ends as it must, costs the EC2 calls it must, and loses no
 * probe where none may be lost. The events build on each other, so they run in order on one stage. The agents are the bundled
 * ones, as people install them.
 */
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bundleAgent } from '../../hack/build/bundle.ts';
import { STORY } from '../../hack/demo/events.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import { tell } from '../../hack/demo/tell.ts';
import { formatEntry } from '../../hack/demo/timeline.ts';
import { openTestStage } from './support.ts';

/** Twice the demo's: on a busy machine too the first election is decided by priority. */
const INTERVAL_MS = 2_000;

/** `broken`: the event that failed; those after it would only wait for what cannot come. */
const test = suite<{ stage?: Stage; broken?: string }>('story');

test.before(async (context) => {
  const lab = join(import.meta.dirname, '..', '..', '.lab');
  const agentProgram = await bundleAgent(join(lab, 'test-story-agent'));
  context.stage = await openTestStage('story', {
    product: { agentProgram },
    advertisementIntervalMs: INTERVAL_MS,
    edit: (manifest) =>
      manifest.replace(
        'advertisementIntervalMilliseconds: 1000',
        `advertisementIntervalMilliseconds: ${INTERVAL_MS}`,
      ),
  });
});

test.after(async ({ stage }) => {
  await stage?.down();
});

for (const event of STORY) {
  test(`${event.title}: ${event.deed}`, async (context) => {
    const { stage, broken } = context;
    if (stage === undefined) throw new Error('The stage was not opened.');
    if (broken !== undefined) throw new Error(`Not tried, for this failed: ${broken}`);
    context.broken = event.title;
    const { outcome, entries, fromMs } = await tell(stage, event);
    const story = entries.map((entry) => formatEntry(entry, fromMs)).join('\n');
    assert.equal(outcome.faults, [], `${event.title}\n${story}`);
    delete context.broken;
  });
}

test.run();
