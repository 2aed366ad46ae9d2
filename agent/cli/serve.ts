/** The running agent: logger, lock, local socket and signals; the rest is agent.ts. */
import { flushCompileCache } from 'node:module';
import type { Logger } from 'pino';
import packageJSON from '../../package.json' with { type: 'json' };
import { systemClock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { type LogOutput, openLogOutput } from '../../runtime/log-output.ts';
import { createLogger, type LoggerOptions } from '../../runtime/logger.ts';
import { formatMicroTime, formatTime } from '../../runtime/time.ts';
import type { Agent } from '../agent.ts';
import type { AgentConfig } from '../config.ts';
import { type ControlHandlers, openControl } from '../control.ts';
import { endOrphans } from '../node/children.ts';
import { holderIdentity } from '../node/identity.ts';
import { inheritLock, type Lock, lockDirectory } from '../node/lock.ts';
import type { StartWorker } from '../reload/early-worker.ts';
import { type Handover, thisProgram } from '../reload/record.ts';
import { createReloader, type Reloader } from '../reload/reloader.ts';
import { startAgent } from '../start.ts';
import { readConfig } from './config.ts';
import type { Signals } from './signals.ts';
import { EXIT, refuse } from './usage.ts';

export type ServeOptions = {
  configPath: string;
  signals: Signals;
  /** A program that this one has replaced in place may have left children. */
  isSuccessor: boolean;
  /** Of that program; null: there was none, or it is not understood. */
  handover: Handover | null;
  /** The worker that runs already. */
  startWorker?: StartWorker | undefined;
};

const { version } = packageJSON;

/** Whoever reads the log may have stopped to. */
const LOGGED_MS = 500;

/** Runs the agent and ends the process with it. */
export const serve = async ({
  configPath,
  signals,
  isSuccessor,
  handover,
  startWorker,
}: ServeOptions): Promise<void> => {
  const { config, socket } = readConfig(configPath);
  const output = openLogOutput();
  const log = openLog({ level: config.logLevel, base: { node: config.nodeName } }, output);
  if (isSuccessor) endOrphans(systemClock);
  const lock = takeLock(config, handover);
  const life = {
    reloads: handover?.reloads ?? 0,
    startedAtMs: handover?.startedAtMs ?? systemClock.wall(),
    identity: holderIdentity(config.stateDir, config.nodeName, log, handover?.identity),
  };

  try {
    const start = { holderIdentity: life.identity, startWorker, handover: handover ?? undefined };
    const starting = startAgent(config, version, log, start);
    // Until it has started nothing is served, and nobody need be told of the end, unless the worker runs already.
    const agent = await (handover === null ? Promise.race([starting, signals.stopped]) : starting);
    if (agent === 'signal') process.exit(EXIT.done);
    const reloader = createReloader({
      config,
      agent,
      lock,
      program: thisProgram(),
      check: checkProgram(configPath),
      life,
      isStopping: signals.isStopping,
      log,
      logged: () => output.written(systemClock, LOGGED_MS),
    });
    const control = await openControl(socket, handlersOf(agent, reloader, config, life), log).catch(
      (error: Error) =>
        log.error(
          { reason: 'LocalSocketFailed', err: error.message },
          'no local socket: status, claim and reload do not work',
        ),
    );
    signals.onHangUp(() => void hangUp(reloader));
    const reason = handover === null ? 'AgentStarted' : 'AgentReloaded';
    const startedAt = formatMicroTime(life.startedAtMs);
    const { reloads, identity } = life;
    log.info({ reason, version, pid: process.pid, reloads, startedAt, identity }, 'agent started');
    // Node writes what it compiled (NODE_COMPILE_CACHE) at a regular end, which a reload in place is not. Without a cache: nothing.
    flushCompileCache();

    const cause = await Promise.race([signals.stopped, agent.failed]);
    if (cause !== 'signal') throw cause;
    await agent.stop();
    control?.close();
    process.exit(EXIT.done);
  } catch (error) {
    log.fatal({ reason: 'AgentFailed', err: messageOf(error) }, 'agent failed');
    process.exit(EXIT.failed);
  }
};

const openLog = (options: LoggerOptions, output: LogOutput): Logger => {
  try {
    return createLogger(options, output);
  } catch (error) {
    return refuse(EXIT.usage, messageOf(error));
  }
};

const takeLock = ({ stateDir }: AgentConfig, handover: Handover | null): Lock => {
  try {
    return handover === null ? lockDirectory(stateDir) : inheritLock(handover.lockFd);
  } catch (error) {
    return refuse(EXIT.failed, messageOf(error));
  }
};

/** The same program, asked only whether it could start. */
const checkProgram = (configPath: string) => {
  const { file, env } = thisProgram();
  const [main = ''] = process.argv.slice(1);
  const args = [...process.execArgv, main, 'check', '--config', configPath, '-o', 'json'];
  return { file, args, env };
};

const hangUp = async ({ prepare, replace }: Reloader): Promise<void> => {
  if ((await prepare()) === null) await replace();
};

const handlersOf = (
  agent: Agent,
  reloader: Reloader,
  { nodeName }: AgentConfig,
  { reloads, startedAtMs }: { reloads: number; startedAtMs: number },
): ControlHandlers => ({
  status: async () => ({
    ...{ nodeName, version, pid: process.pid, startedAt: formatTime(startedAtMs), reloads },
    reloadFailure: reloader.failure,
    ...(await agent.view()),
  }),
  claim: (pair) => agent.claimByHand(pair),
  reload: reloader,
});
