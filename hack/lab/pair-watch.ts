/** A HAPair as `kubectl get --watch` shows it: one line per change, kept with the time at which it was seen. */
import { nowMs } from './clock.ts';
import { kubeEnvironment } from './environment.ts';
import type { LabProcess } from './handles.ts';
import { within } from './handles.ts';
import type { Lab } from './lab.ts';

/** What a person would look at. Absent fields are empty strings. */
export type PairView = {
  /** Unix milliseconds when kubectl printed it. */
  atMs: number;
  generation: string;
  observedGeneration: string;
  master: string;
  holder: string;
  standby: string;
  term: string;
  ready: string;
  readyReason: string;
  redundant: string;
  accepted: string;
  acceptedReason: string;
  failbackReason: string;
  deleting: string;
};

const condition = (type: string, field: string): string =>
  `{.status.conditions[?(@.type=="${type}")].${field}}`;
const FIELDS: readonly [Exclude<keyof PairView, 'atMs'>, string][] = [
  ['generation', '{.metadata.generation}'],
  ['observedGeneration', '{.status.observedGeneration}'],
  ['master', '{.status.master}'],
  ['holder', '{.status.holder}'],
  ['standby', '{.status.standby}'],
  ['term', '{.status.term}'],
  ['ready', condition('Ready', 'status')],
  ['readyReason', condition('Ready', 'reason')],
  ['redundant', condition('Redundant', 'status')],
  ['accepted', condition('Accepted', 'status')],
  ['acceptedReason', condition('Accepted', 'reason')],
  ['failbackReason', '{.status.failback.reason}'],
  ['deleting', '{.metadata.deletionTimestamp}'],
];

/** A running watch. */
export type PairWatch = {
  /** Every view so far, oldest first. */
  views: readonly PairView[];
  /** The newest view; undefined before the first. */
  latest(): PairView | undefined;
  /**
   * Waits for a view, the newest or a later one, that satisfies `wanted`.
   * @throws Error that names `what` and the newest view when none came in time.
   */
  until(what: string, wanted: (view: PairView) => boolean, timeoutMs: number): Promise<PairView>;
  stop(): Promise<void>;
};

/** The words of one line that `kubectl` prints for {@link FIELDS}. */
export const parseView = (line: string, atMs: number): PairView | undefined => {
  const words = line.split('|');
  if (words.length !== FIELDS.length) return undefined;
  const named = FIELDS.map(([name], i) => [name, words[i] ?? ''] as const);
  return { atMs, ...(Object.fromEntries(named) as Omit<PairView, 'atMs'>) };
};

/** Watches one HAPair with the real kubectl until `stop`. The HAPair need not exist yet. */
export const watchPair = async (lab: Lab, namespace: string, name: string): Promise<PairWatch> => {
  const views: PairView[] = [];
  const waiting = new Set<() => void>();
  const template = `${FIELDS.map(([, path]) => path).join('|')}{"\\n"}`;
  const onLine = (line: string): void => {
    const view = parseView(line, nowMs());
    if (view === undefined) return;
    views.push(view);
    for (const look of [...waiting]) look();
  };
  const process: LabProcess = await lab.spawn(
    {
      name: `watch-${name}`,
      where: 'world',
      // By field, not by name: a watch by name ends with an error while the object is not there.
      argv: [
        ...['kubectl', 'get', 'hapairs', '-n', namespace, '--field-selector', `metadata.name=${name}`],
        ...['--watch', '-o', `jsonpath=${template}`],
      ],
      env: kubeEnvironment(lab.dir, lab.insideKubeconfigPath),
    },
    { onLine },
  );
  const latest = (): PairView | undefined => views.at(-1);
  return {
    views,
    latest,
    until: async (what, wanted, timeoutMs) => {
      const found = Promise.withResolvers<PairView>();
      const look = (): void => {
        const view = latest();
        if (view !== undefined && wanted(view)) found.resolve(view);
      };
      waiting.add(look);
      look();
      try {
        return await within(found.promise, timeoutMs, what);
      } catch (error) {
        throw new Error(`${(error as Error).message} Last seen: ${JSON.stringify(latest() ?? 'nothing')}`);
      } finally {
        waiting.delete(look);
      }
    },
    stop: async () => void (await process.stop()),
  };
};
