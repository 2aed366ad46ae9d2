/** What a program logs with: lines of JSON, each with its time, on the standard output. */
import { type Logger, pino } from 'pino';
import { systemClock } from './clock.ts';
import type { LogOutput } from './log-output.ts';
import { formatMicroTime } from './time.ts';

export type LoggerOptions = {
  /** Default: the environment's LOG_LEVEL, else info. */
  level: string | undefined;
  /** Fields of every line. */
  base: object;
};

const LEVELS = [...Object.keys(pino.levels.values), 'silent'];

/** Makes the logger. @throws Error when there is no such level: a sentence for people */
export const createLogger = ({ level, base }: LoggerOptions, output: LogOutput): Logger => {
  const wanted = level ?? (process.env.LOG_LEVEL || 'info');
  if (!LEVELS.includes(wanted))
    throw new Error(`there is no log level ${JSON.stringify(wanted)}; there are ${LEVELS.join(', ')}`);
  const timestamp = (): string => `,"time":"${formatMicroTime(systemClock.wall())}"`;
  return pino({ level: wanted, base, timestamp }, output);
};
