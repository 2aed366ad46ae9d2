/** `hapair-agent --config FILE`: flags, logger and signals; the rest is agent.ts. */
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { systemClock } from '../kube/clock.ts';
import packageJSON from '../package.json' with { type: 'json' };
import { startAgent } from './agent.ts';
import { type AgentConfig, ConfigError, loadConfig } from './config.ts';

const USAGE = 'usage: hapair-agent --config FILE';

/** Ends the process with a sentence for people, no stack trace. */
const refuse = (message: string): never => {
  process.stderr.write(`hapair-agent: ${message}\n`);
  process.exit(2);
};

const readConfig = (): AgentConfig => {
  try {
    const { values } = parseArgs({ options: { config: { type: 'string' } } });
    return values.config === undefined ? refuse(USAGE) : loadConfig(values.config);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return refuse(error instanceof ConfigError ? message : `${message}\n${USAGE}`);
  }
};

const config = readConfig();
const log = pino({
  level: config.logLevel ?? process.env.LOG_LEVEL ?? 'info',
  base: { node: config.nodeName },
  timestamp: () => `,"time":${systemClock.wall().toFixed(3)}`,
});

try {
  const agent = await startAgent(config, packageJSON.version, log);
  log.info({ reason: 'AgentStarted', version: packageJSON.version, pid: process.pid }, 'agent started');
  // Node writes what it compiled (NODE_COMPILE_CACHE) at a regular end, which a reload in place is not. Without a cache: nothing.
  flushCompileCache();

  const end = Promise.withResolvers<'signal'>();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.resolve('signal'));
  const cause = await Promise.race([end.promise, agent.failed]);
  if (cause !== 'signal') throw cause;
  await agent.stop();
  process.exit(0);
} catch (error) {
  log.fatal({ err: error instanceof Error ? error.message : String(error) }, 'agent failed');
  process.exit(1);
}
