/** Writes kubeconfigs, and reads those that it wrote. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { base64File, type KeyPair } from './pki.ts';

/** How a user proves who it is. */
export type Credentials =
  | { clientCertificate: KeyPair }
  /** Re-read by clients, so it may be renewed in place. */
  | { tokenFile: string };

/** What a kubeconfig is to say. */
export type KubeconfigOptions = {
  /** Where to write it; mode 0600. */
  file: string;
  /** Such as `https://127.0.0.1:6443`. */
  server: string;
  /** The authority of the server's certificate. */
  caFile: string;
  credentials: Credentials;
  /** The user's name inside the file; default `admin`. */
  user?: string;
  /** Default namespace; default `default`. */
  namespace?: string;
};

/** Writes a kubeconfig that carries its certificates, so it can be copied about. */
export const writeKubeconfig = async (options: KubeconfigOptions): Promise<string> => {
  const { file, server, caFile, credentials, user = 'admin', namespace = 'default' } = options;
  const config: Kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'hapair-lab', cluster: { server, 'certificate-authority-data': await base64File(caFile) } },
    ],
    users: [{ name: user, user: await userEntry(credentials) }],
    contexts: [{ name: user, context: { cluster: 'hapair-lab', user, namespace } }],
    'current-context': user,
  };
  await writePrivately(file, stringify(config));
  return file;
};

/** Writes a file of mode 0600 in one step: a reader sees the old content or the new. */
export const writePrivately = async (file: string, content: string): Promise<void> => {
  const unfinished = `${file}.${process.pid}.tmp`;
  await writeFile(unfinished, content, { mode: 0o600 });
  await rename(unfinished, file);
};

/** What a request needs of a kubeconfig. */
export type Connection = { server: string; ca: Buffer; cert?: Buffer; key?: Buffer; tokenFile?: string };

/**
 * Reads a kubeconfig as `writeKubeconfig` writes it.
 * @throws Error when it is of another shape.
 */
export const readConnection = async (file: string): Promise<Connection> => {
  const config = parse(await readFile(file, 'utf8')) as Kubeconfig;
  const cluster = config.clusters[0]?.cluster;
  const user = config.users[0]?.user;
  if (cluster === undefined || user === undefined) throw new Error(`${file}: no cluster or no user in it`);
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64');
  return 'tokenFile' in user
    ? { server: cluster.server, ca, tokenFile: user.tokenFile }
    : {
        server: cluster.server,
        ca,
        cert: Buffer.from(user['client-certificate-data'], 'base64'),
        key: Buffer.from(user['client-key-data'], 'base64'),
      };
};

type UserEntry = { tokenFile: string } | { 'client-certificate-data': string; 'client-key-data': string };

type Kubeconfig = {
  apiVersion: 'v1';
  kind: 'Config';
  clusters: { name: string; cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { name: string; user: UserEntry }[];
  contexts: { name: string; context: { cluster: string; user: string; namespace: string } }[];
  'current-context': string;
};

const userEntry = async (credentials: Credentials): Promise<UserEntry> =>
  'tokenFile' in credentials
    ? { tokenFile: credentials.tokenFile }
    : {
        'client-certificate-data': await base64File(credentials.clientCertificate.certFile),
        'client-key-data': await base64File(credentials.clientCertificate.keyFile),
      };
