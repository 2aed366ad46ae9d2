/** What a request needs to be let in: an Authorization header and the TLS side of the connection, both as fresh as their files. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { KubeError } from './errors.ts';
import { type Access, tokenFileOf, type User } from './kubeconfig.ts';

/** TLS material of one connection; `version` changes whenever any of it does. */
export type TLSMaterial = {
  version: string;
  ca?: Buffer;
  cert?: Buffer | string;
  key?: Buffer | string;
  servername?: string;
  rejectUnauthorized?: false;
};

export type Credentials = {
  /**
   * Headers and TLS of the next request. Token and certificate files are read again when they change, exec plugins run
   * again when their credential expires.
   * @throws KubeError `Unauthorized` when a file or plugin fails, or a file holds no token, and no earlier token is left.
   */
  current(): Promise<{ headers: Record<string, string>; tls: TLSMaterial }>;
  /** Drops what is cached, and reads the kubeconfig's user again: the server refused the credential (401). */
  forget(): void;
};

/** A plugin may ask somebody by network. */
const PLUGIN_MS = 30_000;

/** Reads a file again only when its inode, size or time changed. */
const createFileCache = (path: string) => {
  let version = '';
  let content: Buffer = Buffer.alloc(0);
  return (): { version: string; content: Buffer } => {
    const { ino, size, mtimeMs } = statSync(path);
    const seen = `${ino}:${size}:${mtimeMs}`;
    if (seen !== version) {
      content = readFileSync(path);
      version = seen;
    }
    return { version, content };
  };
};

type Source = () => { version: string; content: Buffer } | undefined;

/** A file wins over inline data, as in kubectl. */
const sourceOf = (file: string | undefined, data: string | undefined): Source => {
  if (file) return createFileCache(file);
  const version = data && `inline ${createHash('sha256').update(data).digest('hex')}`;
  const inline = data && version ? { version, content: Buffer.from(data, 'base64') } : undefined;
  return () => inline;
};

/** What a request carries of a user. */
type UserSources = {
  user: User;
  cert: Source;
  key: Source;
  token: () => string | undefined;
  /** Asks the exec plugin, if there is one, and writes what it says into the options. */
  plugin: (options: RequestOptions) => Promise<void>;
};

const sourcesOf = (user: User, pluginMs: number): UserSources => ({
  user,
  cert: sourceOf(user.certFile, user.certData),
  key: sourceOf(user.keyFile, user.keyData),
  token: createTokenReader(tokenFileOf(user)),
  plugin: createPlugin(user, pluginMs),
});

/**
 * The exec plugin of a user; nothing without one. It runs once at a time: a plugin that waits for a network that is away would
 * else be started again by each call. One that does not end in time is killed.
 */
const createPlugin = (user: User, deadlineMs: number): UserSources['plugin'] => {
  const plugin = new ExecAuth();
  if (!plugin.isAuthProvider(user)) return async () => undefined;
  const execFn = (command: string, args: string[], options: SpawnOptions): ChildProcess => {
    const child = spawn(command, args, { ...options, timeout: deadlineMs, killSignal: 'SIGKILL' });
    child.once('exit', (_, signal) => {
      // What it has started may hold its output open.
      if (signal !== null) for (const stream of [child.stdout, child.stderr]) stream?.destroy();
    });
    return child;
  };
  // Private there, but how its own tests replace it; client-node.test.ts tells when it is gone.
  Object.assign(plugin, { execFn });
  let running: Promise<RequestOptions> | undefined;
  const run = async (): Promise<RequestOptions> => {
    const options: RequestOptions = { headers: {} };
    await plugin.applyAuthentication(user, options);
    return options;
  };
  return async (options) => {
    running ??= run().finally(() => {
      running = undefined;
    });
    const { headers, ...tls } = await running;
    Object.assign(options, tls, { headers: { ...options.headers, ...headers } });
  };
};

/** What an HTTP header can carry as a bearer token (RFC 6750 section 2.1), without naming its alphabet. */
const TOKEN = /^[\x21-\x7e]+$/;

/**
 * The token in a file. One that is missing, or holds none, leaves the last good one in use, as in client-go: it may be
 * written just now, and the server will say when that token is good no longer.
 * @throws NoTokenError, or the file system's error, when there is no last good one
 */
const createTokenReader = (path: string | undefined): (() => string | undefined) => {
  if (path === undefined) return () => undefined;
  const read = createFileCache(path);
  let good: string | undefined;
  return () => {
    try {
      const token = read().content.toString('utf8').trim();
      // Without one the request would go out as that of nobody, and its refusal would name no cause.
      if (!TOKEN.test(token)) throw new NoTokenError(path);
      good = token;
    } catch (error) {
      if (good === undefined) throw error;
    }
    return good;
  };
};

/**
 * Credentials of a kubeconfig user for a cluster.
 * @param reread the user as the kubeconfig has it now, null when it cannot be read; default: as it was
 * @param pluginMs deadline of a run of an exec plugin; default 30,000
 */
export const createCredentials = (
  { cluster, user }: Access,
  reread: () => User | null = () => user,
  pluginMs = PLUGIN_MS,
): Credentials => {
  const ca = sourceOf(cluster.caFile, cluster.caData);
  let sources = sourcesOf(user, pluginMs);

  const authenticate = async (): Promise<RequestOptions> => {
    const { user, token, plugin } = sources;
    const options: RequestOptions & { headers: Record<string, string> } = { headers: {} };
    await plugin(options);
    const fromFile = token();
    if (fromFile !== undefined) options.headers.Authorization = `Bearer ${fromFile}`;
    if (user.token) options.headers.Authorization = `Bearer ${user.token}`;
    return options;
  };

  const material = (fromPlugin: RequestOptions): TLSMaterial => {
    const files = [ca(), sources.cert(), sources.key()];
    const tls: TLSMaterial = { version: files.map((file) => file?.version ?? '-').join('|') };
    const [caFile, certFile, keyFile] = files;
    if (caFile) tls.ca = caFile.content;
    if (certFile) tls.cert = certFile.content;
    if (keyFile) tls.key = keyFile.content;
    if (typeof fromPlugin.cert === 'string' && typeof fromPlugin.key === 'string') {
      tls.cert = fromPlugin.cert;
      tls.key = fromPlugin.key;
      tls.version += `|${fromPlugin.cert}`;
    }
    if (cluster.tlsServerName) tls.servername = cluster.tlsServerName;
    if (cluster.skipTLSVerify) tls.rejectUnauthorized = false;
    return tls;
  };

  return {
    async current() {
      const { user } = sources;
      try {
        const options = await authenticate();
        const headers: Record<string, string> = {};
        const { Authorization } = options.headers as Record<string, string>;
        if (Authorization) headers.authorization = Authorization.trim();
        if (user.impersonateUser) headers['impersonate-user'] = user.impersonateUser;
        return { headers, tls: material(options) };
      } catch (error) {
        throw credentialError(user.name, error);
      }
    },
    forget() {
      sources = sourcesOf(reread() ?? sources.user, pluginMs);
    },
  };
};

/** A token file that holds no token. */
class NoTokenError extends Error {}

/** Keeps what a plugin printed out of messages and causes: it may be a credential. File errors name their path alone. */
const credentialError = (userName: string, error: unknown): KubeError => {
  if (error instanceof NoTokenError) {
    const message = `read the credentials of user "${userName}": ${error.message} holds no token`;
    return new KubeError(message, { kind: 'Unauthorized' });
  }
  const { code, path } = error as NodeJS.ErrnoException;
  const what = code ? `${code} ${path ?? ''}`.trim() : 'the exec plugin failed or printed no credential';
  return new KubeError(`read the credentials of user "${userName}": ${what}`, { kind: 'Unauthorized' });
};
