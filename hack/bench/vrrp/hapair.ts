/** hapair's ends: the agent's VRRP worker in a process for each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AGENT_FLAGS } from '../../build/bundle.ts';
import type { Contender } from './contender.ts';
import { startProgram } from './program.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

/** @param dir for the logs. */
export const createHapair = (dir: string): Contender => {
  const { version }: { version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return {
    name: 'hapair',
    version: `hapair ${version} (Node ${process.version})`,
    start: async (order) => {
      const { namespace } = order.site.ends[order.place];
      const end = startProgram({
        name: `hapair of ${namespace}`,
        namespace,
        argv: [process.execPath, ...AGENT_FLAGS, join(import.meta.dirname, 'end.ts'), JSON.stringify(order)],
        logFile: join(dir, `${namespace}-hapair.log`),
      });
      await end.says(/"state":"Backup"/);
      const { pid, hasEnded, ended } = end;
      return { pid, hasEnded, ended, crash: () => end.kill('SIGKILL'), stop: () => end.endInput() };
    },
  };
};
