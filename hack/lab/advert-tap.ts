/** Follows the adverts on a lab's fabric: the host's end of adverts.ts. */
import { join } from 'node:path';
import type { SeenAdvert } from './adverts.ts';
import { within } from './handles.ts';
import type { Lab } from './lab.ts';

const READY_MS = 60_000;
/** What is kept, newest last: pairs at 10 ms fill a memory within the hour else. */
const KEPT = 200_000;

/** Taps the fabric. @returns every advert from now on, as it is seen; the last 180,000 at least */
export const tapAdverts = async (lab: Lab): Promise<readonly SeenAdvert[]> => {
  const adverts: SeenAdvert[] = [];
  const ready = Promise.withResolvers<void>();
  const tap = await lab.spawn(
    { name: 'adverts', where: 'fabric', argv: [process.execPath, join(import.meta.dirname, 'adverts.ts')] },
    {
      onLine: (line) => {
        if (!line.startsWith('{')) return; // a warning of Node's
        const said = JSON.parse(line) as SeenAdvert | { ready: true };
        if ('ready' in said) ready.resolve();
        else {
          adverts.push(said);
          if (adverts.length > KEPT) adverts.splice(0, KEPT / 10);
        }
      },
    },
  );
  await within(ready.promise, READY_MS, `The tap on the fabric did not start; see ${tap.logFile}`);
  return adverts;
};
