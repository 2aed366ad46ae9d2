/**
 * VRRP parameters that change while the pair runs, in three steps that both agents acknowledge: nobody loses an advert that
 * counts, so nobody becomes Master, EC2 is not called and no probe is lost. Version 2 with a password.
 */
import * as assert from 'uvu/assert';
import type { VRRPInstance, VRRPParameters } from '../../crds/types.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import {
  assertNothingLost,
  backup,
  conditionSays,
  demoPair,
  edit,
  eventually,
  instanceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  otherNode,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('parameters', demoPair, { product: { secretKeys: ['web', 'next'] } });

const instances = async (stage: Stage): Promise<VRRPInstance[]> =>
  (await Promise.all([instanceOf(stage, 'node1'), instanceOf(stage, 'node2')])).filter(
    (instance) => instance !== undefined,
  );

/** Both agents run the parameters, and accept nothing else any more. */
const inForce = (stage: Stage, wanted: (parameters: VRRPParameters) => boolean) =>
  eventually(
    'Both agents should run the parameters',
    async () => {
      const both = await instances(stage);
      const done = both.filter(
        ({ metadata, spec: { vrrp }, status }) =>
          wanted(vrrp.send) &&
          vrrp.accept.length === 1 &&
          vrrp.accept.every(wanted) &&
          status?.observedGeneration === metadata.generation,
      );
      return done.length === 2 ? done : undefined;
    },
    60_000,
  );

type Row = { title: string; edits: readonly object[]; wanted(parameters: VRRPParameters): boolean };

const interval = (advertisementIntervalMilliseconds: number) => ({
  vrrp: { advertisementIntervalMilliseconds },
});
const key = (name: string) => ({ vrrp: { authentication: { secretRef: { key: name } } } });

const ROWS: readonly Row[] = [
  {
    title: 'adverts come half as often',
    edits: [interval(2000)],
    wanted: ({ advertisementIntervalMilliseconds }) => advertisementIntervalMilliseconds === 2000,
  },
  {
    title: 'the password rotates to another key of the Secret',
    edits: [key('next')],
    wanted: ({ authentication }) => authentication?.secretRef.key === 'next',
  },
  {
    title: 'T26: a second change while the first is half done',
    edits: [interval(1000), key('web')],
    wanted: ({ advertisementIntervalMilliseconds, authentication }) =>
      advertisementIntervalMilliseconds === 1000 && authentication?.secretRef.key === 'web',
  },
];

for (const { title, edits, wanted } of ROWS) {
  row(title, async (stage) => {
    const master = await masterOf(stage);
    const before = await backup(stage, otherNode(master));
    const [fromMs, callID, { status }] = [nowMs(), await lastCallID(stage), await pairOf(stage)];
    const since = (await instanceOf(stage, master))?.status?.since;
    for (const spec of edits) await edit(stage, spec);
    await inForce(stage, wanted);
    await conditionSays(stage, 'Accepted', 'True Accepted');
    await settled(stage, master);
    assert.is((await pairOf(stage)).status?.term, status?.term, 'no new term');
    assert.is((await instanceOf(stage, master))?.status?.since, since, 'the master never left its state');
    const standby = (await instanceOf(stage, otherNode(master)))?.status;
    assert.is(standby?.since, before.status?.since, 'nor did the standby');
    await assertNothingLost(stage, fromMs);
    assert.equal(await mutatingCalls(stage, callID), []);
  });
}

row('the new parameters carry a failover', async (stage) => {
  const from = await masterOf(stage);
  await stage.lab.node(from).crash();
  await settled(stage, otherNode(from));
});

run();
