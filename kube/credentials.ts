/** What a request needs to be let in: an Authorization header and the TLS side of the connection, both as fresh as their files. */
import { readFileSync, statSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { FileAuth } from '@kubernetes/client-node/dist/file_auth.js';
import { KubeError } from './errors.ts';
import type { Access } from './kubeconfig.ts';

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
   * Headers and TLS of the next request. Token files are read again every minute (client-node's FileAuth), exec plugins
   * run again when their credential expires, certificate files are read again when they change.
   * @throws KubeError `Unauthorized` when a file or plugin fails.
   */
  current(): Promise<{ headers: Record<string, string>; tls: TLSMaterial }>;
  /** Drops cached tokens: the server refused one (401). */
  forget(): void;
};

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
  const inline = data ? { version: 'inline', content: Buffer.from(data, 'base64') } : undefined;
  return () => inline;
};

/** Credentials of a kubeconfig user for a cluster. */
export const createCredentials = ({ cluster, user }: Access): Credentials => {
  const ca = sourceOf(cluster.caFile, cluster.caData);
  const cert = sourceOf(user.certFile, user.certData);
  const key = sourceOf(user.keyFile, user.keyData);
  let authenticators = [new ExecAuth(), new FileAuth()];

  const authenticate = async (): Promise<RequestOptions> => {
    const options: RequestOptions & { headers: Record<string, string> } = { headers: {} };
    const authenticator = authenticators.find((candidate) => candidate.isAuthProvider(user));
    await authenticator?.applyAuthentication(user, options);
    if (user.token) options.headers.Authorization = `Bearer ${user.token}`;
    return options;
  };

  const material = (fromPlugin: RequestOptions): TLSMaterial => {
    const files = [ca(), cert(), key()];
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
      try {
        const options = await authenticate();
        const headers: Record<string, string> = {};
        // A token file often ends in a newline, which no header may hold.
        const { Authorization } = options.headers as Record<string, string>;
        if (Authorization) headers.authorization = Authorization.trim();
        if (user.impersonateUser) headers['impersonate-user'] = user.impersonateUser;
        return { headers, tls: material(options) };
      } catch (error) {
        throw credentialError(user.name, error);
      }
    },
    forget() {
      authenticators = [new ExecAuth(), new FileAuth()];
    },
  };
};

/** Keeps what a plugin printed out of messages and causes: it may be a credential. File errors name their path alone. */
const credentialError = (userName: string, error: unknown): KubeError => {
  const { code, path } = error as NodeJS.ErrnoException;
  const what = code ? `${code} ${path ?? ''}`.trim() : 'the exec plugin failed or printed no credential';
  return new KubeError(`read the credentials of user "${userName}": ${what}`, { kind: 'Unauthorized' });
};
