import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConnection, writeKubeconfig } from './kubeconfig.ts';

let dir: string;
const put = (name: string): string => {
  const file = join(dir, name);
  writeFileSync(file, `content of ${name}`);
  return file;
};

test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'hapair-kubeconfig-'));
});

test.after.each(() => rmSync(dir, { recursive: true, force: true }));

test('carries its certificates and is for the owner alone', async () => {
  const file = join(dir, 'config');
  const clientCertificate = { certFile: put('crt'), keyFile: put('key') };
  await writeKubeconfig({
    file,
    server: 'https://127.0.0.1:6443',
    caFile: put('ca'),
    credentials: { clientCertificate },
  });
  rmSync(clientCertificate.keyFile);
  const { server, ca, cert, key, tokenFile } = await readConnection(file);
  assert.is(server, 'https://127.0.0.1:6443');
  assert.equal([ca, cert, key].map(String), ['content of ca', 'content of crt', 'content of key']);
  assert.is(tokenFile, undefined);
  assert.is(statSync(file).mode & 0o777, 0o600);
});

test('names a token file, so that a token can be renewed in place', async () => {
  const file = join(dir, 'config');
  const tokenFile = put('token');
  await writeKubeconfig({ file, server: 'https://10.0.0.1', caFile: put('ca'), credentials: { tokenFile } });
  assert.is((await readConnection(file)).tokenFile, tokenFile);
});

test.run();
