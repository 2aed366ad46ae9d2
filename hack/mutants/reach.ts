/** What a piece of a test run reaches in the hearts, by V8's own counters. */
import { type Profiler, Session } from 'node:inspector/promises';
import { pathOf } from '../plant/plant.ts';

/** Stretches of a file that ran, each from an offset to another, in order and apart. */
export type Stretches = readonly (readonly [from: number, to: number])[];

/** By file. */
export type Reach = Readonly<Record<string, Stretches>>;

/** Ranges lie within each other, and the innermost says whether its part ran. */
export const stretchesOf = (functions: readonly Profiler.FunctionCoverage[]): Stretches => {
  const ranges = functions
    .flatMap((each) => each.ranges)
    .sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  const stretches: [number, number][] = [];
  const open: Profiler.CoverageRange[] = [];
  let at = 0;
  const advance = (to: number): void => {
    const last = stretches.at(-1);
    if (to > at && (open.at(-1)?.count ?? 0) > 0) {
      if (last?.[1] === at) last[1] = to;
      else stretches.push([at, to]);
    }
    at = Math.max(at, to);
  };
  const close = (before: number): void => {
    for (let inner = open.at(-1); inner && inner.endOffset <= before; inner = open.at(-1)) {
      advance(inner.endOffset);
      open.pop();
    }
  };
  for (const range of ranges) {
    close(range.startOffset);
    advance(range.startOffset);
    open.push(range);
  }
  close(Number.POSITIVE_INFINITY);
  return stretches;
};

export const reaches = (reach: Reach, file: string, offset: number): boolean =>
  reach[file]?.some(([from, to]) => from <= offset && offset < to) ?? false;

/** Counts from its start; each reading tells what ran since the one before. */
export class Counters {
  readonly #session = new Session();
  readonly #hearts: ReadonlySet<string>;
  /** Every file of the repository that was loaded. */
  readonly loaded = new Set<string>();

  constructor(hearts: readonly string[]) {
    this.#hearts = new Set(hearts);
  }

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  async read(): Promise<Reach> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    const reach: Record<string, Stretches> = {};
    for (const { url, functions } of result) {
      if (!url.startsWith('file://')) continue;
      const file = pathOf(url);
      if (file.startsWith('..') || file.startsWith('node_modules/')) continue;
      this.loaded.add(file);
      if (this.#hearts.has(file)) reach[file] = stretchesOf(functions);
    }
    return reach;
  }
}
