/** What an agent has written: for facts that no report shows, or that none can show while the API server is away. */
import { readFileSync } from 'node:fs';
import type { LogReason } from '../../crds/conditions.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import { eventually } from './support.ts';

/** One line of an agent's log. */
export type AgentLine = {
  /** RFC 3339, with microseconds. */
  time: string;
  msg: string;
  reason?: string;
  /** The VRRP state that was entered. */
  entered?: string;
  cause?: string;
  /** When what is told happened, where that is not `time`; as `time`. */
  at?: string;
  pid?: number;
  err?: string;
};

/** Every line so far, those of earlier processes too; a line under way is left out. */
export const agentLog = ({ lab }: Stage, node: string): AgentLine[] =>
  readFileSync(lab.node(node).logOf('agent'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

/** Waits for a line with the reason `wanted`, after the first `since` lines; default patience: that of `eventually`. */
export const agentSays = (
  stage: Stage,
  node: string,
  since: number,
  wanted: LogReason,
  timeoutMs?: number,
): Promise<AgentLine> =>
  eventually(
    `${node}'s agent should say: ${wanted}`,
    async () =>
      agentLog(stage, node)
        .slice(since)
        .find(({ reason }) => reason === wanted),
    timeoutMs,
  );

/** The VRRP state that the line says was entered; undefined: it says something else. */
export const enteredState = ({ entered }: AgentLine): string | undefined => entered;

/** Waits until the agent enters a VRRP state, after the first `since` lines. */
export const agentEnters = (stage: Stage, node: string, since: number, state: string): Promise<AgentLine> =>
  eventually(`${node} should become ${state}`, async () =>
    agentLog(stage, node)
      .slice(since)
      .find((line) => enteredState(line) === state),
  );

/** How often it has claimed after the first `since` lines. */
export const claims = (stage: Stage, node: string, since: number): number =>
  agentLog(stage, node)
    .slice(since)
    .filter((line) => enteredState(line) === 'Master').length;
