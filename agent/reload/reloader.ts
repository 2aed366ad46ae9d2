/**
 * `hapair-agent reload` and SIGHUP: the agent is replaced in place by its program and configuration as they are on disk now.
 * Everything slow comes before the replacement: the new program is started beside the old one, once, just to see whether it
 * can read its configuration. If not, nothing has happened.
 */

import { execFile } from 'node:child_process';
import { setImmediate } from 'node:timers/promises';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import type { AgentConfig } from '../config.ts';
import type { Lock } from '../node/lock.ts';
import type { AgentHandover } from '../pair/handover.ts';
import { forkUnpreempted } from '../sys/libc.ts';
import { type Handover, type Program, replaceProgram } from './record.ts';

/** What `hapair-agent check -o json` says of a configuration it can start with. */
export type CheckedConfig = Pick<AgentConfig, 'nodeName' | 'stateDir' | 'namespaces'> & { version: string };

/** A busy machine may take its time to load a program. */
const CHECK_MS = 30_000;
const OUTPUT_BYTES = 64 * 1024;
/** Of what was said instead of an answer. */
const KEPT_CHARACTERS = 200;

/**
 * Whether the program could start with its configuration, by its own word.
 * @param args of the check, as `thisProgram` has them of the run
 * @throws Error with what it said instead
 */
export const runCheck = async (check: Program): Promise<CheckedConfig> => {
  const said = await outputOf(check);
  try {
    return JSON.parse(said);
  } catch (error) {
    throw new Error(`the program's check does not answer in JSON: ${said.slice(0, KEPT_CHARACTERS).trim()}`, {
      cause: error,
    });
  }
};

const outputOf = ({ file, args, env }: Program): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = {
      env,
      timeout: CHECK_MS,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES,
    };
    forkUnpreempted(() =>
      execFile(file, args, options, (error, stdout, stderr) => {
        const said = stderr.trim();
        if (error?.killed === true) reject(new Error(`the program did not start within ${CHECK_MS} ms`));
        else if (error !== null)
          reject(new Error(said === '' ? error.message : said.replace(/^hapair-agent: /, '')));
        else resolve(stdout);
      }),
    );
  });

/** What a reload needs. */
export type ReloadOptions = {
  /** The configuration in force. */
  config: Pick<AgentConfig, 'nodeName' | 'stateDir'>;
  agent: {
    handOver(): Promise<AgentHandover>;
    /** Namespaces of the pairs that run here. */
    namespacesInUse(): readonly string[];
  };
  lock: Lock;
  /** The program to go on with, and its check. */
  program: Program;
  check: Program;
  /** Of the record that the successor gets. */
  life: Pick<Handover, 'reloads' | 'startedAtMs' | 'identity'>;
  /** The agent is being stopped: it is not to be replaced any more. */
  isStopping: () => boolean;
  log: Log;
  /** Resolves when what was logged is written: the replacement would lose it. */
  logged: () => Promise<void>;
};

export type Reloader = {
  /** Whether the new program can start with the new configuration. @returns why not; then all is as before */
  prepare(): Promise<string | null>;
  /** Replaces the program, if `prepare` had no objection. Returns only if that fails: then all is as before. */
  replace(): Promise<void>;
  /** Why the last replacement failed; null: none did. */
  readonly failure: string | null;
};

export const createReloader = (options: ReloadOptions): Reloader => {
  const { config, agent, lock, program, check, life, isStopping, log, logged } = options;
  let isBusy = false;
  let failure: string | null = null;

  const refuse = (refused: string): string => {
    isBusy = false;
    log.error({ reason: 'ReloadRefused', err: refused }, 'reload refused; the agent goes on as it was');
    return refused;
  };
  return {
    get failure() {
      return failure;
    },
    async prepare() {
      if (isStopping()) return 'the agent is stopping';
      if (isBusy) return 'another reload is under way';
      isBusy = true;
      try {
        const checked = await runCheck(check);
        const changed = (['nodeName', 'stateDir'] as const).find((field) => checked[field] !== config[field]);
        const unserved = agent.namespacesInUse().filter((name) => !checked.namespaces.includes(name));
        if (unserved.length > 0) return refuse(stillServed(unserved, config.nodeName));
        if (changed === undefined) return null;
        const { [changed]: before } = config;
        return refuse(
          `${changed}: changed from ${before} to ${checked[changed]}, which makes it another agent; restart it instead`,
        );
      } catch (error) {
        return refuse(messageOf(error));
      }
    },
    async replace() {
      try {
        log.info({ reason: 'AgentReloaded' }, 'the program is replaced in place');
        await logged();
        const handover = await agent.handOver();
        await signalsHeard();
        if (isStopping()) return;
        replaceProgram(program, { ...handover, ...life, reloads: life.reloads + 1 }, lock);
      } catch (error) {
        failure = messageOf(error);
        refuse(failure);
      }
    },
  };
};

/** Its pairs would end without a report, and their peers would not know. */
const stillServed = (namespaces: readonly string[], nodeName: string): string =>
  `namespaces: ${namespaces.join(', ')} is missing, and HAPairs of it run here; delete them or take ${nodeName} out of their spec.nodes first, or restart the agent to give them up at once`;

/**
 * A signal that has come is heard when the event loop has polled next; the new program would know nothing of it. The first turn
 * may end a poll that is over.
 */
const signalsHeard = async (): Promise<void> => {
  for (let turn = 0; turn < 2; turn++) await setImmediate();
};
