/** What is read off a process, the API server and a log. */
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseMicroTimeMs } from '../../../runtime/time.ts';

/** Processor seconds of a process so far, and its memory. */
export type Usage = { cpuSeconds: number; rssMB: number; peakRSSMB: number };

/** The kernel's USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

type Stat = { name: string; parent: number; cpuSeconds: number };

/** @returns nothing when the process is gone */
const statOf = (pid: number): Stat | undefined => {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it ended after it was listed
  }
  // The name in parentheses may hold spaces; after it the 2nd field is the parent, the 12th and 13th are utime and stime.
  const [open, close] = [text.indexOf('('), text.lastIndexOf(')')];
  const fields = text.slice(close + 2).split(' ');
  return {
    name: text.slice(open + 1, close),
    parent: Number(fields[1]),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  };
};

/** @throws Error when the process is gone. */
export const usageOf = (pid: number): Usage => {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`There is no process ${pid}.`);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024;
  return {
    cpuSeconds: stat.cpuSeconds,
    rssMB: megabytes('VmRSS'),
    peakRSSMB: megabytes('VmHWM'),
  };
};

/** Processor seconds so far of this process and of its children, by name; a Node process by its pid too, as `node PID` */
export const familyCPUSeconds = (): Record<string, number> => {
  const sums: Record<string, number> = {};
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = statOf(Number(entry));
    if (stat === undefined) continue;
    if (Number(entry) !== process.pid && stat.parent !== process.pid) continue;
    const name =
      Number(entry) === process.pid
        ? 'benchmark'
        : /^(node|MainThread)$/.test(stat.name)
          ? `node ${entry}`
          : stat.name;
    sums[name] = (sums[name] ?? 0) + stat.cpuSeconds;
  }
  return sums;
};

/** A write as the audit log has it. */
export type Write = { user: string; verb: string; resource: string; status: number };

type AuditLine = {
  user?: { username?: string };
  verb?: string;
  objectRef?: { resource?: string; subresource?: string };
  responseStatus?: { code?: number };
  stageTimestamp?: string;
};

/** A file's time comes from the kernel's coarse clock. */
const COARSE_MS = 1_000;

/** Every write that the API server finished between two Unix times in milliseconds; rotated logs are read too. */
export const writesBetween = async (dir: string, fromMs: number, toMs: number): Promise<Write[]> => {
  const files = readdirSync(dir).filter(
    (name) => /^audit.*\.log$/.test(name) && statSync(join(dir, name)).mtimeMs >= fromMs - COARSE_MS,
  );
  const writes: Write[] = [];
  for (const file of files) {
    const lines = createInterface({ input: createReadStream(join(dir, file)) });
    for await (const line of lines) {
      const { user, verb, objectRef, responseStatus, stageTimestamp } = JSON.parse(line) as AuditLine;
      const atMs = Date.parse(stageTimestamp ?? '');
      if (!(atMs >= fromMs && atMs < toMs)) continue;
      const { resource = '', subresource } = objectRef ?? {};
      writes.push({
        user: user?.username ?? '',
        verb: verb ?? '',
        resource: subresource === undefined ? resource : `${resource}/${subresource}`,
        status: responseStatus?.code ?? 0,
      });
    }
  }
  return writes;
};

/** How often each text occurs, the most frequent first. */
export const tally = (texts: Iterable<string>): Record<string, number> => {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
};

/** `apiserver_request_total` by `VERB resource`, over all codes and versions. */
export const requestTotals = (metrics: string): Map<string, number> => {
  const totals = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    const match = /^apiserver_request_total\{(.*)\} (\S+)$/.exec(line);
    if (!match) continue;
    const label = (name: string): string =>
      new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(match[1] ?? '')?.[1] ?? '';
    const subresource = label('subresource');
    const name = `${label('verb')} ${label('resource')}${subresource === '' ? '' : `/${subresource}`}`;
    totals.set(name, (totals.get(name) ?? 0) + Number(match[2]));
  }
  return totals;
};

/** The least time in which a token bucket can grant `calls`: its capacity at once, the rest as it refills. */
export const bucketBoundMs = (calls: number, capacity: number, refillPerSecond: number): number =>
  (Math.max(0, calls - capacity) / refillPerSecond) * 1000;

/** When the operator read each report of a new master, Unix milliseconds by `namespace/name term`. */
export const reportsRead = async (logFile: string): Promise<Map<string, number>> => {
  const read = new Map<string, number>();
  for await (const line of createInterface({ input: createReadStream(logFile) })) {
    if (!line.includes('"reason":"Elected"')) continue;
    const { pair, term, readAt } = JSON.parse(line) as { pair: string; term: number; readAt?: string };
    if (readAt !== undefined) read.set(`${pair} ${term}`, parseMicroTimeMs(readAt));
  }
  return read;
};

/** The messages of a log of JSON lines, each with its reason; what is a warning or worse says so. */
export const messagesOf = async (file: string): Promise<string[]> => {
  const texts: string[] = [];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (!line.startsWith('{')) continue;
    const { msg, reason, level } = JSON.parse(line) as { msg?: string; reason?: string; level?: number };
    texts.push(`${(level ?? 0) >= WARN ? 'WARN ' : ''}${msg}${reason === undefined ? '' : ` (${reason})`}`);
  }
  return texts;
};

/** pino's number for warnings. */
const WARN = 40;
