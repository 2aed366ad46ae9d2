/** The bundles are what people install: complete, readable when they fail, and as strict as the source tree. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkConfig } from '../agent/config.ts';
import { AGENT_FLAGS, bundle, bundleAgent } from '../hack/build/bundle.ts';
import packageJSON from '../package.json' with { type: 'json' };

const test = suite<{ agent: string; operator: string }>('bundles');
const DEADLINE_MS = 60_000;

test.before(async (context) => {
  // Far from any node_modules, so that nothing can be found there by accident.
  context.agent = mkdtempSync(join(tmpdir(), 'hapair-agent-'));
  context.operator = mkdtempSync(join(tmpdir(), 'hapair-operator-'));
  await Promise.all([bundle('agent', context.agent), bundle('operator', context.operator)]);
});
test.after(({ agent, operator }) => {
  for (const directory of [agent, operator]) rmSync(directory, { recursive: true });
});

const node = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  });
  return { status, stdout, stderr };
};

test('each is a folder of a few files, and says its version', ({ agent, operator }) => {
  // Apart from maps and licences, and files whose names end in a hash: those are loaded by others.
  const files = (directory: string) =>
    readdirSync(directory).filter((name) => !/\.(map|txt)$|-[A-Z0-9]{8}\.js$/.test(name));
  assert.equal(files(agent).sort(), [
    ...['hapair-agent.service', 'koffi.node', 'main.js', 'package.json', 'worker.js'],
  ]);
  assert.equal(files(operator).sort(), ['hapair.yaml', 'main.js', 'package.json', 'vrrpinstance.yaml']);
  for (const directory of [agent, operator]) {
    const { type, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    assert.equal([type, version], ['module', packageJSON.version]);
    assert.ok((statSync(join(directory, 'main.js')).mode & 0o111) === 0o111, 'it can be called by its file');
  }
});

test('nothing of the source tree is left in them', ({ agent, operator }) => {
  for (const directory of [agent, operator])
    for (const name of readdirSync(directory).filter((file) => file.endsWith('.js'))) {
      const text = readFileSync(join(directory, name), 'utf8');
      assert.not.ok(text.includes(import.meta.dirname), `${name} names a path of this machine`);
      assert.not.match(text, /^import [^;]*from ["'](?!node:|\.\/)/m, `${name} imports a package`);
    }
});

test('the agent asks Node for what it was measured with', ({ agent }) => {
  const [first] = readFileSync(join(agent, 'main.js'), 'utf8').split('\n', 1);
  assert.is(first, `#!/usr/bin/env -S node ${AGENT_FLAGS.join(' ')}`);
});

test('a faulty configuration is refused as from the source tree', ({ agent }) => {
  const file = join(agent, 'faulty.yaml');
  writeFileSync(file, 'nodeName: Node_1\nnamespaces: [prod]\n');
  const { status, stdout, stderr } = node(join(agent, 'main.js'), '--config', file);
  assert.equal([status, stdout], [2, '']);
  assert.match(stderr, /faulty\.yaml is no valid agent configuration:\n {2}nodeName: "Node_1" must match/);
  rmSync(file);
});

test('its worker finds koffi’s binary beside itself, and names its sources when it fails', ({ agent }) => {
  const { status, stderr } = node('--enable-source-maps', join(agent, 'worker.js'));
  assert.is(status, 1);
  assert.match(stderr, /the VRRP worker was started as a program/);
  assert.match(stderr, /agent\/worker\/worker\.ts:\d+:\d+/);
});

test('the operator starts and says what it lacks', ({ operator }) => {
  const { status, stderr } = node(
    join(operator, 'main.js'),
    '--region',
    'ap-northeast-1',
    '--kubeconfig',
    '/nowhere',
  );
  assert.is(status, 2);
  assert.match(stderr, /kubeconfig \/nowhere: cannot be read \(ENOENT\)/);
});

test('a directory that held an earlier bundle holds nothing of it afterwards', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hapair-agent-'));
  writeFileSync(join(directory, 'old.js'), '');
  const command = await bundleAgent(directory);
  assert.is(basename(command.at(-1) ?? ''), 'main.js');
  assert.not.ok(readdirSync(directory).includes('old.js'));
  rmSync(directory, { recursive: true });
});

test('the service has the two capabilities, and time for the agent to stop', ({ agent }) => {
  const unit = readFileSync(join(agent, 'hapair-agent.service'), 'utf8');
  const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
  for (const name of ['AmbientCapabilities', 'CapabilityBoundingSet'])
    assert.is(setting(name), 'CAP_NET_RAW CAP_NET_ADMIN');
  const { stopTimeoutSeconds } = checkConfig({ nodeName: 'node1', namespaces: ['prod'] }, 'agent.yaml');
  const LAST_REPORTS_SECONDS = 6;
  assert.ok(Number(setting('TimeoutStopSec')) > stopTimeoutSeconds + LAST_REPORTS_SECONDS);
  assert.is(setting('StateDirectory'), 'hapair');
  assert.is(setting('SystemCallErrorNumber'), 'ENOSYS');
});

test.run();
