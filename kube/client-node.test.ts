/**
 * client-node is imported by two of its private files. Its public entry does not export the second, and by the first it would
 * cost a bundled program 32 MB of resident memory and 0.16 s of processor time at its start (82.4 against 49.9 MB, Node 24).
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const PRIVATE = {
  '@kubernetes/client-node/dist/config_types.js': ['newClusters', 'newContexts', 'newUsers'],
  '@kubernetes/client-node/dist/exec_auth.js': ['ExecAuth'],
};

for (const [path, names] of Object.entries(PRIVATE)) {
  test(`${path} still has ${names.join(', ')}`, async () => {
    const module: Record<string, unknown> = await import(path).catch((error: Error) =>
      assert.unreachable(
        `This version of client-node has moved ${path} (${error.message}): find where it is now, or take the public entry and measure both programs (docs/design/adr/0002-no-client-node-informer.md).`,
      ),
    );
    for (const name of names)
      assert.type(module[name], 'function', `${path} has no ${name} any more; it is imported in this folder`);
  });
}

test('an ExecAuth starts its plugin by `execFn`, which credentials.ts replaces to give it a deadline', async () => {
  const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js');
  assert.type(Reflect.get(new ExecAuth(), 'execFn'), 'function');
});

test.run();
