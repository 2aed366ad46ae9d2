/** `hapair-agent reload`: returns when the new program serves, so that a package or a service manager can wait for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../runtime/error-text.ts';
import type { AgentStatus, ReloadAnswer } from '../control.ts';
import { ask, NotRunning } from './ask.ts';
import { readConfig } from './config.ts';
import { EXIT } from './usage.ts';

const STATUS_MS = 5_000;
/** The agent tries the new program first. */
const RELOAD_MS = 45_000;
/** The new program loads, and serves. */
const BACK_MS = 30_000;
const POLL_MS = 50;

/** @returns the exit code */
export const reload = async (configPath: string): Promise<number> => {
  const { socket } = readConfig(configPath);
  try {
    const before = await ask<AgentStatus>(socket, 'GET /v1/status', STATUS_MS);
    const { refused } = await ask<ReloadAnswer>(socket, 'POST /v1/reload', RELOAD_MS);
    if (refused !== null) throw new Error(`refused: ${refused}`);
    const after = await successor(socket, before);
    const masters = after.pairs.filter(({ state }) => state === 'Master').map(({ pair }) => pair);
    process.stdout.write(
      `hapair-agent ${after.version} runs as pid ${after.pid}; Master of ${masters.join(', ') || 'nothing'}\n`,
    );
    return EXIT.done;
  } catch (error) {
    const message = messageOf(error);
    process.stderr.write(`hapair-agent: reload: ${message}\n`);
    return error instanceof NotRunning ? EXIT.notRunning : EXIT.failed;
  }
};

/** @throws Error when the old program goes on, another process has taken its place, or nobody answers in time */
const successor = async (socket: string, before: AgentStatus): Promise<AgentStatus> => {
  const deadline = performance.now() + BACK_MS;
  for (;;) {
    const now = await ask<AgentStatus>(socket, 'GET /v1/status', STATUS_MS).catch(() => undefined);
    if (now !== undefined && now.pid !== before.pid)
      throw new Error(`the agent has ended and was started again as pid ${now.pid}; see its log`);
    if (now !== undefined && now.reloads > before.reloads) return now;
    if (now !== undefined && now.reloadFailure !== before.reloadFailure)
      throw new Error(`the agent goes on as it was: ${now.reloadFailure}`);
    if (performance.now() > deadline)
      throw new Error(`the new program did not answer within ${BACK_MS} ms; see the agent's log`);
    await sleep(POLL_MS);
  }
};
