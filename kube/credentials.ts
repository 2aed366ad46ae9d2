/** What a request needs to be let in: an Authorization header and the TLS side of the connection, both as fresh as their files. */
import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import { type StartProcess, startProcess } from '../runtime/child.ts';
import { createFileCache, type FileContent } from '../runtime/file-cache.ts';
import { KubeError } from './errors.ts';
import { createExecPlugin, type ExecPlugin, PluginError } from './exec-plugin.ts';
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
   * Headers and TLS of the next request. Token and certificate files, and the kubeconfig's user, are read again when they change,
   * exec plugins run again when their credential expires.
   * @throws KubeError `Unauthorized` when a file or plugin fails, or a file holds no token, and no earlier token is left.
   */
  current(): Promise<{ headers: Record<string, string>; tls: TLSMaterial }>;
  /** Drops what is cached: the server refused the credential (401). */
  forget(): void;
  /** What `current` waits for just now, for people; undefined: nothing. */
  waitsFor(): string | undefined;
  /** Ends a plugin that runs. */
  close(): void;
};

export type CredentialsOptions = {
  /** The access as the kubeconfig has it now, the same object while nothing has changed; its user counts. Default: it never changes. */
  read?: () => Access;
  /** Of an exec plugin; default: with this program's privileges. */
  start?: StartProcess | undefined;
  /** Deadline of a run of it; default 30,000. */
  pluginMs?: number;
};

/** A plugin may ask somebody by network. */
const PLUGIN_MS = 30_000;

type Source = () => FileContent | undefined;

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
  plugin: ExecPlugin | undefined;
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

/** Credentials of a kubeconfig's user for its cluster. */
export const createCredentials = (
  access: Access,
  { read = () => access, start = startProcess, pluginMs = PLUGIN_MS }: CredentialsOptions = {},
): Credentials => {
  const { cluster } = access;
  const ca = sourceOf(cluster.caFile, cluster.caData);
  const sourcesOf = (user: User, plugin: ExecPlugin | undefined): UserSources => ({
    user,
    cert: sourceOf(user.certFile, user.certData),
    key: sourceOf(user.keyFile, user.keyData),
    token: createTokenReader(tokenFileOf(user)),
    plugin,
  });
  let seen = access;
  let sources = sourcesOf(access.user, createExecPlugin(access.user, start, pluginMs));

  /** One that cannot be read, or asks for another cluster, changes nothing here. */
  const follow = (): void => {
    const now = read();
    if (now === seen) return;
    seen = now;
    if (JSON.stringify(now.user) === JSON.stringify(sources.user)) return;
    sources.plugin?.close();
    sources = sourcesOf(now.user, createExecPlugin(now.user, start, pluginMs));
  };

  const authenticate = async ({ user, token, plugin }: UserSources): Promise<RequestOptions> => {
    const said = (await plugin?.credential()) ?? {};
    const headers = { ...(said.headers as Record<string, string> | undefined) };
    const fromFile = token();
    if (fromFile !== undefined) headers.Authorization = `Bearer ${fromFile}`;
    if (user.token) headers.Authorization = `Bearer ${user.token}`;
    return { ...said, headers };
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
      follow();
      const { user } = sources;
      try {
        const options = await authenticate(sources);
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
      sources.plugin?.forget();
      sources = sourcesOf(sources.user, sources.plugin);
    },
    waitsFor: () => sources.plugin?.waitsFor(),
    close: () => sources.plugin?.close(),
  };
};

/** A token file that holds no token. */
class NoTokenError extends Error {
  constructor(path: string) {
    super(`${path} holds no token`);
  }
}

/** Keeps what a plugin printed out of messages and causes: it may be a credential. File errors name their path alone. */
const credentialError = (userName: string, error: unknown): KubeError => {
  const { code = 'unreadable', path } = error as NodeJS.ErrnoException;
  const isPlain = error instanceof NoTokenError || error instanceof PluginError;
  const what = isPlain ? error.message : `${code} ${path ?? ''}`.trim();
  return new KubeError(`read the credentials of user "${userName}": ${what}`, { kind: 'Unauthorized' });
};
