/**
 * The bundled agents with their two capabilities alone, as the chart and its API server know them; and what a person reads
 * when an agent was given less.
 */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { bundleAgent } from '../../hack/build/bundle.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import {
  backup,
  eventually,
  failOver,
  instanceOf,
  masterOf,
  otherNode,
  quickPair,
  storyOf,
} from './support.ts';

const BUNDLE = join(import.meta.dirname, '..', '..', '.lab', 'test-privilege-agent');

/** Nobody in the lab's world is an ordinary user, but root without its capabilities is none either. */
const only = (capabilities: string, program: readonly string[]): string[] => {
  const bounds = [`--bounding-set=-all,${capabilities}`, `--inh-caps=-all,${capabilities}`];
  return ['setpriv', ...bounds, '--no-new-privs', ...program];
};

const program = await bundleAgent(BUNDLE);
const { row, run } = storyOf('privilege', quickPair, {
  product: { agentProgram: only('+net_raw,+net_admin', program) },
});

/** Starts the standby's agent anew with these capabilities. */
const restart = async (stage: Stage, node: string, capabilities: string): Promise<void> => {
  const { dir, killService, setService, startService } = stage.lab.node(node);
  await killService('agent', 'SIGTERM');
  await stage.gone(node, 'agent');
  const argv = [...only(capabilities, program), '--config', join(dir, 'agent.yaml')];
  await setService({ name: 'agent', argv });
  await startService('agent');
};

const readySays = (stage: Stage, node: string, wanted: RegExp): Promise<true> =>
  eventually(`Ready of ${node} should say ${wanted}`, async () => {
    const ready = (await instanceOf(stage, node))?.status?.conditions?.find(({ type }) => type === 'Ready');
    return wanted.test(`${ready?.status} ${ready?.reason} ${ready?.message}`) ? true : undefined;
  });

row('two capabilities are enough: a failover, and back', async (stage) => {
  const first = await masterOf(stage);
  assert.is(await failOver(stage), otherNode(first));
  assert.is(await failOver(stage), first);
});

const LACKS: [capabilities: string, message: RegExp][] = [
  ['+net_admin', /^False InstanceFaulty open a raw socket of IP protocol 112: EPERM .*grant CAP_NET_RAW/],
  ['+net_raw', /^False InstanceFaulty the agent lacks CAP_NET_ADMIN.*AmbientCapabilities/],
];

for (const [capabilities, message] of LACKS) {
  row(
    `with ${capabilities} alone the standby says what it lacks, and is well when it has it`,
    async (stage) => {
      const standby = otherNode(await masterOf(stage));
      await restart(stage, standby, capabilities);
      await readySays(stage, standby, message);
      await stage.pair.until(
        'the standby should not count',
        ({ redundant }) => redundant === 'False',
        30_000,
      );
      await restart(stage, standby, '+net_raw,+net_admin');
      await backup(stage, standby);
      await readySays(stage, standby, /^True InstanceConfigured/);
    },
  );
}

run();
