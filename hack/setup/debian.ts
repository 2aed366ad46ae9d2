/**
 * Debian's programs that a bare machine lacks: installed when this is root, else unpacked into the cache with all they
 * need, and called through small wrappers there.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from './cache.ts';
import { isExecutable, run, which } from './run.ts';

/** Program, the package that has it, and an argument with which it only says that it works. */
type DebianProgram<Name extends string = string> = {
  name: Name;
  debianPackage: string;
  check: string;
  /** The distribution's own file counts, and not what else the PATH may find. */
  path?: string;
};

/** Tried with Debian 12: nftables 1.0, awscli 2.9, iproute2 6.1, openssl 3.0. */
export const DEBIAN_PROGRAMS = [
  { name: 'nft', debianPackage: 'nftables', check: '--version' },
  { name: 'aws', debianPackage: 'awscli', check: '--version' },
  { name: 'ip', debianPackage: 'iproute2', check: '-V' },
  { name: 'openssl', debianPackage: 'openssl', check: 'version' },
] as const satisfies readonly DebianProgram[];

/** The name of one of them. */
export type DebianProgramName = (typeof DEBIAN_PROGRAMS)[number]['name'];

/** What the recipe elects with, and hapair's peer in tests: 2.2.7 in Debian 12. */
export const KEEPALIVED = [
  { name: 'keepalived', debianPackage: 'keepalived', check: '--version' },
] as const satisfies readonly DebianProgram[];

/**
 * The recipe's own programs, for the failover benchmark: keepalived, and the `aws` command of the distribution, for how
 * long one takes to start differs from version to version.
 */
export const RECIPE_PROGRAMS = [
  { name: 'aws', debianPackage: 'awscli', check: '--version', path: '/usr/bin/aws' },
  ...KEEPALIVED,
  { name: 'curl', debianPackage: 'curl', check: '--version' },
] as const satisfies readonly DebianProgram[];

/** Of the explicit-state model. It works installed alone, not unpacked. */
export const COMPILER = [
  { name: 'g++', debianPackage: 'g++', check: '--version' },
] as const satisfies readonly DebianProgram[];

const APT_MS = 10 * 60_000;

/**
 * Finds Debian's programs on the PATH, else installs or unpacks them, in the distribution's version. Returns absolute paths.
 * @throws Error when one is missing and apt-get cannot bring it.
 */
export const findDebianPrograms = async <Name extends string>(
  programs: readonly DebianProgram<Name>[],
): Promise<Record<Name, string>> => {
  let found = await Promise.all(programs.map((program) => working(program)));
  const missing = programs.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) {
    const unpacked = await provide(missing);
    found = await Promise.all(programs.map((program, index) => found[index] ?? working(program, unpacked)));
  }
  const stillMissing = programs.filter((_, index) => found[index] === undefined);
  if (stillMissing.length > 0) {
    const names = stillMissing
      .map(({ name, debianPackage }) => `${name} (package ${debianPackage})`)
      .join(', ');
    throw new Error(`Missing, or not working: ${names}. Install it and try again.`);
  }
  return Object.fromEntries(programs.map(({ name }, index) => [name, found[index]])) as Record<Name, string>;
};

/** A broken one, such as a version manager's stub for a program that is not there, counts as missing. */
const working = async (program: DebianProgram, dir?: string): Promise<string | undefined> => {
  const { name, check } = program;
  const installed = program.path === undefined ? which(name) : [program.path].find(isExecutable);
  const path = dir === undefined ? installed : [join(dir, name)].find(isExecutable);
  if (path === undefined) return undefined;
  return run(path, [check]).then(
    () => path,
    () => undefined,
  );
};

/** Returns the folder of the wrappers, or undefined when they are on the PATH now. */
const provide = async (programs: readonly DebianProgram[]): Promise<string | undefined> => {
  const packages = programs.map(({ debianPackage }) => debianPackage).sort();
  if (which('apt-get') === undefined)
    throw new Error(`Missing Debian packages, and no apt-get to bring them: ${packages.join(' ')}`);
  await mkdir(cacheDir(), { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0) return unpack(packages, programs);
  console.error(`hapair: installing Debian packages: ${packages.join(' ')}`);
  await install(packages);
  return undefined;
};

/** One of ours at a time; dpkg's own lock is waited for as well. */
const aptGet = (args: readonly string[], cwd?: string) =>
  run('flock', [join(cacheDir(), 'apt.lock'), 'apt-get', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    timeoutMs: APT_MS,
    ...(cwd === undefined ? {} : { cwd }),
  });

const hasLists = (dir: string): boolean =>
  existsSync(dir) && readdirSync(dir).some((name) => name.includes('_Packages'));

const install = async (packages: readonly string[]): Promise<void> => {
  const args = ['install', '--yes', '--no-install-recommends', ...packages];
  if (hasLists('/var/lib/apt/lists')) {
    try {
      await aptGet(args);
      return;
    } catch {
      // The lists may be older than the archive; what is wrong beyond that shows again below.
    }
  }
  await aptGet(['update']);
  await aptGet(args);
};

const unpack = async (packages: readonly string[], programs: readonly DebianProgram[]): Promise<string> => {
  const key = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 12);
  const dir = join(cacheDir(), `debian-${key}`);
  if (existsSync(dir)) return join(dir, 'bin');
  console.error(`hapair: unpacking Debian packages into ${dir}: ${packages.join(' ')}`);
  const unfinished = await mkdtemp(`${dir}.unpacking-`);
  try {
    await download(packages, unfinished);
    const root = join(unfinished, 'root');
    await mkdir(root);
    for (const name of readdirSync(unfinished).filter((file) => file.endsWith('.deb'))) {
      await run('dpkg-deb', ['--extract', join(unfinished, name), root], { timeoutMs: 120_000 });
      await rm(join(unfinished, name));
    }
    await writeWrappers(programs, unfinished, join(dir, 'root'));
    await rename(unfinished, dir).catch((error: unknown) => {
      if (!existsSync(dir)) throw error; // else another process was faster
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return join(dir, 'bin');
};

/** The packages and what they depend on and the machine lacks, with lists and locks of our own: no root needed. */
const download = async (packages: readonly string[], dir: string): Promise<void> => {
  const lists = join(dir, 'apt', 'lists');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(dir, 'apt', 'archives', 'partial'), { recursive: true });
  const own = [
    ...['-o', `Dir::State::lists=${lists}`, '-o', 'Dir::State::status=/var/lib/dpkg/status'],
    ...['-o', `Dir::Cache=${join(dir, 'apt')}`, '-o', 'Debug::NoLocking=true'],
  ];
  await aptGet([...own, 'update'], dir);
  const plan = await aptGet([...own, 'install', '--simulate', '--no-install-recommends', ...packages], dir);
  // Inst libnftables1 (1.0.6-2+deb12u2 Debian:12.11/stable [amd64])
  const lacking = new Map(
    [...plan.stdout.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+) /gm)].map(([, name = '', version = '']) => [
      name,
      version,
    ]),
  );
  // One that counts as installed and yet does not work here is brought all the same.
  const installed = packages.filter((name) => !lacking.has(name));
  const wanted = [...installed, ...[...lacking].map(([name, version]) => `${name}=${version}`)];
  await aptGet([...own, 'download', ...wanted], dir);
  await rm(join(dir, 'apt'), { recursive: true });
};

/** Only the wrapped program sees the unpacked libraries and modules. `root` is where the packages will lie. */
const writeWrappers = async (
  programs: readonly DebianProgram[],
  unfinished: string,
  root: string,
): Promise<void> => {
  const bin = join(unfinished, 'bin');
  await mkdir(bin);
  for (const { name } of programs) {
    const program = ['usr/sbin', 'usr/bin', 'sbin', 'bin']
      .map((dir) => join(dir, name))
      .find((path) => existsSync(join(unfinished, 'root', path)));
    if (program === undefined) continue;
    const wrapper = [
      '#!/bin/sh',
      `root=${shellQuote(root)}`,
      'export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu"',
      'export PYTHONPATH="$root/usr/lib/python3/dist-packages"',
      `exec "$root/${program}" "$@"`,
      '',
    ];
    await writeFile(join(bin, name), wrapper.join('\n'));
    await chmod(join(bin, name), 0o755);
  }
};

const shellQuote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
