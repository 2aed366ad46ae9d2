import { test } from 'uvu';
import * as assert from 'uvu/assert';
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
    commands: {},
    file: 'agent.yaml',
  });
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

test('where it was read from is no field of the file', () => {
  assert.match(complaint({ nodeName: 'node1', namespaces: ['prod'], file: '/x' }), /file: is not known/);
});

test('what is missing is named', () => {
  assert.match(complaint({ namespaces: ['prod'] }), /nodeName: is missing; add it/);
  assert.match(complaint(null), /the document: null must be object/);
});

test('a file that is not there is said so', () => {
  assert.throws(
    () => loadConfig('/nonexistent/agent.yaml'),
    /cannot read the configuration file \/nonexistent\/agent\.yaml/,
  );
});

test.run();
