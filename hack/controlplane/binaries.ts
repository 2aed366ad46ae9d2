/** Where the programs of the control plane are: given, cached, or built now. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../setup/cache.ts';
import { isExecutable } from '../setup/run.ts';
import { BUILD_FLAGS, PROGRAMS, type Program } from './programs.ts';

/** Paths of the control plane's programs. */
export type KubeBinaries = Record<Program, string>;

/** flock(1)'s answer when somebody else holds the lock. */
const LOCKED = 75;

/**
 * Finds kube-apiserver, etcd and kube-controller-manager: in `KUBEBUILDER_ASSETS`, else in our cache, else builds them
 * into the cache (minutes when cold; progress on standard error). Two callers at once build once.
 * @throws Error when they have to be built and cannot be.
 */
export const findKubeBinaries = async (): Promise<KubeBinaries> => {
  const assets = process.env.KUBEBUILDER_ASSETS;
  const given = assets === undefined ? {} : present(assets);
  const cache = kubeCacheDir();
  if (!isComplete({ ...present(cache), ...given })) await buildInto(cache);
  const found = { ...present(cache), ...given };
  if (isComplete(found)) return found;
  throw new Error(`The control plane's cache ${cache} is incomplete: remove it and try again.`);
};

/** Where this go.mod's build lies: a change of versions or flags is another folder. */
export const kubeCacheDir = (): string => {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(import.meta.dirname, file)));
  hash.update(JSON.stringify([BUILD_FLAGS, PROGRAMS, process.arch]));
  return join(cacheDir(), `kube-${hash.digest('hex').slice(0, 12)}`);
};

const present = (dir: string): Partial<KubeBinaries> => {
  const found: Partial<KubeBinaries> = {};
  for (const name of Object.keys(PROGRAMS) as Program[]) {
    const path = join(dir, name);
    if (isExecutable(path)) found[name] = path;
  }
  return found;
};

const isComplete = (binaries: Partial<KubeBinaries>): binaries is KubeBinaries =>
  Object.keys(PROGRAMS).every((name) => name in binaries);

const buildInto = async (destination: string): Promise<void> => {
  mkdirSync(cacheDir(), { recursive: true, mode: 0o700 });
  let code = await builder(destination, ['--nonblock', '--conflict-exit-code', String(LOCKED)]);
  if (code === LOCKED) {
    console.error('hapair: another process is building the control plane; waiting for it');
    code = await builder(destination, []);
  }
  if (code !== 0)
    throw new Error('The Kubernetes control plane could not be built; the reason stands above.');
};

/** The kernel's lock dies with the builder, and the builder with us: nothing to clean up after a SIGKILL. */
const builder = (destination: string, lockFlags: readonly string[]): Promise<number | null> =>
  new Promise((resolve, reject) => {
    const lock = ['flock', '--no-fork', ...lockFlags, join(cacheDir(), 'build.lock')];
    const program = [process.execPath, join(import.meta.dirname, 'build.ts'), destination];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...lock, ...program], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', resolve);
  });
