/** `hapair-agent status`: the running agent's own word; of one that does not run, what its disk holds. */

import { messageOf } from '../../runtime/error-text.ts';
import type { AgentStatus } from '../control.ts';
import { readRecords } from '../node/disk.ts';
import { ask, NotRunning } from './ask.ts';
import { readConfig } from './config.ts';
import { diskText, statusText } from './status-text.ts';
import { EXIT } from './usage.ts';

const STATUS_MS = 5_000;

/** @returns the exit code */
export const status = async (configPath: string, asJSON: boolean): Promise<number> => {
  const { config, socket } = readConfig(configPath);
  const print = (value: object, text: string): void =>
    void process.stdout.write(asJSON ? `${JSON.stringify(value, undefined, 2)}\n` : text);
  try {
    const agent = await ask<AgentStatus>(socket, 'GET /v1/status', STATUS_MS);
    print({ running: true, ...agent }, statusText(agent));
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof NotRunning)) return fail(error);
  }
  try {
    const files = readRecords(config.stateDir);
    print(
      { running: false, nodeName: config.nodeName, files: files.map(withoutSecrets) },
      diskText(config, files),
    );
    return EXIT.notRunning;
  } catch (error) {
    return fail(error);
  }
};

const fail = (error: unknown): number => {
  process.stderr.write(`hapair-agent: status: ${messageOf(error)}\n`);
  return EXIT.failed;
};

/** What is shown gets copied into tickets. */
const withoutSecrets = (file: ReturnType<typeof readRecords>[number]) =>
  'record' in file
    ? { ...file, record: { ...file.record, secrets: file.record.secrets.map(({ ref }) => ({ ref })) } }
    : file;
