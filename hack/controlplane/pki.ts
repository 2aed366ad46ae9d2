/**
 * Keys and certificates of the control plane, ECDSA P-256. Node makes the keys, openssl(1) the certificates: Node cannot,
 * and Debian's ca-certificates, which npm and Go need anyway, brings openssl along.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../setup/run.ts';

/** Paths of a certificate and its PKCS#8 key, both PEM. */
export type KeyPair = { certFile: string; keyFile: string };

/** A certificate authority, or any issued pair, in `dir` under `name`. */
export const keyPairIn = (dir: string, name: string): KeyPair => ({
  certFile: join(dir, `${name}.crt`),
  keyFile: join(dir, `${name}.key`),
});

/** What a certificate is to say, and who signs it. */
export type CertificateRequest = {
  /** Common name; the user, in a client certificate. */
  commonName: string;
  /** The groups, in a client certificate. */
  organizations?: readonly string[];
  /** `DNS:…` and `IP:…`; makes it a server's certificate. */
  subjectAltNames?: readonly string[];
  /** Signs it; absent: a self-signed authority. */
  issuer?: KeyPair;
};

/** A lab's life, with room for a machine that was asleep. */
const VALID_DAYS = 30;

/** Writes `<dir>/<name>.key` (0600) and `<dir>/<name>.crt`. */
export const issueCertificate = async (
  dir: string,
  name: string,
  request: CertificateRequest,
): Promise<KeyPair> => {
  const pair = keyPairIn(dir, name);
  await writeFile(pair.keyFile, newPrivateKey(), { mode: 0o600 });
  const { issuer } = request;
  const csr = join(dir, `${name}.csr`);
  const config = join(dir, `${name}.cnf`);
  await writeFile(config, openSSLConfig(request));
  await run('openssl', ['req', '-new', '-config', config, '-key', pair.keyFile, '-out', csr]);
  const signer =
    issuer === undefined ? ['-signkey', pair.keyFile] : ['-CA', issuer.certFile, '-CAkey', issuer.keyFile];
  await run('openssl', [
    ...['x509', '-req', '-in', csr, '-out', pair.certFile, ...signer],
    ...['-days', String(VALID_DAYS), '-sha256', '-set_serial', `0x00${randomBytes(15).toString('hex')}`],
    ...['-extfile', config, '-extensions', 'extensions'],
  ]);
  return pair;
};

/** The signing key of ServiceAccount tokens and the public key that verifies them. */
export const writeTokenKeys = async (dir: string): Promise<{ privateFile: string; publicFile: string }> => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = {
    privateFile: join(dir, 'service-account.key'),
    publicFile: join(dir, 'service-account.pub'),
  };
  await writeFile(files.privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(files.publicFile, publicKey.export({ type: 'spki', format: 'pem' }));
  return files;
};

/** A file's content as kubeconfig carries it. */
export const base64File = async (file: string): Promise<string> => (await readFile(file)).toString('base64');

const newPrivateKey = () =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });

const openSSLConfig = (request: CertificateRequest): string => {
  const { commonName, organizations = [], subjectAltNames, issuer } = request;
  const names = organizations.map((organization, index) => `${index}.O = ${organization}`);
  const extensions =
    issuer === undefined
      ? ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, keyCertSign, digitalSignature']
      : [
          'basicConstraints = critical, CA:FALSE',
          'keyUsage = critical, digitalSignature',
          `extendedKeyUsage = ${subjectAltNames === undefined ? 'clientAuth' : 'serverAuth'}`,
          ...(subjectAltNames === undefined ? [] : [`subjectAltName = ${subjectAltNames.join(', ')}`]),
        ];
  return [
    ...['[req]', 'prompt = no', 'utf8 = yes', 'distinguished_name = name'],
    ...['[name]', ...names, `CN = ${commonName}`],
    ...['[extensions]', 'subjectKeyIdentifier = hash', ...extensions, ''],
  ].join('\n');
};
