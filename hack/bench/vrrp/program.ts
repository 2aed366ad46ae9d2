/** Programs of the world: started in a namespace, followed line by line, ended with it; and what they cost. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { within } from '../../lab/handles.ts';
import { signalProcess } from '../../lab/processes.ts';

const START_MS = 20_000;
/** For whoever asks late, and for error messages. */
const LINES_KEPT = 50;

/** A program to start. */
export type ProgramSpec = {
  /** For error messages and the log's name. */
  name: string;
  /** Network namespace; default: the world's own, where the switches are. */
  namespace?: string;
  argv: readonly string[];
  /** Gets all it says. */
  logFile?: string;
  onLine?: (line: string) => void;
};

/** A running program. */
export type Program = {
  pid: number;
  hasEnded(): boolean;
  /** Resolves when it has ended and all it said was heard. */
  ended: Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Ends its stdin. */
  endInput(): void;
  /** Resolves with the first line, heard from now on or before, that matches. @throws Error when it does not come in time. */
  says(words: RegExp): Promise<string>;
};

/** Starts a program; it takes the place of `ip netns exec`, so the PID is its own. */
export const startProgram = ({ name, namespace, argv, logFile, onLine }: ProgramSpec): Program => {
  const [file = '', ...args] = namespace === undefined ? argv : ['ip', 'netns', 'exec', namespace, ...argv];
  const child: ChildProcess = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const log = logFile === undefined ? undefined : createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  const awaited = new Set<{ words: RegExp; resolve: (line: string) => void }>();
  const heard: string[] = [];
  let hasEnded = false;
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log?.write(`${line}\n`);
      onLine?.(line);
      heard.push(line);
      if (heard.length > LINES_KEPT) heard.shift();
      for (const wait of awaited) if (wait.words.test(line)) wait.resolve(line);
    });
  }
  child.stdin?.on('error', () => undefined); // it ended by itself: its exit tells
  child.on('error', (error) => log?.write(`${error.message}\n`));
  const ended = once(child, 'close').then(() => {
    hasEnded = true;
    log?.end();
  });
  return {
    pid: child.pid ?? 0,
    hasEnded: () => hasEnded,
    ended,
    kill: (signal) => void child.kill(signal),
    endInput: () => void child.stdin?.end(),
    says: async (words) => {
      const before = heard.find((line) => words.test(line));
      if (before !== undefined) return before;
      const answer = Promise.withResolvers<string>();
      const wait = { words, resolve: answer.resolve };
      awaited.add(wait);
      try {
        const early = ended.then(() => {
          throw new Error(`${name} ended before it said ${words}: ${heard.slice(-3).join('; ')}`);
        });
        return await within(Promise.race([answer.promise, early]), START_MS, `${name} did not say ${words}`);
      } finally {
        awaited.delete(wait);
      }
    },
  };
};

/** Fields of /proc/PID/stat after the name, which may hold anything. */
const statOf = (path: string): string[] => {
  try {
    const text = readFileSync(path, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return []; // it has ended
  }
};

/** Positions in {@link statOf}, which begins with the third field of proc(5). */
const FIELD = { parent: 1, times: [11, 12, 13, 14], policy: 38 } as const;
const TICKS_PER_SECOND = 100;
const SCHED_RR = 2;

/** The living children of a process. */
const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && statOf(`/proc/${entry}/stat`)[FIELD.parent] === String(pid))
    .map(Number);

/** Processor seconds so far of a process, its threads, its living children, and those of its own that have ended. */
export const cpuSecondsOf = (pid: number): number =>
  [pid, ...childrenOf(pid)].reduce((sum, each) => {
    const stat = statOf(`/proc/${each}/stat`);
    return sum + FIELD.times.reduce((ticks, field) => ticks + Number(stat[field] ?? 0), 0) / TICKS_PER_SECOND;
  }, 0);

/** Whether a thread of the process, or a child of it, has real-time scheduling. */
export const isRealtime = (pid: number): boolean =>
  [pid, ...childrenOf(pid)].some((each) =>
    readdirSync(`/proc/${each}/task`).some(
      (thread) => Number(statOf(`/proc/${each}/task/${thread}/stat`)[FIELD.policy]) === SCHED_RR,
    ),
  );

/** SIGKILL to a process and its children, the children first so that none outlives it. */
export const killTree = (pid: number): void => {
  for (const each of [...childrenOf(pid), pid]) signalProcess(each, 'SIGKILL');
};
