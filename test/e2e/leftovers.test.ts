/** A demo that is killed in the middle takes everything along: processes, namespaces, mounts, ports, files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { within } from '../../hack/lab/handles.ts';
import { untilEmpty } from '../../hack/lab/launch.ts';
import { parentOf, processesIn, processIDs } from '../../hack/lab/processes.ts';
import { cacheDir } from '../../hack/setup/cache.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const LAB = join(ROOT, '.lab');
const EVENT_MS = 300_000;

const test = suite('leftovers');

/** Where programs write that ask nobody. */
const PUBLIC_FOLDERS = ['/tmp', '/var/tmp', '/run', '/dev/shm'];

/**
 * Public folders of its own for whoever enters: nobody else writes there meanwhile. The work tree and the cache stay where they
 * are, also below one of these folders.
 */
const PRIVATE_PLACE = `
exec 3<"$1" 4<"$2"
for folder in ${PUBLIC_FOLDERS.join(' ')}; do mount -t tmpfs -o mode=1777 tmpfs "$folder" || exit 1; done
for kept in 3 4; do
  mkdir -p "$1" && mount --no-canonicalize --rbind "/proc/self/fd/$kept" "$1" || exit 1
  shift
done
echo ready
exec cat`;

/** A process whose mounts are such a place; it ends with this one, by the end of its input. @throws Error when it cannot be made */
async function startPlace(): Promise<ChildProcess> {
  const script = ['sh', '-c', PRIVATE_PLACE, 'place', ROOT, cacheDir()];
  const place = spawn('unshare', ['--user', '--map-root-user', '--mount', '--', ...script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ready = Promise.withResolvers<void>();
  place.stdout.once('data', () => ready.resolve());
  place.once('exit', (code) =>
    ready.reject(new Error(`The place for the demo could not be made (${code}).`)),
  );
  await within(ready.promise, EVENT_MS, 'The place for the demo was not made');
  return place;
}

/** The demo up to its third event, in that place, with a home and a folder for temporary files of its own. */
async function startDemo(place: number, dir: string, home: string, temporary: string): Promise<ChildProcess> {
  const enter = ['--target', `${place}`, '--user', '--mount', '--preserve-credentials', '--'];
  const program = [process.execPath, join(ROOT, 'hack', 'demo', 'main.ts'), '--dir', dir];
  const demo = spawn('nsenter', [...enter, ...program], {
    env: { ...process.env, HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: dirname(cacheDir()) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  const third = Promise.withResolvers<void>();
  createInterface({ input: demo.stdout }).on('line', (line) => {
    said.push(line);
    if (line.startsWith('== 3/')) third.resolve();
  });
  demo.once('exit', (code) =>
    third.reject(new Error(`The demo ended (${code}) before its third event:\n${said.join('\n')}`)),
  );
  try {
    await within(third.promise, EVENT_MS, 'The demo should reach its third event');
    return demo;
  } catch (error) {
    demo.kill('SIGKILL');
    throw error;
  }
}

/** Processes by number and start time, which no two processes share. */
async function identify(pids: Iterable<number>): Promise<Set<string>> {
  const found = new Set<string>();
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    // Field 22 of proc_pid_stat(5); the name in parentheses may hold anything.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields !== undefined && fields[0] !== 'Z') found.add(`${pid} started at ${fields[19]}`);
  }
  return found;
}

async function descendantsOf(pid: number): Promise<number[]> {
  const all = await processIDs();
  const parents = new Map(await Promise.all(all.map(async (one) => [one, await parentOf(one)] as const)));
  const isOurs = (one: number | undefined): boolean =>
    one !== undefined && one > 1 && (one === pid || isOurs(parents.get(one)));
  return all.filter(isOurs);
}

const linksOf = async (pids: readonly number[], link: string): Promise<string[]> =>
  (await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/${link}`).catch(() => '')))).filter(
    (target) => target !== '',
  );

/** Inodes of the TCP sockets that listen in this network namespace. */
const listening = (): string[] =>
  ['tcp', 'tcp6'].flatMap((protocol) =>
    readFileSync(`/proc/net/${protocol}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/ +/))
      .filter(([, , , state]) => state === '0A')
      .map((fields) => fields[9] ?? ''),
  );

/** Those of {@link listening} that a process has open. */
async function listeningOf(pids: readonly number[]): Promise<string[]> {
  const inodes = listening();
  const open = new Set<string>();
  for (const pid of pids) {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const target of await Promise.all(
      files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')),
    ))
      open.add(target);
  }
  return inodes.filter((inode) => open.has(`socket:[${inode}]`));
}

/** What the demo shares with others of its place and could leave something in. */
const sharedThings = (place: number): string[] => [
  ...PUBLIC_FOLDERS.flatMap((folder) =>
    readdirSync(`/proc/${place}/root${folder}`).map((name) => join(folder, name)),
  ),
  ...readFileSync(`/proc/${place}/mountinfo`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => `mount ${line}`),
  ...readdirSync('/sys/class/net').map((name) => `device ${name}`),
];

/** Kills a demo in its third event. Returns what is there since then of what it shares. */
async function killDemo(place: number): Promise<string[]> {
  mkdirSync(LAB, { recursive: true, mode: 0o700 });
  const own = mkdtempSync(join(LAB, 'test-leftovers-'));
  const [dir, home, temporary] = ['world', 'home', 'tmp'].map((name) => join(own, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [home, temporary]) mkdirSync(folder);
  const before = new Set(sharedThings(place));
  const demo = await startDemo(place, dir, home, temporary);

  const { userNamespace } = JSON.parse(readFileSync(join(dir, 'world.json'), 'utf8')) as {
    userNamespace: string;
  };
  const pids = [...(await descendantsOf(demo.pid ?? 0)), ...(await processesIn('user', userNamespace))];
  const processes = await identify(pids);
  const ownNetwork = await readlink('/proc/self/ns/net');
  const networks = new Set((await linksOf(pids, 'ns/net')).filter((link) => link !== ownNetwork));
  const ports = await listeningOf(pids);
  assert.ok(processes.size > 10, 'the demo runs a world of processes');
  assert.ok(networks.size >= 5, 'the demo runs in network namespaces');
  assert.ok(ports.length >= 2, 'the demo listens on this machine');

  demo.kill('SIGKILL');
  await untilEmpty(userNamespace);

  const alive = await identify(await processIDs());
  assert.equal(
    [...processes].filter((process) => alive.has(process)),
    [],
    'processes',
  );
  const used = await linksOf(await processIDs(), 'ns/net');
  assert.equal(
    used.filter((network) => networks.has(network)),
    [],
    'network namespaces',
  );
  const open = listening();
  assert.equal(
    ports.filter((inode) => open.includes(inode)),
    [],
    'listening ports',
  );
  assert.equal(readdirSync(home), [], 'files at home');
  assert.equal(readdirSync(temporary), [], 'temporary files');
  rmSync(own, { recursive: true });
  return sharedThings(place).filter((thing) => !before.has(thing));
}

test('SIGKILL of the demo in its third event leaves nothing behind', async () => {
  const place = await startPlace();
  try {
    const left = await killDemo(place.pid ?? 0);
    assert.equal(left, [], 'files in public folders, mounts and network devices');
  } finally {
    place.kill('SIGKILL');
  }
});

test.run();
