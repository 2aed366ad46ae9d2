/** The programs that demo, lab and tests call, all in one folder. */
import { mkdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findKubeClients, type KubeClients } from '../controlplane/clients.ts';
import { linkFolder } from './cache.ts';
import { DEBIAN_PROGRAMS, type DebianProgramName, findDebianPrograms } from './debian.ts';
import { checkUserNamespaces } from './namespaces.ts';

/** Absolute paths of the programs that demo, lab and tests call. */
export type Tools = Record<DebianProgramName | keyof KubeClients, string>;

/** The tools, by name and by path. */
export type ToolEnvironment = {
  /** To be laid over `process.env` of whatever calls the tools by name. */
  env: { PATH: string };
  tools: Tools;
};

/**
 * Makes the programs that a bare Debian machine lacks available, and checks that the lab's namespaces can be made.
 * About a second when nothing is to do.
 * @throws Error that says what is missing and how to get it.
 */
export const ensureTools = async (): Promise<ToolEnvironment> => {
  await checkUserNamespaces();
  // One after the other: both may print progress and share the machine's network.
  const tools: Tools = { ...(await findDebianPrograms(DEBIAN_PROGRAMS)), ...(await findKubeClients()) };
  return { env: { PATH: [linked(tools), process.env.PATH ?? ''].join(delimiter) }, tools };
};

/** A folder with exactly these tools, so that no neighbour of theirs hides a program of the machine. */
const linked = (tools: Tools): string => {
  const dir = linkFolder();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const [name, target] of Object.entries(tools)) link(join(dir, name), target);
  return dir;
};

const link = (path: string, target: string): void => {
  if (linkTarget(path) === target) return;
  const unfinished = `${path}.${process.pid}`;
  symlinkSync(target, unfinished);
  renameSync(unfinished, path);
};

const linkTarget = (path: string): string | undefined => {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
};
