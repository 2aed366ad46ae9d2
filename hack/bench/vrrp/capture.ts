/** The harness's side of the tap: every advert since the last forgetting, by pair. */
import { join } from 'node:path';
import type { Site } from './contender.ts';
import type { PairAdvert } from './measure.ts';
import { startProgram } from './program.ts';

/** The adverts that the tap has seen. */
export type Capture = {
  /** Of this pair, in the order in which they were sent. */
  adverts(site: Site): readonly PairAdvert[];
  /** Forgets all of them, or all of one pair. */
  forget(site?: Site): void;
  /** How many packets the kernel could not keep for the tap; figures are worth nothing unless it is 0. */
  dropped(): number;
};

/** Starts the tap, and resolves once it sees. */
export const startCapture = async (sites: readonly Site[]): Promise<Capture> => {
  const kept = new Map<number, PairAdvert[]>(sites.map(({ virtualRouterID }) => [virtualRouterID, []]));
  const places = new Map(
    sites.flatMap(({ ends }) => ends.map(({ address }, place) => [address, place === 0 ? 0 : 1] as const)),
  );
  let dropped = 0;
  const read = (line: string): void => {
    const [at = '', source = '', virtualRouterID, priority] = line.split(' ');
    if (at === 'dropped') dropped += Number(source);
    const from = places.get(source);
    if (from === undefined) return;
    kept.get(Number(virtualRouterID))?.push({ atMs: Number(at), from, priority: Number(priority) });
  };
  const argv = [process.execPath, join(import.meta.dirname, 'tap.ts')];
  const tap = startProgram({ name: 'tap', argv, onLine: read });
  await tap.says(/^ready$/);
  return {
    adverts: ({ virtualRouterID }) => kept.get(virtualRouterID) ?? [],
    forget: (site) => {
      for (const [id, adverts] of kept)
        if (site === undefined || id === site.virtualRouterID) adverts.length = 0;
    },
    dropped: () => dropped,
  };
};
