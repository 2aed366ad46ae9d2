/** Which faults are tried: a seed repeats a sample. */
import { execFileSync } from 'node:child_process';
import { createRandom } from '../../sim/random.ts';
import { ROOT } from '../plant/plant.ts';

/** The first eight hex digits of the commit, so that nobody picks it. */
export const seedOfCommit = (): number =>
  Number.parseInt(
    execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).slice(0, 8),
    16,
  );

/** So many of a list, each as likely as any other, in the order in which they were drawn. */
export const sampleOf = <T>(list: readonly T[], count: number, seed: number): T[] => {
  const random = createRandom(seed);
  const rest = [...list];
  const drawn: T[] = [];
  while (drawn.length < count && rest.length > 0)
    drawn.push(...rest.splice(Math.floor(random.next() * rest.length), 1));
  return drawn;
};
