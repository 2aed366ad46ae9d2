/**
 * The demo's story as a table: what is done to the pair, when it is over, and what it may cost. The end-to-end tests tell
 * the same story with EC2 at once instead of after seconds.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SeenAdvert } from '../lab/adverts.ts';
import { type Expectation, lastAdvertBefore } from './measure.ts';
import { type Stage, VIP } from './stage.ts';
import { type Costs, crashMs, resignMs } from './theory.ts';

/** One event of the story. */
export type StoryEvent = {
  title: string;
  /** What `you` do, in words, for the timeline. */
  deed: string;
  kind: Expectation['kind'];
  /** EC2 calls by the operator that change something; undefined: not fixed. */
  mutatingCalls?: number;
  act(stage: Stage): Promise<void>;
  /** Resolves when the event is over; throws when that takes too long. */
  over(stage: Stage): Promise<void>;
  /** What theory allows, from which instant; absent: nothing to compare with. */
  theory?(
    costs: Costs,
    fromMs: number,
    adverts: readonly SeenAdvert[],
  ): { theoryMs: number; originMs: number };
};

const PATIENCE_MS = 90_000;

/** Master and holder are `node`, the standby could take over, and both clients get through. */
const settledOn = async (stage: Stage, node: string): Promise<void> => {
  await stage.pair.until(
    `The pair should settle on ${node}`,
    (view) =>
      view.master === node && view.holder === node && view.ready === 'True' && view.redundant === 'True',
    PATIENCE_MS,
  );
  await servedBy(stage, node);
};

const servedBy = async (stage: Stage, node: string): Promise<void> => {
  await Promise.all([stage.lan.answeredBy(node, PATIENCE_MS), stage.internet.answeredBy(node, PATIENCE_MS)]);
};

/** Master and holder are `node` and both clients get through, whatever became of the other. */
const takenOverBy = async (stage: Stage, node: string): Promise<void> => {
  await stage.pair.until(
    `EC2 should follow ${node}`,
    (view) => view.master === node && view.holder === node && view.ready === 'True',
    PATIENCE_MS,
  );
  await servedBy(stage, node);
};

const patch = (stage: Stage, spec: object): Promise<string> =>
  stage.kubectl([
    'patch',
    'hap',
    stage.name,
    '-n',
    stage.namespace,
    '--type=merge',
    '-p',
    JSON.stringify({ spec }),
  ]);

/** Counted from the advert with priority 0, as the wire saw it. */
const afterResign: NonNullable<StoryEvent['theory']> = (costs, fromMs, adverts) => ({
  theoryMs: resignMs(costs),
  originMs: adverts.find(({ priority, atMs }) => priority === 0 && atMs >= fromMs)?.atMs ?? fromMs,
});

const switchTo = (node: string): Pick<StoryEvent, 'kind' | 'mutatingCalls' | 'over' | 'theory'> => ({
  kind: 'handover',
  mutatingCalls: 1,
  over: (stage) => settledOn(stage, node),
  theory: afterResign,
});

/** The story, in order. */
export const STORY: readonly StoryEvent[] = [
  {
    title: 'apply',
    deed: 'kubectl apply -f hack/demo/hapair.yaml',
    kind: 'free',
    // The first time the EIP is nowhere: one call for the VIP, one for the EIP on it.
    mutatingCalls: 2,
    act: async (stage) => {
      const manifest = await readFile(join(import.meta.dirname, 'hapair.yaml'), 'utf8');
      await stage.kubectl(['apply', '-f', '-'], stage.edit(manifest));
    },
    over: (stage) => settledOn(stage, 'node1'),
  },
  {
    title: 'crash of node1',
    deed: 'everything on node1 dies at once',
    kind: 'outage',
    mutatingCalls: 1,
    act: (stage) => stage.lab.node('node1').crash(),
    over: (stage) => takenOverBy(stage, 'node2'),
    theory: (costs, fromMs, adverts) => ({
      theoryMs: crashMs(costs),
      originMs: lastAdvertBefore(adverts, '10.10.10.11', fromMs)?.atMs ?? fromMs,
    }),
  },
  {
    title: 'return of node1',
    deed: 'node1 boots again; nothing may move',
    kind: 'nothing',
    mutatingCalls: 0,
    act: (stage) => stage.lab.node('node1').start(),
    over: async (stage) => {
      await settledOn(stage, 'node2');
      // Long enough for a node that wanted to preempt.
      await stage.observe(4 * stage.costs.advertisementIntervalMs);
    },
  },
  {
    title: 'failback by requestedAt',
    deed: 'kubectl patch hap web: failback.requestedAt = now',
    ...switchTo('node1'),
    act: async (stage) => {
      await patch(stage, { failback: { requestedAt: new Date().toISOString().replace(/\.\d+/, '') } });
    },
  },
  {
    title: 'switch to node2',
    deed: 'kubectl patch hap web: preferredNode = node2',
    ...switchTo('node2'),
    act: async (stage) => void (await patch(stage, { preferredNode: 'node2' })),
  },
  {
    title: 'switch to node1',
    deed: 'kubectl patch hap web: preferredNode = node1',
    ...switchTo('node1'),
    act: async (stage) => void (await patch(stage, { preferredNode: 'node1' })),
  },
  {
    title: 'graceful stop',
    deed: 'SIGTERM to the agent of node1',
    kind: 'handover',
    mutatingCalls: 1,
    act: async (stage) => void (await stage.lab.node('node1').killService('agent', 'SIGTERM')),
    over: async (stage) => {
      await takenOverBy(stage, 'node2');
      await stage.gone('node1', 'agent');
    },
    theory: afterResign,
  },
  {
    title: 'start of the agent',
    deed: 'the agent of node1 starts again; nothing may move',
    kind: 'nothing',
    mutatingCalls: 0,
    act: async (stage) => void (await stage.lab.node('node1').startService('agent')),
    over: (stage) => settledOn(stage, 'node2'),
  },
  {
    title: 'stray unassign',
    deed: `aws ec2 unassign-private-ip-addresses --private-ip-addresses ${VIP}`,
    kind: 'free',
    // Unassigning also drops the EIP's association: two calls bring both back.
    mutatingCalls: 2,
    act: async (stage) => {
      const eni = stage.lab.node('node2').instance.networkInterfaceID;
      const since = (await stage.lab.ec2.calls()).at(-1)?.id ?? 0;
      await stage.lab.aws([
        ...['ec2', 'unassign-private-ip-addresses'],
        ...['--network-interface-id', eni, '--private-ip-addresses', VIP],
      ]);
      await stage.repaired(since);
    },
    over: (stage) => settledOn(stage, 'node2'),
  },
  {
    title: 'delete',
    deed: 'kubectl delete hap web; the addresses stay (Retain)',
    kind: 'nothing',
    mutatingCalls: 0,
    act: async (stage) => {
      await stage.kubectl(['delete', 'hap', stage.name, '-n', stage.namespace, '--wait', '--timeout=30s']);
    },
    over: async (stage) => {
      await stage.observe(2 * stage.costs.advertisementIntervalMs);
      await servedBy(stage, 'node2');
    },
  },
];
