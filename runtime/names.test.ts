import type { StdioPipeNamed } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type StartProcess, startProcess } from './child.ts';
import {
  askNameServers,
  createResolver,
  createSystemLookup,
  lookupBy,
  type Resolve,
  type ResolverOptions,
} from './names.ts';
import { createVirtualClock } from './testing/virtual-clock.ts';

type Context = { dir: string; hostsFile: string };
const test = suite<Context>('names');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'hapair-names-'));
  context.hostsFile = join(context.dir, 'hosts');
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const coded = (code: string): Error => Object.assign(new Error(code), { code });
const nobody: Resolve = async (name) => {
  throw coded(name === 'away' ? 'ETIMEOUT' : 'ENOTFOUND');
};
const codeOf = (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    (found) => `found ${found}`,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );

/** A resolver whose name servers and system answer as the test says; who was asked for what is kept. */
const createBench = ({ hostsFile }: Context, options: ResolverOptions = {}) => {
  const asked: string[] = [];
  const world = { nameServers: nobody, system: nobody };
  const clock = createVirtualClock();
  const resolve = createResolver({
    hostsFile,
    clock,
    nameServers: (name) => {
      asked.push(`name servers: ${name}`);
      return world.nameServers(name);
    },
    system: (name) => {
      asked.push(`system: ${name}`);
      return world.system(name);
    },
    ...options,
  });
  return { resolve, asked, world, clock };
};

test('an address is its own answer, and localhost needs no lookup either', async (context) => {
  const { resolve, asked } = createBench(context);
  assert.equal(await resolve('10.10.10.11'), ['10.10.10.11']);
  assert.equal(await resolve('::1'), ['::1']);
  for (const name of ['localhost', 'LOCALHOST.', 'db.localhost'])
    assert.equal(await resolve(name), ['127.0.0.1', '::1']);
  assert.equal(asked, []);
});

test('/etc/hosts comes before name servers, and is read again when it has changed', async (context) => {
  const { resolve, asked } = createBench(context);
  const hosts = '# our own\nfd00::5 DB\n10.0.0.5\tdb.internal db # both\nnonsense db\n';
  writeFileSync(context.hostsFile, hosts);
  assert.equal(await resolve('db'), ['10.0.0.5', 'fd00::5']);
  assert.equal(await resolve('Db.Internal.'), ['10.0.0.5']);
  writeFileSync(context.hostsFile, '10.0.0.66 db\n');
  assert.equal(await resolve('db'), ['10.0.0.66']);
  rmSync(context.hostsFile);
  assert.equal(await resolve('db'), ['10.0.0.66'], 'one that is being written has its last content');
  assert.equal(asked, []);
});

test('what no name server knows the system is asked for, and if it does not either, their word stands', async (context) => {
  const { resolve, asked, world } = createBench(context);
  world.system = async (name) => (name === 'printer' ? ['fe80::9', '10.0.0.9'] : nobody(name));
  assert.equal(await resolve('printer'), ['10.0.0.9', 'fe80::9'], 'IPv4 first');
  assert.is(await codeOf(resolve('away')), 'ETIMEOUT');
  assert.equal(
    asked,
    ['printer', 'away'].flatMap((name) => [`name servers: ${name}`, `system: ${name}`]),
  );
});

test('whoever asks for a name that is being looked up waits for the same answer', async (context) => {
  const { resolve, asked, world } = createBench(context);
  const answer = Promise.withResolvers<string[]>();
  world.nameServers = () => answer.promise;
  const answers = [resolve('db'), resolve('DB'), resolve('db.')];
  assert.equal(asked, ['name servers: db']);
  answer.resolve(['10.0.0.1']);
  assert.equal(await Promise.all(answers), [['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']]);
  await resolve('db');
  assert.is(asked.length, 2, 'and again once it has answered');
});

test('a failure is not remembered', async (context) => {
  const { resolve, world } = createBench(context);
  assert.is(await codeOf(resolve('db')), 'ENOTFOUND');
  world.nameServers = async () => ['10.0.0.1'];
  assert.equal(await resolve('db'), ['10.0.0.1']);
});

test('while name servers fail or say nothing, a name keeps the addresses that it had', async (context) => {
  const { resolve, world, clock } = createBench(context);
  world.nameServers = async () => ['10.0.0.1'];
  await resolve('away');
  world.nameServers = nobody;
  assert.equal(await resolve('away'), ['10.0.0.1']);
  const late = Promise.withResolvers<string[]>();
  world.nameServers = () => late.promise;
  const answer = resolve('away');
  await clock.advance(300);
  assert.equal(await answer, ['10.0.0.1']);
  late.resolve(['10.0.0.2']);
  await clock.advance(0);
  world.nameServers = nobody;
  assert.equal(await resolve('away'), ['10.0.0.2'], 'the late answer counts from then on');
});

test('of a thousand names the addresses are kept, and of those alone that were looked up last', async (context) => {
  const { resolve, world } = createBench(context);
  world.nameServers = async () => ['10.0.0.1'];
  for (const name of ['away', ...Array.from({ length: 999 }, (_, at) => `n${at}`)]) await resolve(name);
  world.nameServers = nobody;
  assert.equal(await resolve('away'), ['10.0.0.1']);
  world.nameServers = async () => ['10.0.0.1'];
  await resolve('one-more');
  world.nameServers = nobody;
  assert.is(await codeOf(resolve('away')), 'ETIMEOUT');
});

test('a name that is denied has no address any more', async (context) => {
  const { resolve, world } = createBench(context);
  world.nameServers = async () => ['10.0.0.1'];
  await resolve('db');
  world.nameServers = nobody;
  assert.is(await codeOf(resolve('db')), 'ENOTFOUND');
  world.nameServers = async () => {
    throw coded('ETIMEOUT');
  };
  assert.is(await codeOf(resolve('db')), 'ETIMEOUT');
});

test('a socket asks for one address, for all, or for those of a family', async (context) => {
  const { resolve, world } = createBench(context);
  world.nameServers = async () => ['fd00::1', '10.0.0.1'];
  const lookup = lookupBy(resolve);
  const ask = (options: object) =>
    new Promise((done) => lookup('db', options, (error, ...found) => done(error?.code ?? found)));
  assert.equal(await ask({}), ['10.0.0.1', 4]);
  assert.equal(await ask({ family: 6 }), ['fd00::1', 6]);
  assert.equal(await ask({ all: true }), [
    [
      { address: '10.0.0.1', family: 4 },
      { address: 'fd00::1', family: 6 },
    ],
  ]);
  world.nameServers = async () => ['10.0.0.1'];
  assert.equal(await ask({ family: 'IPv6' }), 'ENOTFOUND');
  assert.equal(await new Promise((done) => lookup('nowhere.invalid', {}, done)).then(() => 'asked'), 'asked');
});

/** A name server on this machine. @param answer the records of a type, as a message has them; null: no answer */
const startNameServer = async (answer: (type: number) => Buffer[] | null) => {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5;
    const records = answer(query.readUInt16BE(end - 4));
    if (records === null) return;
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(records.length, 6);
    header.fill(0, 8);
    socket.send(Buffer.concat([header, query.subarray(12, end), ...records]), port, address);
  });
  await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
  return { address: `127.0.0.1:${socket.address().port}`, close: () => void socket.close() };
};
/** RFC 1035 section 4.1.3: of the name that was asked for, class IN. */
const record = (type: number, ...data: number[]): Buffer =>
  Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]);

test('name servers are asked for both families', async () => {
  const server = await startNameServer((type) => (type === 1 ? [record(1, 10, 0, 0, 7)] : []));
  assert.equal(await askNameServers('db.example', [server.address]), ['10.0.0.7']);
  server.close();
  const none = await startNameServer(() => []);
  assert.is(await codeOf(askNameServers('db.example', [none.address])), 'ENODATA');
  none.close();
});

test('name servers that never answer are given up at the deadline', async () => {
  const silent = await startNameServer(() => null);
  assert.is(await codeOf(askNameServers('db.example', [silent.address], 50)), 'ECANCELLED');
  const half = await startNameServer((type) => (type === 1 ? [] : null));
  assert.is(await codeOf(askNameServers('db.example', [half.address], 50)), 'ECANCELLED', 'no denial');
  silent.close();
  half.close();
});

test('the system is asked by getent, one name at a time; a process that hangs is ended with what it has started', async () => {
  const ask = createSystemLookup();
  assert.equal(await ask('127.0.0.9'), ['127.0.0.9']);
  assert.is(await codeOf(ask('-h')), 'ENOTFOUND');
  const gone = Promise.withResolvers<void>();
  let started = 0;
  const hang: StartProcess = (_program, _words, options) => {
    started += 1;
    // All that it has started holds the fourth descriptor.
    const stdio = [...(options.stdio as StdioPipeNamed[]), 'pipe'] as const;
    const child = startProcess('/bin/sh', ['-c', 'sleep 600 & sleep 600'], { stdio: [...stdio] });
    child.stdio[3]?.on('close', () => gone.resolve()).on('data', () => undefined);
    return child;
  };
  const hung = createSystemLookup(hang, 200);
  const answers = [codeOf(hung('db')), codeOf(hung('web'))];
  assert.equal(await Promise.all(answers), ['ETIMEOUT', 'ETIMEOUT']);
  assert.is(started, 1, 'whose time is over before his turn starts nothing');
  await gone.promise;
  assert.is(await codeOf(createSystemLookup(undefined, undefined, '/nonexistent')('db')), 'ENOENT');
});

test.run();
