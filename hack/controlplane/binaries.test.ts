import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findKubeBinaries, kubeCacheDir } from './binaries.ts';

const saved = { ...process.env };
let dir: string;

test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'hapair-binaries-'));
  process.env.XDG_CACHE_HOME = join(dir, 'cache');
  delete process.env.KUBEBUILDER_ASSETS;
});

test.after.each(() => {
  process.env = { ...saved };
  rmSync(dir, { recursive: true, force: true });
});

const put = (folder: string, ...names: string[]): void => {
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    writeFileSync(join(folder, name), '');
    chmodSync(join(folder, name), 0o755);
  }
};

const ALL = ['etcd', 'kube-apiserver', 'kube-controller-manager'];

test('takes all from KUBEBUILDER_ASSETS', async () => {
  process.env.KUBEBUILDER_ASSETS = join(dir, 'assets');
  put(join(dir, 'assets'), ...ALL);
  for (const path of Object.values(await findKubeBinaries())) assert.match(path, join(dir, 'assets'));
});

test('takes from our cache what KUBEBUILDER_ASSETS lacks, as setup-envtest has no kube-controller-manager', async () => {
  process.env.KUBEBUILDER_ASSETS = join(dir, 'assets');
  put(join(dir, 'assets'), 'etcd', 'kube-apiserver', 'kubectl');
  put(kubeCacheDir(), ...ALL);
  assert.equal(await findKubeBinaries(), {
    etcd: join(dir, 'assets', 'etcd'),
    'kube-apiserver': join(dir, 'assets', 'kube-apiserver'),
    'kube-controller-manager': join(kubeCacheDir(), 'kube-controller-manager'),
  });
});

test('takes all from our cache when nothing is given', async () => {
  put(kubeCacheDir(), ...ALL);
  for (const path of Object.values(await findKubeBinaries())) assert.match(path, kubeCacheDir());
});

test('a cache that lost a file says so instead of building into it', async () => {
  put(kubeCacheDir(), 'etcd');
  const message = await findKubeBinaries().then(
    () => 'found',
    (error: Error) => error.message,
  );
  assert.match(message, /is incomplete: remove it/);
});

test.run();
