/** The tests as they are without a fault: they must pass, and what each of them reaches is kept for as long as nothing changes. */
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../plant/plant.ts';
import { run } from '../plant/process.ts';
import { heartFiles } from './hearts.ts';
import { type Measured, type Order, PROGRAM, type Word } from './orders.ts';

const CACHE = join(ROOT, '.out', 'mutants');
/** For all tests of a file, twice, with V8's counters. */
const FILE_LIMIT_MS = 15 * 60_000;

const digest = (text: string | Buffer): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16);

const hashes = new Map<string, string>();

/** Empty when there is no such file any more. */
const hashOf = (file: string): string => {
  const known = hashes.get(file);
  if (known !== undefined) return known;
  let hash = '';
  try {
    hash = digest(readFileSync(join(ROOT, file)));
  } catch {
    // It was removed: what was measured with it does not count.
  }
  hashes.set(file, hash);
  return hash;
};

/** What tests read besides code: cases, manifests, stories, documents. The programs that measure count too. */
const READ = [
  '{agent,crds}/**/*.yaml',
  'operator/plan/stories/*.txt',
  'charts/hapair/**/*.{json,yaml}',
  'README.md',
  'docs/*.md',
  'hack/demo/hapair.yaml',
  'hack/{mutants,plant}/**/*.ts',
  'package-lock.json',
];

const surroundings = (): string =>
  digest(
    globSync(READ, { cwd: ROOT })
      .filter((file) => !/^hack\/.*(\.test|main|table|sample|equivalents)\.ts$/.test(file))
      .sort()
      .map((file) => `${file} ${hashOf(file)}`)
      .concat(process.version, heartFiles())
      .join('\n'),
  );

type Kept = { surroundings: string; files: Record<string, string>; measured: Measured };

const placeOf = (file: string): string => join(CACHE, `${file.replaceAll('/', '+')}.json`);

const recall = (file: string, around: string): Measured | undefined => {
  let kept: Kept;
  try {
    kept = JSON.parse(readFileSync(placeOf(file), 'utf8'));
  } catch {
    return undefined;
  }
  const isSame = Object.entries(kept.files).every(([path, hash]) => hashOf(path) === hash);
  return isSame && kept.surroundings === around ? kept.measured : undefined;
};

const keep = (file: string, kept: Kept): void => {
  mkdirSync(CACHE, { recursive: true });
  const place = placeOf(file);
  writeFileSync(`${place}.part`, JSON.stringify(kept));
  renameSync(`${place}.part`, place);
};

/**
 * Measures a file of tests, or recalls what was measured.
 * @throws Error when a test fails without any fault
 */
export const measure = async (file: string, seed: number): Promise<Measured> => {
  const around = surroundings();
  const recalled = recall(file, around);
  if (recalled) return recalled;
  const word = await run<Word>(
    PROGRAM,
    { type: 'measure', file, hearts: heartFiles(), seed } satisfies Order,
    () => FILE_LIMIT_MS,
  );
  if (word.type !== 'measured') {
    const why = { ...{ test: '', failure: '', text: '' }, ...word };
    throw new Error(
      `${file} does not pass without a fault: ${word.type} ${why.test} ${why.failure}${why.text}`,
    );
  }
  const { type: _type, ...measured } = word;
  keep(file, {
    surroundings: around,
    files: Object.fromEntries([file, ...measured.loaded].map((path) => [path, hashOf(path)])),
    measured,
  });
  return measured;
};
