/**
 * Finds and reads a kubeconfig. Entries are parsed by @kubernetes/client-node, from its config_types module alone: the
 * whole package costs 0.7 s and 80 MB at import for models this folder does not use.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import {
  type Cluster,
  type Context,
  newClusters,
  newContexts,
  newUsers,
  type User,
} from '@kubernetes/client-node/dist/config_types.js';
import { parse, YAMLParseError } from 'yaml';
import { versionOf } from '../runtime/file-cache.ts';
import { KubeError } from './errors.ts';

export type { User };

/** Where a pod finds its ServiceAccount. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The cluster to talk to and the user to talk as. */
export type Access = { cluster: Cluster; user: User };

/** The environment variables that matter; `process.env` fits. */
export type Environment = Record<string, string | undefined>;

type RawUser = { name?: string; user?: Record<string, unknown> };
type RawConfig = { clusters?: unknown; contexts?: unknown; users?: RawUser[]; 'current-context'?: string };

const invalid = (what: string, cause?: unknown): KubeError =>
  new KubeError(what, { kind: 'Invalid' }, cause === undefined ? undefined : { cause });

/**
 * The access to use: `path`; else the files of KUBECONFIG; else, in a pod, its ServiceAccount; else ~/.kube/config.
 * @throws KubeError `Invalid` when nothing usable is there; the message names the file and never quotes it.
 */
export const loadAccess = (path: string | undefined, environment: Environment): Access => {
  const paths = filesOf(path, environment);
  return paths === undefined ? accessInCluster(environment) : accessOfFiles(paths);
};

/** Undefined: a pod's ServiceAccount, whose files are read by themselves. */
const filesOf = (path: string | undefined, environment: Environment): string[] | undefined => {
  const paths = path ? [path] : (environment.KUBECONFIG ?? '').split(delimiter).filter(Boolean);
  if (paths.length > 0) return paths;
  return environment.KUBERNETES_SERVICE_HOST ? undefined : [join(homedir(), '.kube', 'config')];
};

/** As {@link loadAccess}, each time. @returns the same object as long as the files have not changed */
export const createAccessReader = (path: string | undefined, environment: Environment): (() => Access) => {
  let last: { version: string; access: Access } | undefined;
  return () => {
    // Before it is read: whoever writes meanwhile makes another version.
    const version = (filesOf(path, environment) ?? []).map(versionOrNone).join('|');
    if (last?.version !== version) last = { version, access: loadAccess(path, environment) };
    return last.access;
  };
};

const versionOrNone = (path: string): string => {
  try {
    return versionOf(path);
  } catch {
    return 'none';
  }
};

const accessInCluster = (environment: Environment): Access => {
  const host = environment.KUBERNETES_SERVICE_HOST ?? '';
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${environment.KUBERNETES_SERVICE_PORT ?? 443}`;
  return {
    cluster: { name: 'in-cluster', server, caFile: `${SERVICE_ACCOUNT}/ca.crt`, skipTLSVerify: false },
    user: { name: 'in-cluster', authProvider: tokenFileProvider(`${SERVICE_ACCOUNT}/token`) },
  };
};

/** The form in which client-node keeps a token file. */
const tokenFileProvider = (tokenFile: string) => ({ name: 'tokenFile', config: { tokenFile } });

/** The file that holds a user's token, if one does. */
export const tokenFileOf = ({ authProvider }: User): string | undefined => authProvider?.config?.tokenFile;

/** Files merge as kubectl merges them: the first that names an entry, or a current context, wins. */
const accessOfFiles = (paths: string[]): Access => {
  const where = paths.join(delimiter);
  const configs = paths.map(readConfig);
  const contextName = configs.map((config) => config.current).find(Boolean);
  if (!contextName) throw invalid(`kubeconfig ${where}: no current-context is set`);
  const context = named(
    configs.flatMap((config) => config.contexts),
    contextName,
    `context of ${where}`,
  );
  const cluster = named(
    configs.flatMap((config) => config.clusters),
    context.cluster,
    `cluster of ${where}`,
  );
  const user = named(
    configs.flatMap((config) => config.users),
    context.user,
    `user of ${where}`,
  );
  refuseUnsupported(cluster, user, where);
  return { cluster, user };
};

const named = <T extends { name: string }>(entries: T[], name: string, what: string): T => {
  const entry = entries.find((candidate) => candidate.name === name);
  if (!entry) throw invalid(`kubeconfig: no ${what} is named "${name}"`);
  return entry;
};

type Config = { clusters: Cluster[]; users: User[]; contexts: Context[]; current: string | undefined };

const readConfig = (path: string): Config => {
  const raw = parseConfig(path);
  const absolute = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  try {
    const clusters = newClusters(raw.clusters);
    const users = (raw.users ?? []).map((entry) => userOf(entry, absolute));
    for (const cluster of clusters) if (cluster.caFile) cluster.caFile = absolute(cluster.caFile);
    return { clusters, users, contexts: newContexts(raw.contexts), current: raw['current-context'] };
  } catch (error) {
    throw invalid(`kubeconfig ${path}: ${error instanceof Error ? error.message : 'unreadable entry'}`);
  }
};

/** client-node reads a `tokenFile` never (it knows only `token-file`, and that once): here it stays a file to read anew. */
const userOf = (entry: RawUser, absolute: (file: string) => string): User => {
  const { tokenFile, ...rest } = entry.user ?? {};
  const [user] = newUsers([{ ...entry, user: rest }]);
  if (!user) throw new Error('a user entry is empty');
  if (user.certFile) user.certFile = absolute(user.certFile);
  if (user.keyFile) user.keyFile = absolute(user.keyFile);
  if (typeof tokenFile !== 'string') return user;
  return { ...user, authProvider: tokenFileProvider(absolute(tokenFile)) };
};

const parseConfig = (path: string): RawConfig => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`kubeconfig ${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
  try {
    return (parse(text, { prettyErrors: false }) ?? {}) as RawConfig;
  } catch (error) {
    // The parser's message can quote the file, and with it a token.
    const code = error instanceof YAMLParseError ? error.code : 'unreadable';
    throw invalid(`kubeconfig ${path}: not YAML (${code})`);
  }
};

const refuseUnsupported = (cluster: Cluster, user: User, where: string): void => {
  const provider = user.authProvider as { name?: string } | null | undefined;
  const refused =
    (cluster.proxyUrl && 'proxy-url') ||
    (user.username && 'username and password') ||
    (provider && provider.name !== 'tokenFile' && `auth-provider "${provider.name}"`);
  if (!refused) return;
  throw invalid(
    `kubeconfig ${where}: ${refused} is not supported; use token, tokenFile, a client certificate or exec`,
  );
};
