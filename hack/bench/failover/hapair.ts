/** The product as a contender: the demo's HAPair on the first pair. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCESS_KEYS } from '../../lab/ec2/credentials.ts';
import { within } from '../../lab/handles.ts';
import { watchPair } from '../../lab/pair-watch.ts';
import type { LabInstance } from '../../lab/types.ts';
import { PATIENCE_MS } from '../common/wait.ts';
import type { Contender } from './contender.ts';
import { type Harness, nodesFrom, HAPAIR_PAIR as pair } from './harness.ts';
import { untilAnswered, untilServing } from './observe.ts';

const NAMESPACE = 'prod';
const NAME = 'web';
const MANIFEST = join(import.meta.dirname, '..', '..', 'demo', 'hapair.yaml');

const [first] = pair.nodes;

/** Follows the HAPair from now on; it is applied by `start`. */
export const createHAPair = async (harness: Harness): Promise<Contender> => {
  const { lab, product } = harness;
  const watch = await watchPair(lab, NAMESPACE, NAME);

  const order = async (): Promise<void> => {
    const requestedAt = new Date().toISOString().replace(/\.\d+/, '');
    const spec = { failback: { requestedAt } };
    const what = ['patch', 'hap', NAME, '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ spec })];
    await lab.kubectl(what);
  };

  const settled = async (node?: LabInstance): Promise<string> => {
    const { master } = await watch.until(
      `The pair should settle${node === undefined ? '' : ` on ${node.name}`}`,
      ({ master, holder, ready, redundant }) =>
        master !== '' &&
        master === (node?.name ?? master) &&
        master === holder &&
        ready === 'True' &&
        redundant === 'True',
      PATIENCE_MS,
    );
    return master;
  };

  const hapair: Contender = {
    name: 'hapair',
    pair,
    accessKeyID: ACCESS_KEYS.operator.id,
    start: async () => {
      await lab.kubectl(['apply', '-f', '-'], await readFile(MANIFEST, 'utf8'));
      await hapair.bring(0);
    },
    bring: async (place) => {
      await startAgents(harness);
      const wanted = pair.nodes[place];
      if ((await settled()) !== wanted.name) {
        if (place === 0) await order();
        else {
          await hapair.stop();
          await product.startAgent(first.name);
        }
        await settled(wanted);
      }
      await untilServing(harness, pair, wanted);
      await settled(wanted);
    },
    stop: async () => {
      const agent = await lab.node(first.name).service('agent');
      if (agent === undefined) throw new Error(`The agent does not run on ${first.name}.`);
      await agent.kill('SIGTERM');
      await within(agent.exited, PATIENCE_MS, `The agent of ${first.name} did not end`);
    },
    failback: order,
    boot: async (sooner) => {
      await Promise.all(nodesFrom(pair, sooner).map(({ name }) => lab.node(name).start()));
    },
    // Level-triggered: it is never done. What it has begun, EC2's own log shows.
    idle: async (sinceID) => void (await untilAnswered(harness, hapair, sinceID)),
  };
  return hapair;
};

/** Boots instances that are off, which starts their agents, and starts agents that do not run. */
const startAgents = async ({ lab, product }: Harness): Promise<void> => {
  await Promise.all(
    pair.nodes.map(async ({ name }) => {
      const node = lab.node(name);
      const { running, services } = await node.state();
      if (!running) await node.start();
      else if (services.some((service) => service.name === 'agent' && service.pid === null))
        await product.startAgent(name);
    }),
  );
};
