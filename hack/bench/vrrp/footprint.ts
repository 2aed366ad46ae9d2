/** What an agent's process takes of its machine, from the kernel's own figures. Pure. */

/** Where resident memory lies, in MB. */
export type Parts = {
  /** Node's program and its data: shared with every other Node process on the machine. */
  node: number;
  /** Shared libraries, koffi's binary among them. */
  libraries: number;
  /** What C and C++ have allocated. */
  malloc: number;
  /** Everything else: the heaps of both threads with their code, buffers and stacks. */
  heaps: number;
};

/** One reading of a process. */
export type Sample = {
  /** Milliseconds, of one clock for all samples. */
  atMs: number;
  rssMB: number;
  /** Processor seconds so far, its own. */
  cpuSeconds: number;
  /** Processor seconds so far of the programs it ran and has seen the end of: `ip`. */
  childCPUSeconds: number;
};

const KB_PER_MB = 1024;
/** The kernel's USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Sums up `/proc/<pid>/smaps`. */
export const partsOf = (smaps: string): Parts => {
  const parts: Parts = { node: 0, libraries: 0, malloc: 0, heaps: 0 };
  let part: keyof Parts = 'heaps';
  for (const line of smaps.split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)$/.exec(line);
    if (mapping !== null) part = partOf(mapping[1] ?? '');
    const resident = /^Rss:\s+(\d+) kB/.exec(line);
    if (resident !== null) parts[part] += Number(resident[1]) / KB_PER_MB;
  }
  return parts;
};

const partOf = (name: string): keyof Parts => {
  if (name.startsWith('[heap]')) return 'malloc';
  if (!name.startsWith('/')) return 'heaps';
  return name.endsWith('/node') ? 'node' : 'libraries';
};

/**
 * Reads `/proc/<pid>/stat` and `/proc/<pid>/status`.
 * @throws Error when the status names no resident memory: the process has ended.
 */
export const sampleOf = (atMs: number, stat: string, status: string): Sample => {
  const rssKB = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  if (rssKB === undefined) throw new Error('the process has ended');
  // The name in parentheses may hold spaces; after it utime, stime, cutime and cstime are the fields 12 to 15.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const seconds = (index: number): number =>
    ((fields[index] ?? 0) + (fields[index + 1] ?? 0)) / TICKS_PER_SECOND;
  return {
    atMs,
    rssMB: Number(rssKB) / KB_PER_MB,
    cpuSeconds: seconds(11),
    childCPUSeconds: seconds(13),
  };
};

/** What the samples say together. */
export type Footprint = {
  /** MB, over all samples. */
  rss: { median: number; max: number };
  /**
   * MB an hour: the line that fits the later half of the samples best, and its standard error. The first half fills caches and
   * stretches heaps to their working size.
   */
  growth: { perHour: number; error: number };
  /** Percent of one processor between the first sample and the last: the process, and the programs it ran. */
  cpu: { own: number; children: number };
};

/** @throws RangeError for fewer than six samples: half of them show no growth. */
export const footprintOf = (samples: readonly Sample[]): Footprint => {
  const [first] = samples;
  const last = samples.at(-1);
  if (samples.length < 6 || first === undefined || last === undefined)
    throw new RangeError(`${samples.length} samples show no growth; at least 6 do`);
  const seconds = (last.atMs - first.atMs) / 1000;
  const percent = (from: number, to: number): number => (100 * (to - from)) / seconds;
  const sizes = samples.map(({ rssMB }) => rssMB).sort((a, b) => a - b);
  return {
    rss: { median: sizes[Math.floor(sizes.length / 2)] ?? 0, max: sizes.at(-1) ?? 0 },
    growth: growthOf(samples.slice(Math.floor(samples.length / 2))),
    cpu: {
      own: percent(first.cpuSeconds, last.cpuSeconds),
      children: percent(first.childCPUSeconds, last.childCPUSeconds),
    },
  };
};

const MS_PER_HOUR = 3_600_000;

/** Ordinary least squares of memory over time. */
const growthOf = (samples: readonly Sample[]): Footprint['growth'] => {
  const count = samples.length;
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / count;
  const meanMs = mean(samples.map(({ atMs }) => atMs));
  const meanMB = mean(samples.map(({ rssMB }) => rssMB));
  const sum = (term: (sample: Sample) => number): number =>
    samples.reduce((total, sample) => total + term(sample), 0);
  const spread = sum(({ atMs }) => (atMs - meanMs) ** 2);
  const slope = sum(({ atMs, rssMB }) => (atMs - meanMs) * (rssMB - meanMB)) / spread;
  const rest = sum(({ atMs, rssMB }) => (rssMB - meanMB - slope * (atMs - meanMs)) ** 2);
  return { perHour: slope * MS_PER_HOUR, error: Math.sqrt(rest / (count - 2) / spread) * MS_PER_HOUR };
};
