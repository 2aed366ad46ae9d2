import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { ConfigError, checkConfig, loadConfig } from './config.ts';

const complaint = (document: unknown): string => {
  try {
    checkConfig(document, 'agent.yaml');
  } catch (error) {
    assert.instance(error, ConfigError);
    return String(error);
  }
  return '';
};

test('what is left out has its default', () => {
  assert.equal(checkConfig({ nodeName: 'node1', namespaces: ['prod'] }, 'agent.yaml'), {
    nodeName: 'node1',
    namespaces: ['prod'],
    stateDir: '/var/lib/hapair',
    leaseNamespace: 'hapair-system',
    stopTimeoutSeconds: 20,
    metrics: { bindAddress: '127.0.0.1', port: 8112 },
    checks: { hosts: [], body: false },
    limits: { pairs: 256, minimumAdvertisementIntervalMilliseconds: 10 },
    commands: {},
    file: 'agent.yaml',
  });
});

test('docs/agent.md shows every field, and an agent can start with what it shows', () => {
  const text = readFileSync(join(import.meta.dirname, '..', 'docs', 'agent.md'), 'utf8');
  const shown = parse(/```yaml\n(.*?)```/s.exec(text)?.[1] ?? '');
  const { file: _, ...config } = checkConfig(structuredClone(shown), 'agent.yaml');
  assert.equal(shown, config, 'no field is left to its default');
  const known = /known are (.*)/.exec(complaint({ ...shown, color: 1 }))?.[1]?.split(', ');
  assert.equal(Object.keys(shown).sort(), known?.sort());
  const command = { ...Object.values<object>(shown.commands)[0], color: 1 };
  const ofCommand = /known are (.*)/.exec(complaint({ ...shown, commands: { command } }))?.[1]?.split(', ');
  assert.equal(Object.keys(Object.values<object>(shown.commands)[0] ?? {}).sort(), ofCommand?.sort());
});

test('an error names the file, the field, its value and the way out', () => {
  const text = complaint({
    nodeName: 'Node_1',
    namespaces: ['prod', 'a.b'],
    stateDir: 'here',
    logLevel: 'loud',
    color: 1,
  });
  assert.match(text, /agent\.yaml is no valid agent configuration/);
  assert.match(text, /nodeName: "Node_1" must match pattern/);
  assert.match(text, /namespaces\[1\]: "a\.b" must match pattern/);
  assert.match(text, /stateDir: "here" must match pattern/);
  assert.match(
    text,
    /logLevel: "loud" must be equal to one of the allowed values: trace, debug, info, warn, error/,
  );
  assert.match(text, /color: is not known; known are nodeName, namespaces/);
});

test('metrics: one field given keeps the default of the other', () => {
  const config = (metrics: object) => ({ nodeName: 'node1', namespaces: ['prod'], metrics });
  const every = { bindAddress: '0.0.0.0', port: 8112 };
  assert.equal(checkConfig(config({ bindAddress: '0.0.0.0' }), 'agent.yaml').metrics, every);
  assert.match(complaint(config({ port: 65_536 })), /metrics\.port: 65536 must be <= 65535/);
  assert.match(complaint(config({ port: '80' })), /metrics\.port: "80" must be integer/);
});

const GOOD = { nodeName: 'node1', namespaces: ['prod'] };

/** Of each field every kind of fault: what the message says of it. */
const FAULTS: [field: string, value: unknown, message: RegExp][] = [
  ['nodeName', 1, /nodeName: 1 must be string \(the node's name in HAPair\.spec\.nodes/],
  ['nodeName', '', /nodeName: "" must match pattern/],
  ['nodeName', 'node1.', /nodeName: "node1\." must match pattern .* a DNS label such as node1/],
  ['nodeName', 'n'.repeat(64), /nodeName: "n{64}" must NOT have more than 63 characters/],
  ['limits', { pairs: -1 }, /limits\.pairs: -1 must be >= 0 \(what the pairs of this node may cost/],
  ['limits', { minimumAdvertisementIntervalMilliseconds: 9 }, /must be >= 10/],
  ['namespaces', 'prod', /namespaces: "prod" must be array \(.*such as \[prod\]/],
  ['namespaces', [], /namespaces: \[\] must NOT have fewer than 1 items \(the namespaces whose HAPairs/],
  ['namespaces', ['a', 'a'], /namespaces: \["a","a"\] must NOT have duplicate items/],
  ['namespaces', Array.from({ length: 65 }, (_, index) => `n${index}`), /must NOT have more than 64 items/],
  ['namespaces', ['prod', 7], /namespaces\[1\]: 7 must be string \(the namespaces whose/],
  ['namespaces', ['Prod'], /namespaces\[0\]: "Prod" must match pattern/],
  ['kubeconfig', '', /kubeconfig: "" must NOT have fewer than 1 characters \(the path of a kubeconfig/],
  ['kubeconfig', {}, /kubeconfig: \{\} must be string/],
  ['stateDir', 'var/lib', /stateDir: "var\/lib" must match pattern "\^\/" \(an absolute path/],
  ['stateDir', null, /stateDir: null must be string/],
  ['leaseNamespace', 'kube_system', /leaseNamespace: "kube_system" must match pattern .*as the chart was/],
  ['leaseNamespace', false, /leaseNamespace: false must be string/],
  ['logLevel', 'loud', /logLevel: "loud" must be .*: trace, debug, info, warn, error \(how much is logged\)/],
  ['stopTimeoutSeconds', '20', /stopTimeoutSeconds: "20" must be number/],
  ['stopTimeoutSeconds', -1, /stopTimeoutSeconds: -1 must be >= 0 \(how long a stopping agent/],
  ['stopTimeoutSeconds', 3601, /stopTimeoutSeconds: 3601 must be <= 3600/],
];

for (const [field, value, message] of FAULTS) {
  test(`${field}: ${JSON.stringify(value).slice(0, 30)} is refused with the way out`, () => {
    const text = complaint({ ...GOOD, [field]: value });
    assert.match(text, /agent\.yaml is no valid agent configuration/);
    assert.match(text, message);
  });
}

test('every fault is told at once', () => {
  const lines = complaint({ ...GOOD, stateDir: 'here', logLevel: 'loud' }).split('\n');
  assert.is(lines.length, 3);
});

test('commands that checks may run: an absolute path, its arguments, words for the environment', () => {
  const commands = {
    replication: { command: ['/usr/local/bin/lag', '--most', '10'], environment: { PGHOST: '/run' } },
  };
  assert.equal(
    checkConfig({ nodeName: 'node1', namespaces: ['prod'], commands }, 'agent.yaml').commands,
    commands,
  );
  const text = complaint({
    nodeName: 'node1',
    namespaces: ['prod'],
    commands: {
      'rm -r': { command: ['/bin/rm'] },
      lag: { command: ['lag', 10] },
      none: { command: [] },
      shell: { shell: 'lag' },
      words: { command: ['/lag'], environment: { 'A B': 'x', PGHOST: 1 } },
      nul: { command: ['/bin/a\u0000b'] },
    },
  });
  assert.match(text, /commands\.rm -r: the name "rm -r" must match pattern/);
  assert.match(text, /commands\.lag\.command\[0\]: "lag" must match pattern "\^\//);
  assert.match(text, /commands\.lag\.command\[1\]: 10 must be string/);
  assert.match(text, /commands\.none\.command: \[\] must NOT have fewer than 1 items/);
  assert.match(text, /commands\.shell\.command: is missing; add it/);
  assert.match(text, /commands\.shell\.shell: is not known; known are command, environment/);
  assert.match(text, /commands\.words\.environment\.A B: the name "A B" must match pattern/);
  assert.match(text, /commands\.words\.environment\.PGHOST: 1 must be string/);
  assert.match(text, /commands\.nul\.command\[0\]: .* must match pattern/);
});

test('checks: hosts by name, address or range, and whether an answer is quoted', () => {
  const config = (checks: object) => ({ ...GOOD, checks });
  const hosts = ['localhost', 'db.internal', '10.0.0.0/8', '::1'];
  assert.equal(checkConfig(config({ hosts }), 'agent.yaml').checks, { hosts, body: false });
  const text = complaint(config({ hosts: ['http://db', '10.0.0.0/33'], body: 'yes', color: 1 }));
  assert.match(
    text,
    /checks\.hosts\[0\]: "http:\/\/db" must match format "host" \(the hosts that health checks/,
  );
  assert.match(text, /checks\.hosts\[1\]: "10\.0\.0\.0\/33" must match format "host"/);
  assert.match(text, /checks\.body: "yes" must be boolean/);
  assert.match(text, /checks\.color: is not known; known are hosts, body/);
});

test('where it was read from is no field of the file', () => {
  assert.match(complaint({ nodeName: 'node1', namespaces: ['prod'], file: '/x' }), /file: is not known/);
});

test('what is missing is named', () => {
  assert.match(
    complaint({ namespaces: ['prod'] }),
    /nodeName: is missing; add it \(the node's name in HAPair/,
  );
  assert.match(complaint(null), /the document: null must be object/);
});

test('a file that is not there is said so', () => {
  assert.throws(
    () => loadConfig('/nonexistent/agent.yaml'),
    /cannot read the configuration file \/nonexistent\/agent\.yaml/,
  );
});

test('a file that is no YAML is named, with the place of the fault', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'hapair-config-')), 'agent.yaml');
  writeFileSync(file, 'nodeName: [node1\nnamespaces: prod');
  assert.throws(
    () => loadConfig(file),
    (error: Error) =>
      error.message.startsWith(`cannot read the configuration file ${file}: `) &&
      /line 2/.test(error.message),
  );
  rmSync(dirname(file), { recursive: true });
});

test.run();
