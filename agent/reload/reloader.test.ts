import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lockDirectory } from '../node/lock.ts';
import { createReloader, runCheck } from './reloader.ts';

const MAIN = join(import.meta.dirname, '..', 'main.ts');

const test = suite<{ directory: string; file: string }>('reload');
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'hapair-reload-'));
  context.file = join(context.directory, 'agent.yaml');
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true }));

const checkOf = (file: string) => ({
  file: process.execPath,
  args: [MAIN, 'check', '--config', file, '-o', 'json'],
  env: process.env,
});
const refusalOf = (file: string) => runCheck(checkOf(file)).then(String, ({ message }) => message);

test('the program says whether it can start with its configuration', async ({ directory, file }) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir: directory }));
  assert.equal(await runCheck(checkOf(file)), {
    ...{ version: '0.1.0', nodeName: 'node1', stateDir: directory },
    namespaces: ['prod'],
  });
});

test('a faulty configuration is refused by its field, value and what is allowed', async ({ file }) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'Node_1', namespaces: ['prod'] }));
  assert.match(await refusalOf(file), /nodeName: "Node_1" must match pattern/);
  writeFileSync(file, 'nodeName: [');
  assert.match(await refusalOf(file), /no valid agent configuration|cannot read/);
  writeFileSync(
    file,
    JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir: `/${'a'.repeat(120)}` }),
  );
  assert.match(await refusalOf(file), /stateDir: .* is too long/);
});

test('a program that cannot start at all is refused', async () => {
  const program = { file: '/nonexistent/node', args: [], env: {} };
  assert.match(await runCheck(program).catch(({ message }) => message), 'ENOENT');
  const broken = {
    ...program,
    file: process.execPath,
    args: ['--eval', 'throw new Error("half an upgrade")'],
  };
  assert.match(await runCheck(broken).catch(({ message }) => message), 'half an upgrade');
  const another = { ...broken, args: ['--eval', 'console.log("hello")'] };
  assert.match(await runCheck(another).catch(({ message }) => message), 'does not answer in JSON: hello');
  const tooLarge = { ...broken, env: { LARGE: 'x'.repeat(200_000) } };
  assert.match(await runCheck(tooLarge).catch(({ message }) => message), 'E2BIG');
});

/** An agent with this configuration in force whose program is checked against `file`. */
const createAgent = (directory: string, file: string, onHandOver = (): void => undefined) => {
  const told: (string | undefined)[] = [];
  const note = ({ reason }: { reason?: string }) => told.push(reason);
  const state = { handovers: 0, isStopping: false };
  const reloader = createReloader({
    config: { nodeName: 'node1', stateDir: directory },
    agent: {
      namespacesInUse: () => ['prod'],
      handOver: async () => {
        state.handovers += 1;
        onHandOver();
        return { pairs: {}, lastContactMs: null, imds: null, interfaces: null };
      },
    },
    lock: lockDirectory(directory),
    program: { file: '/nonexistent/node', args: [], env: {} },
    check: checkOf(file),
    life: { reloads: 0, startedAtMs: 0, identity: 'node1_0123456789' },
    isStopping: () => state.isStopping,
    log: { info: note, warn: note, error: note },
    logged: async () => undefined,
  });
  return { reloader, state, told };
};

test('another node name or state directory would be another agent', async ({ directory, file }) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'node2', namespaces: ['prod'], stateDir: directory }));
  const { reloader, told } = createAgent(directory, file);
  assert.match((await reloader.prepare()) ?? '', 'nodeName: changed from node1 to node2');
  assert.equal(told, ['ReloadRefused']);
});

test('a reload that serves the namespace of a running pair no more is refused', async ({
  directory,
  file,
}) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'node1', namespaces: ['test'], stateDir: directory }));
  const { reloader, state } = createAgent(directory, file);
  assert.match(
    (await reloader.prepare()) ?? '',
    /namespaces: prod is missing, .*runs? here.*take node1 out of their spec\.nodes/,
  );
  assert.is(state.handovers, 0);
  writeFileSync(
    file,
    JSON.stringify({ nodeName: 'node1', namespaces: ['test', 'prod'], stateDir: directory }),
  );
  assert.is(await reloader.prepare(), null);
});

test('one reload at a time; a refused one makes way for the next', async ({ directory, file }) => {
  writeFileSync(file, 'nonsense');
  const { reloader } = createAgent(directory, file);
  const first = reloader.prepare();
  assert.is(await reloader.prepare(), 'another reload is under way');
  assert.match((await first) ?? '', 'no valid agent configuration');
  writeFileSync(file, JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir: directory }));
  assert.is(await reloader.prepare(), null);
});

test('a replacement that fails is said, and can be tried again', async ({ directory, file }) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir: directory }));
  const { reloader, state } = createAgent(directory, file);
  assert.is(await reloader.prepare(), null);
  await reloader.replace();
  assert.match(reloader.failure ?? '', 'start /nonexistent/node in place of this program: ENOENT');
  assert.is(state.handovers, 1);
  assert.is(await reloader.prepare(), null);
});

test('an agent that is stopping is not replaced', async ({ directory, file }) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir: directory }));
  const { reloader, state } = createAgent(directory, file);
  assert.is(await reloader.prepare(), null);
  state.isStopping = true;
  await reloader.replace();
  assert.is(reloader.failure, null, 'nothing was tried');
  assert.is(await reloader.prepare(), 'the agent is stopping');
});

test('a SIGTERM that has come but was not heard yet is not lost with the program', async ({
  directory,
  file,
}) => {
  writeFileSync(file, JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir: directory }));
  const { reloader, state } = createAgent(directory, file, () => void process.kill(process.pid, 'SIGTERM'));
  process.once('SIGTERM', () => {
    state.isStopping = true;
  });
  assert.is(await reloader.prepare(), null);
  await reloader.replace();
  assert.is(state.handovers, 1);
  assert.is(reloader.failure, null, 'nothing was tried');
});

test.run();
