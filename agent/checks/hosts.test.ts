import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createHostPolicy, isHostEntry } from './hosts.ts';

const OWN = '10.10.10.11';
const NAMES: Record<string, string[]> = {
  'db.internal': ['10.0.0.5', 'fd00::5'],
  localhost: ['127.0.0.1', '::1'],
  rebound: ['127.0.0.1'],
  metadata: ['169.254.169.254'],
  both: ['fe80::1', '10.0.0.6'],
};

const policy = (...hosts: string[]) => {
  const asked: string[] = [];
  const resolve = async (host: string): Promise<string[]> => {
    asked.push(host);
    return NAMES[host.toLowerCase()] ?? [host];
  };
  const find = createHostPolicy({ hosts, nodeName: 'node1', configFile: '/etc/hapair/agent.yaml', resolve })(
    OWN,
  );
  const ask = (host: string) => find(host).catch((error: Error) => error.message);
  return { ask, asked };
};
const REFUSED = /^node node1 lets no check ask /;

test('unless the node’s owner lists others, the own address of the node is the only host', async () => {
  const { ask, asked } = policy();
  assert.equal(await ask(OWN), [OWN]);
  for (const host of [
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    '10.10.10.12',
    '169.254.169.254',
  ])
    assert.match(String(await ask(host)), REFUSED, host);
  for (const host of ['localhost', 'db.internal'])
    assert.is(
      await ask(host),
      `node node1 lets no check ask ${host}; add it under checks.hosts in /etc/hapair/agent.yaml there and reload the agent (hapair-agent reload), or leave host out in spec.healthChecks of the HAPair`,
    );
  assert.not(asked.includes('db.internal'), 'what is not listed is not looked up');
});

test('what is listed may be asked: names, addresses, ranges', async () => {
  const { ask } = policy('DB.internal', '10.0.1.0/24', '127.0.0.1', 'fd01::/16');
  assert.equal(await ask('db.internal'), ['10.0.0.5', 'fd00::5']);
  assert.equal(await ask('10.0.1.77'), ['10.0.1.77']);
  assert.equal(await ask('::ffff:10.0.1.77'), ['::ffff:10.0.1.77']);
  assert.equal(await ask('127.0.0.1'), ['127.0.0.1']);
  assert.equal(await ask('fd01::9'), ['fd01::9']);
  for (const host of ['10.0.2.1', '127.0.0.2', 'localhost', '10.0.0.5'])
    assert.match(String(await ask(host)), REFUSED);
});

test('localhost, once listed, is every loopback address', async () => {
  const { ask } = policy('localhost');
  assert.equal(await ask('localhost'), ['127.0.0.1', '::1']);
  for (const host of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(await ask(host), [host]);
});

test('a listed name that leads to a loopback or link-local address leads nowhere', async () => {
  const { ask } = policy('rebound', 'metadata', 'both');
  assert.match(String(await ask('rebound')), 'lets no check ask rebound at 127.0.0.1;');
  assert.match(String(await ask('metadata')), 'lets no check ask metadata at 169.254.169.254;');
  assert.equal(await ask('both'), ['10.0.0.6']);
});

test('link-local addresses and the instance metadata are never asked, whatever is listed', async () => {
  const { ask } = policy('0.0.0.0/0', '::/0', '169.254.169.254');
  assert.equal(await ask('10.0.0.1'), ['10.0.0.1']);
  for (const host of [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    'fe80::1',
    'fd00:ec2::254',
  ])
    assert.match(String(await ask(host)), REFUSED, host);
});

test('an entry is a name, an address or a range', () => {
  for (const entry of ['db', 'db.internal', 'a_b', '10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8'])
    assert.ok(isHostEntry(entry), entry);
  for (const entry of [
    '',
    'http://db',
    'db:80',
    'db/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '*',
  ])
    assert.not(isHostEntry(entry), entry);
});

test.run();
