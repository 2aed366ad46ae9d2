/**
 * Makes of each program a folder that runs on Node 24 alone, without `node_modules`: a file that each thread begins with,
 * what they share or load later, and beside them what is no JavaScript. Names stay as they are, so that a stack trace can be read; with `--enable-source-maps` it names the
 * sources.
 */
import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { ENGINE_FLAGS } from '../../agent/worker/engine-flags.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const require = createRequire(import.meta.url);

/** What goes into a program's folder. */
type Program = {
  /** By the name of the bundle: the file it begins with. */
  entryPoints: Record<string, string>;
  /** Files that belong beside it. */
  files: string[];
  flags: readonly string[];
};

/** koffi's binary for this machine's processor; the agent's libc is glibc, so is this. */
const koffiBinary = (): string =>
  require.resolve(`@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`);

const PROGRAMS = {
  agent: () => ({
    entryPoints: { main: 'agent/main.ts', worker: 'agent/worker/worker.ts' },
    files: [koffiBinary(), join(ROOT, 'agent', 'hapair-agent.service')],
    flags: AGENT_FLAGS,
  }),
  operator: () => ({
    entryPoints: { main: 'operator/main.ts' },
    files: [join(ROOT, 'crds', 'hapair.yaml'), join(ROOT, 'crds', 'vrrpinstance.yaml')],
    flags: [],
  }),
} satisfies Record<string, () => Program>;

/** A program that can be bundled. */
export type ProgramName = keyof typeof PROGRAMS;

/** Every program, in the order in which they are built. */
export const PROGRAM_NAMES: readonly ProgramName[] = ['agent', 'operator'];

/** koffi looks for its binary in other packages, where a bundler cannot follow; here it lies beside the bundle. */
const koffiBeside: Plugin = {
  name: 'koffi-beside',
  setup({ onLoad }) {
    onLoad({ filter: /\/koffi\/src\/koffi\/src\/static\.js$/ }, () => ({
      contents: `import { createRequire } from 'node:module';
export const loadStatic = () => createRequire(import.meta.url)('./koffi.node');`,
    }));
  },
};

/**
 * What the agent asks of Node. A young generation of 1 MB for each thread: it serves a daemon that hardly allocates as well as
 * the default of 16 MB, which its memory would grow by. And an old generation that ends a leak before the node suffers.
 */
export const AGENT_FLAGS: readonly string[] = [
  ...ENGINE_FLAGS,
  '--max-semi-space-size=1',
  '--max-old-space-size=128',
];

/** Lets the program be called by its file. */
const shebang = (flags: readonly string[]): string => `#!/usr/bin/env -S node ${flags.join(' ')}`.trimEnd();

/** CommonJS packages ask for Node's modules by `require`, which a module has not by itself. */
const BANNER = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

/** One file of a bundle. */
export type BundledFile = { path: string; bytes: number };

/**
 * Bundles a program into `directory`, whose former content goes.
 * @returns the files, the program itself (`main.js`) first
 * @throws Error with esbuild's words, or when koffi has no binary for this processor
 */
export const bundle = async (name: ProgramName, directory: string): Promise<BundledFile[]> => {
  const { entryPoints, files, flags }: Program = PROGRAMS[name]();
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints,
    outdir: directory,
    bundle: true,
    // What is imported only when it is needed stays in a file of its own: a command, or a reload, loads no more than that.
    splitting: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: `${shebang(flags)}\n${BANNER}` },
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'linked',
    plugins: [koffiBeside],
    metafile: true,
    logLevel: 'silent',
  });
  await chmod(join(directory, 'main.js'), 0o755);
  const copied = files.map((file) => join(directory, basename(file)));
  await Promise.all(files.map((file, index) => copyFile(file, copied[index] ?? directory)));
  await writeFile(join(directory, 'package.json'), await packageJSON(name));
  const written = [...Object.keys(metafile.outputs).map((path) => join(ROOT, path)), ...copied];
  return Promise.all(written.map(async (path) => ({ path, bytes: (await stat(path)).size })));
};

/** Bundles the agent into `directory`. @returns the command line that starts it, before its own flags */
export const bundleAgent = async (directory: string): Promise<string[]> => {
  await bundle('agent', directory);
  return [process.execPath, ...AGENT_FLAGS, join(directory, 'main.js')];
};

/** Says that the bundles are modules, and which version they are. */
const packageJSON = async (name: ProgramName): Promise<string> => {
  const { version, license, engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  return `${JSON.stringify({ name: `hapair-${name}`, version, license, private: true, type: 'module', engines }, undefined, 2)}\n`;
};
