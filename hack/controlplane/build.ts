/**
 * `node hack/controlplane/build.ts DIRECTORY`: builds the control plane into DIRECTORY, which appears complete or not at all.
 * Run under a lock by binaries.ts; whoever waited for the lock finds the work done.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { tail, tryRun } from '../setup/run.ts';
import { BUILD_FLAGS, PROGRAMS } from './programs.ts';

const PROGRESS_MS = 10_000;

const build = async (destination: string): Promise<void> => {
  if (existsSync(destination)) return;
  await checkGo();
  await mkdir(dirname(destination), { recursive: true, mode: 0o700 });
  await removeLeftovers(destination);
  const unfinished = await mkdtemp(`${destination}.building-`);
  try {
    for (const [index, [name, pkg]] of Object.entries(PROGRAMS).entries()) {
      await buildOne(
        `${name} (${index + 1} of ${Object.keys(PROGRAMS).length})`,
        pkg,
        join(unfinished, name),
      );
    }
    await rename(unfinished, destination);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
};

/** A build that was killed leaves its folder; the lock says that nobody works in it. */
const removeLeftovers = async (destination: string): Promise<void> => {
  for (const entry of await readdir(dirname(destination))) {
    if (entry.startsWith(`${basename(destination)}.building-`))
      await rm(join(dirname(destination), entry), { recursive: true, force: true });
  }
};

const checkGo = async (): Promise<void> => {
  const version = /\bgo1\.(\d+)/.exec((await tryRun('go', ['version'])) ?? '');
  if (version !== null && Number(version[1]) >= 21) return;
  throw new Error(
    'Building the Kubernetes control plane needs Go 1.21 or later on the PATH (Debian: apt-get install golang-go). ' +
      'Or set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd.',
  );
};

/** `go build -v` names each package it compiles, so the count moves although the whole is unknown. */
const buildOne = (label: string, pkg: string, output: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const go = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', 'go', 'build', '-v', ...BUILD_FLAGS, '-o', output, pkg],
      {
        cwd: import.meta.dirname,
        env: {
          ...process.env,
          CGO_ENABLED: '0',
          GOWORK: 'off',
          GOTOOLCHAIN: process.env.GOTOOLCHAIN ?? 'auto',
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let packages = 0;
    let downloads = 0;
    let said = '';
    createInterface({ input: go.stderr }).on('line', (line) => {
      if (line.startsWith('go: downloading ')) downloads += 1;
      else if (/^[\w./~-]+$/.test(line)) packages += 1;
      else said = tail(`${said}\n${line}`);
    });
    const report = (what: string): void => {
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      console.error(
        `hapair: ${label}: ${what} after ${seconds} s (${downloads} modules downloaded, ${packages} packages compiled)`,
      );
    };
    console.error(`hapair: building ${label}`);
    const ticker = setInterval(report, PROGRESS_MS, 'still building');
    go.on('error', reject);
    go.on('close', (code, signal) => {
      clearInterval(ticker);
      if (code === 0) {
        report('built');
        resolve();
      } else reject(new Error(`go build ${pkg} failed (${signal ?? code}): ${said.trim()}`));
    });
  });

const [destination] = process.argv.slice(2);
if (destination === undefined) {
  console.error('usage: node hack/controlplane/build.ts DIRECTORY');
  process.exitCode = 2;
} else {
  await build(destination).catch((error: unknown) => {
    console.error(`hapair: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });
}
