/** What the tests of the agent's own life share: its commands on a node, and what must not change. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { AgentStatus } from '../../agent/control.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import type { ExecResult } from '../../hack/lab/rpc.ts';
import { eventually, instanceOf, lastCallID, masterOf, mutatingCalls, otherNode } from './support.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** The program of the checkout. */
export const MAIN = join(ROOT, 'agent', 'main.ts');

/** Loading the program takes a second, and a busy machine takes its time. */
const COMMAND_MS = 60_000;

export const configOf = (stage: Stage, node: string): string => join(stage.lab.node(node).dir, 'agent.yaml');

/** Runs `hapair-agent ARGS` on a node, with the configuration of its own agent unless one is named. */
export const hapairAgent = (
  stage: Stage,
  node: string,
  args: readonly string[],
  config = configOf(stage, node),
): Promise<ExecResult> =>
  stage.lab.node(node).exec([process.execPath, MAIN, ...args, '--config', config], { timeoutMs: COMMAND_MS });

/** `hapair-agent status -o json` of a node whose agent runs. */
export async function statusOf(stage: Stage, node: string): Promise<AgentStatus> {
  const { code, stdout, stderr } = await hapairAgent(stage, node, ['status', '-o', 'json']);
  assert.is(code, 0, stderr);
  return JSON.parse(stdout) as AgentStatus;
}

/** The state, term and instant that both nodes have reported, and EC2's newest call. */
export const standing = async (stage: Stage) => {
  const master = await masterOf(stage);
  const sides = await Promise.all(
    [master, otherNode(master)].map(async (node) => {
      const { state, term, since } = (await instanceOf(stage, node))?.status ?? {};
      return `${node} ${state} ${term} ${since}`;
    }),
  );
  return { sides, callID: await lastCallID(stage), adverts: stage.adverts.length };
};

/**
 * Since then nobody left his state, nobody resigned or advertised who is not Master, and EC2 was not called.
 * @param adverts waits until the master has sent so many since; default 3
 */
export async function assertUnmoved(
  stage: Stage,
  before: Awaited<ReturnType<typeof standing>>,
  adverts = 3,
): Promise<void> {
  const { address } = stage.lab.node(await masterOf(stage)).instance;
  const sinceThen = () => stage.adverts.slice(before.adverts);
  await eventually('The master should advertise', async () =>
    sinceThen().filter(({ source }) => source === address).length >= adverts ? true : undefined,
  );
  assert.equal(
    sinceThen().filter(({ source, priority }) => source !== address || priority === 0),
    [],
    'only the master advertises, and does not resign',
  );
  assert.equal((await standing(stage)).sides, before.sides, 'nobody left his state');
  assert.equal(await mutatingCalls(stage, before.callID), []);
}
