import type { StdioPipeNamed } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type StartProcess, startProcess } from '../runtime/child.ts';
import { createCredentials } from './credentials.ts';
import { KubeError } from './errors.ts';
import { type Access, createAccessReader, loadAccess } from './kubeconfig.ts';

const SECRET = 'secret-that-no-message-may-hold';

/** Runs `body` with a directory that holds a kubeconfig with this user and cluster entry. */
const withConfig = async (
  entries: { user?: string; cluster?: string; text?: string },
  body: (file: string, dir: string) => Promise<void> | void,
) => {
  const dir = await mkdtemp(join(tmpdir(), 'kubeconfig-test-'));
  const { user = `{token: ${SECRET}}`, cluster = '{server: "https://10.0.0.1:6443/"}' } = entries;
  const text = `apiVersion: v1
clusters: [{name: c, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`;
  const file = join(dir, 'config');
  await writeFile(file, entries.text ?? text);
  try {
    await body(file, dir);
  } finally {
    await rm(dir, { recursive: true });
  }
};

const refusal = (load: () => Access): string => {
  try {
    load();
  } catch (error) {
    assert.not.match(`${(error as Error).stack}`, SECRET);
    return (error as Error).message;
  }
  throw new Error('it was not refused');
};

test('an explicit path wins over KUBECONFIG, and that over the pod', () =>
  withConfig({}, async (file) => {
    const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.9', KUBERNETES_SERVICE_PORT: '443' };
    assert.is(loadAccess(file, { KUBECONFIG: '/nowhere', ...pod }).cluster.server, 'https://10.0.0.1:6443');
    assert.is(loadAccess(undefined, { KUBECONFIG: file, ...pod }).user.token, SECRET);
    assert.is(loadAccess(undefined, pod).cluster.server, 'https://10.0.0.9:443');
    assert.is(
      loadAccess(undefined, { ...pod, KUBERNETES_SERVICE_HOST: 'fd00::1' }).cluster.server,
      'https://[fd00::1]:443',
    );
  }));

test('paths are relative to their file', () =>
  withConfig(
    {
      user: '{client-certificate: a.crt, client-key: a.key, tokenFile: token}',
      cluster: '{server: "https://h", certificate-authority: ca.crt}',
    },
    (file, dir) => {
      const { cluster, user } = loadAccess(file, {});
      assert.is(cluster.caFile, join(dir, 'ca.crt'));
      assert.equal([user.certFile, user.keyFile], [join(dir, 'a.crt'), join(dir, 'a.key')]);
      assert.equal(user.authProvider, { name: 'tokenFile', config: { tokenFile: join(dir, 'token') } });
    },
  ));

test('several files merge: the first to name something wins', () =>
  withConfig({ text: 'current-context: x\nusers: [{name: u, user: {token: other}}]\n' }, (first) =>
    withConfig({}, (second) => {
      const { cluster, user } = loadAccess(undefined, { KUBECONFIG: `${first}:${second}` });
      assert.equal([cluster.server, user.token], ['https://10.0.0.1:6443', 'other']);
    }),
  ));

test('what cannot be used is refused with its name, and never quoted', async () => {
  await withConfig({ text: `users: [{name: u, user: {token: "${SECRET}}` }, (file) =>
    assert.match(
      refusal(() => loadAccess(file, {})),
      `kubeconfig ${file}: not YAML`,
    ),
  );
  await withConfig({ user: `{username: u, password: ${SECRET}}` }, (file) =>
    assert.match(
      refusal(() => loadAccess(file, {})),
      'username and password is not supported',
    ),
  );
  await withConfig({ user: '{auth-provider: {name: oidc}}' }, (file) =>
    assert.match(
      refusal(() => loadAccess(file, {})),
      'auth-provider "oidc" is not supported',
    ),
  );
  await withConfig({ cluster: '{}' }, (file) =>
    assert.match(
      refusal(() => loadAccess(file, {})),
      'clusters[0].cluster.server is missing',
    ),
  );
  assert.match(
    refusal(() => loadAccess('/nowhere', {})),
    'kubeconfig /nowhere: cannot be read (ENOENT)',
  );
});

test('a rotated CA file is another version of the TLS material', () =>
  withConfig({ cluster: '{server: "https://h", certificate-authority: ca.crt}' }, async (file, dir) => {
    await writeFile(join(dir, 'ca.crt'), 'first');
    const credentials = createCredentials(loadAccess(file, {}));
    const before = await credentials.current();
    assert.is((await credentials.current()).tls.version, before.tls.version);
    await writeFile(join(dir, 'ca.crt'), 'second!');
    const after = await credentials.current();
    assert.is.not(after.tls.version, before.tls.version);
    assert.is(String(after.tls.ca), 'second!');
    assert.is(after.headers.authorization, `Bearer ${SECRET}`);
  }));

test('a rotated token file is used at once; one that is missing or holds no token leaves the last one in use', () =>
  withConfig({ user: '{tokenFile: token}' }, async (file, dir) => {
    const path = join(dir, 'token');
    const credentials = createCredentials(loadAccess(file, {}));
    const header = async () => (await credentials.current()).headers.authorization;
    for (const [content, wanted] of [
      ['first\n', 'first'],
      ['rotated\n', 'rotated'],
      ['', 'rotated'],
      ['back', 'back'],
    ] as const) {
      await writeFile(path, content);
      assert.is(await header(), `Bearer ${wanted}`);
    }
    await rm(path);
    assert.is(await header(), 'Bearer back');
  }));

test('once the token is refused, a file that is missing or holds none is an error that names it', () =>
  withConfig({ user: '{tokenFile: token}' }, async (file, dir) => {
    const path = join(dir, 'token');
    const credentials = createCredentials(loadAccess(file, {}));
    const failure = async () => {
      credentials.forget();
      const error: unknown = await credentials.current().catch((thrown: unknown) => thrown);
      assert.instance(error, KubeError);
      assert.not.match(String((error as KubeError).message), SECRET);
      return String((error as KubeError).message);
    };
    for (const garbage of ['', '\n', 'two words', `${SECRET}\n${SECRET}`, '\u0000\u0001', 'naïve']) {
      await writeFile(path, garbage);
      assert.match(await failure(), `${path} holds no token`);
    }
    await rm(path);
    assert.match(await failure(), `ENOENT ${path}`);
    await writeFile(path, 'back');
    assert.is((await credentials.current()).headers.authorization, 'Bearer back');
  }));

test('a kubeconfig that has changed is read again, and only then', () =>
  withConfig({ user: '{token: first}' }, async (file) => {
    const read = createAccessReader(file, {});
    const first = read();
    assert.is(read(), first);
    await writeFile(file, (await readFile(file, 'utf8')).replace('token: first', 'token: second'));
    assert.is(read().user.token, 'second');
    await writeFile(file, '');
    assert.match(refusal(read), 'no current-context is set');
  }));

test('another certificate in the kubeconfig is another version of the TLS material', () =>
  withConfig(
    { user: `{client-certificate-data: ${btoa('one')}, client-key-data: ${btoa('k')}}` },
    async (file) => {
      const { cluster, user } = loadAccess(file, {});
      let now = { cluster, user };
      const credentials = createCredentials(now, { read: () => now });
      const { version } = (await credentials.current()).tls;
      credentials.forget();
      assert.is((await credentials.current()).tls.version, version);
      now = { cluster, user: { ...user, certData: btoa('two') } };
      assert.is.not((await credentials.current()).tls.version, version);
    },
  ));

const plugin = (script: string) =>
  `{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ["-c", ${JSON.stringify(script)}]}}`;

test('an exec plugin gives a token; what a broken one prints stays out of the error', async () => {
  await withConfig({ user: plugin(`echo '{"status":{"token":"from-plugin"}}'`) }, async (file) => {
    const { headers } = await createCredentials(loadAccess(file, {})).current();
    assert.is(headers.authorization, 'Bearer from-plugin');
  });
  for (const script of [`echo ${SECRET}`, `echo ${SECRET} >&2; exit 1`]) {
    await withConfig({ user: plugin(script) }, async (file) => {
      const error: unknown = await createCredentials(loadAccess(file, {}))
        .current()
        .catch((thrown: unknown) => thrown);
      assert.match(String((error as Error).message), 'the exec plugin sh failed or printed no credential');
      assert.not.match(String((error as Error).stack), SECRET);
    });
  }
});

/** What a plugin's process is started with, and when all that it has started is gone. */
const watchedStart = () => {
  const gone: Promise<void>[] = [];
  const start: StartProcess = (command, args, options) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gone.push(promise);
    // All of its group holds the fourth descriptor.
    const stdio = [...(options.stdio as StdioPipeNamed[]), 'pipe' as const];
    const child = startProcess(command, args, { ...options, stdio });
    child.stdio[3]?.on('close', () => resolve()).on('data', () => undefined);
    return child;
  };
  return { start, gone };
};
const outcomeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'given',
    (error: Error) => error.message,
  );

test('an exec plugin that hangs is one process at a time, and is ended at its deadline with all that it has started', async () => {
  await withConfig({}, async (_, dir) => {
    const runs = join(dir, 'runs');
    const hang = `echo run >>${runs}; [ $(wc -l <${runs}) -gt 1 ] || ( sleep 600 & sleep 600 ); echo '{"status":{"token":"late"}}'`;
    await withConfig({ user: plugin(hang) }, async (file) => {
      const { start, gone } = watchedStart();
      const credentials = createCredentials(loadAccess(file, {}), { start, pluginMs: 500 });
      const refused = await Promise.all([credentials.current(), credentials.current()].map(outcomeOf));
      for (const message of refused)
        assert.match(message, /user ".*": the exec plugin sh was ended after 0\.5 s without a credential/);
      await Promise.all(gone);
      assert.is(await readFile(runs, 'utf8'), 'run\n');
      assert.is((await credentials.current()).headers.authorization, 'Bearer late');
    });
  });
});

test('an exec plugin that prints without end is ended', () =>
  withConfig({ user: plugin('while :; do echo flood; done') }, async (file) => {
    const { start, gone } = watchedStart();
    const message = await outcomeOf(createCredentials(loadAccess(file, {}), { start }).current());
    assert.match(message, 'the exec plugin sh was ended because it printed more than 1048576 bytes');
    await Promise.all(gone);
  }));

test('while an exec plugin runs, it is what a call waits for; another kubeconfig ends it, and is used at once', () =>
  withConfig({ user: plugin('sleep 600') }, async (file) => {
    const { start, gone } = watchedStart();
    const before = loadAccess(file, {});
    let now = before;
    const credentials = createCredentials(before, { read: () => now, start });
    const waiting = outcomeOf(credentials.current());
    assert.is(credentials.waitsFor(), 'the exec plugin sh');
    credentials.forget();
    const { exec: _, ...user } = before.user;
    now = { ...before, user: { ...user, token: 'good' } };
    assert.is((await credentials.current()).headers.authorization, 'Bearer good');
    assert.match(await waiting, 'the exec plugin sh was ended because the kubeconfig has changed');
    await Promise.all(gone);
    assert.is(gone.length, 1);
    assert.is(credentials.waitsFor(), undefined);
  }));

test('an exec plugin that is not there is named', () =>
  withConfig(
    { user: '{exec: {apiVersion: client.authentication.k8s.io/v1, command: /nonexistent}}' },
    async (file) =>
      assert.match(
        await outcomeOf(createCredentials(loadAccess(file, {})).current()),
        'the exec plugin /nonexistent cannot be run: ENOENT',
      ),
  ));

test.run();
