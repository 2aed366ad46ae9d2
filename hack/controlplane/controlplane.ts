/** A real Kubernetes control plane of one's own: etcd, kube-apiserver and, when asked, kube-controller-manager. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callAPI } from './api.ts';
import { findKubeBinaries, type KubeBinaries } from './binaries.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { issueCertificate, type KeyPair, writeTokenKeys } from './pki.ts';
import { type Service, type Spawn, spawnBound, startService, untilReady } from './process.ts';

/** Where and how a control plane is to run. */
export type ControlPlaneOptions = {
  /** Holds keys, data, sockets and logs; made if missing, mode 0700. Remove it after `stop()`. */
  dir: string;
  /** Default: child processes that die with this one. */
  spawn?: Spawn;
  /** Default 127.0.0.1. */
  bindAddress?: string;
  /** What the Service `kubernetes` points at; must not be loopback. Default: `bindAddress`, or 192.0.2.1 for loopback. */
  advertiseAddress?: string;
  /** Default: a free port that the kernel chooses. */
  port?: number;
  /** Default: `findKubeBinaries()`. */
  binaries?: KubeBinaries;
  /** One line per step. */
  onLog?: (line: string) => void;
};

/** A running control plane. */
export type ControlPlane = {
  dir: string;
  /** Such as `https://127.0.0.1:34567`. */
  server: string;
  /** The authority of the server's certificate. */
  caFile: string;
  /** An admin's (`system:masters`) kubeconfig. */
  kubeconfig: string;
  /** JSON lines, one per finished write request (audit.k8s.io/v1, level Metadata). */
  auditLog: string;
  /** An admin's kubeconfig for another way in, such as a forwarded port; returns `file`. */
  writeAdminKubeconfig(file: string, server: string): Promise<string>;
  /** A kubeconfig of any user and its groups, by client certificate; returns its path. */
  writeUserKubeconfig(user: string, groups?: readonly string[]): Promise<string>;
  /**
   * Garbage collection, namespaces, ServiceAccounts, Deployments. Start it after the CRDs are installed: the garbage
   * collector meets a CRD that comes later up to 40 s late.
   */
  startControllerManager(): Promise<void>;
  /** Ends everything it started and waits for it. */
  stop(): Promise<void>;
};

/** The names under which the API server may be reached; 10.0.0.1 is the Service `kubernetes`. */
const SUBJECT_ALT_NAMES = [
  'DNS:localhost',
  'DNS:kubernetes.default.svc',
  'IP:127.0.0.1',
  'IP:192.168.254.1',
  'IP:10.0.0.1',
];

const ETCD_READY_MS = 90_000;
const READY_MS = 120_000;
const PORT_ATTEMPTS = 3;

/**
 * Starts etcd and kube-apiserver and waits for `readyz`, about 3 s.
 * @throws Error with the end of the log of what did not start; nothing is left running then.
 */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<ControlPlane> => {
  const { dir, spawn = spawnBound, bindAddress = '127.0.0.1', onLog = () => undefined } = options;
  const binaries = options.binaries ?? (await findKubeBinaries());
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o700);
  const services: Service[] = [];
  const stop = async (): Promise<void> => {
    for (const service of services.splice(0).reverse()) await service.stop();
  };
  const start = (name: keyof KubeBinaries, args: readonly string[]): Service => {
    const logFile = join(dir, `${name}.log`);
    const service = startService(spawn, { name, file: binaries[name], args, cwd: dir, logFile });
    services.push(service);
    return service;
  };
  try {
    const etcd = start('etcd', ETCD_ARGS);
    const keys = await writeKeys(dir, bindAddress);
    await untilReady(etcd, async () => existsSync(join(dir, 'etcd:2379')), ETCD_READY_MS);
    const server = await startAPIServer(start, options, keys);
    onLog(`kube-apiserver is ready at ${server}`);
    return {
      dir,
      server,
      caFile: keys.servingCA.certFile,
      kubeconfig: keys.adminKubeconfig,
      auditLog: join(dir, 'audit.log'),
      writeAdminKubeconfig: (file, otherServer) => keys.kubeconfigOf('admin', file, otherServer),
      writeUserKubeconfig: async (user, groups = []) => {
        const name = `user-${Buffer.from(user).toString('base64url')}`;
        await issueCertificate(dir, name, { commonName: user, organizations: groups, issuer: keys.clientCA });
        return keys.kubeconfigOf(name, join(dir, `${name}.kubeconfig`), server);
      },
      startControllerManager: async () => {
        await keys.kubeconfigOf(CONTROLLER_MANAGER, join(dir, `${CONTROLLER_MANAGER}.kubeconfig`), server);
        await startControllerManager(start, services, keys.servingCA.certFile);
        onLog('kube-controller-manager runs');
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

type Start = (name: keyof KubeBinaries, args: readonly string[]) => Service;

/**
 * Socket files in the working directory, whose path may be longer than the 107 bytes a socket's may have. etcd insists on
 * the form host:port, and the whole of it is the file's name.
 */
const ETCD_SOCKET = 'unix://etcd:2379';
const ETCD_PEER = 'unix://etcd:2380';
const ETCD_ARGS = [
  ...['--name=hapair', '--data-dir=etcd', '--unsafe-no-fsync=true', '--log-level=warn'],
  ...[`--listen-client-urls=${ETCD_SOCKET}`, `--advertise-client-urls=${ETCD_SOCKET}`],
  ...[`--listen-peer-urls=${ETCD_PEER}`, `--initial-advertise-peer-urls=${ETCD_PEER}`],
  `--initial-cluster=hapair=${ETCD_PEER}`,
];

type Keys = {
  servingCA: KeyPair;
  clientCA: KeyPair;
  tokens: { privateFile: string; publicFile: string };
  serving: KeyPair;
  adminKubeconfig: string;
  /** Writes a kubeconfig for the client certificate `name`. */
  kubeconfigOf(name: string, file: string, server: string): Promise<string>;
};

const CONTROLLER_MANAGER = 'kube-controller-manager';

const writeKeys = async (dir: string, bindAddress: string): Promise<Keys> => {
  const [servingCA, clientCA, tokens] = await Promise.all([
    issueCertificate(dir, 'serving-ca', { commonName: 'hapair lab serving CA' }),
    issueCertificate(dir, 'client-ca', { commonName: 'hapair lab client CA' }),
    writeTokenKeys(dir),
  ]);
  const subjectAltNames = [...new Set([...SUBJECT_ALT_NAMES, `IP:${bindAddress}`])];
  const manager = `system:${CONTROLLER_MANAGER}`;
  const [serving] = await Promise.all([
    issueCertificate(dir, 'serving', { commonName: 'kube-apiserver', subjectAltNames, issuer: servingCA }),
    issueCertificate(dir, 'admin', {
      commonName: 'admin',
      organizations: ['system:masters'],
      issuer: clientCA,
    }),
    issueCertificate(dir, CONTROLLER_MANAGER, { commonName: manager, issuer: clientCA }),
    writeFile(join(dir, 'audit-policy.yaml'), AUDIT_POLICY),
  ]);
  const kubeconfigOf = (name: string, file: string, server: string): Promise<string> => {
    const clientCertificate = { certFile: join(dir, `${name}.crt`), keyFile: join(dir, `${name}.key`) };
    return writeKubeconfig({ file, server, caFile: servingCA.certFile, credentials: { clientCertificate } });
  };
  return {
    servingCA,
    clientCA,
    tokens,
    serving,
    adminKubeconfig: join(dir, 'admin.kubeconfig'),
    kubeconfigOf,
  };
};

/** Writes and refused reads are what a test asks about; all reads would be megabytes. */
const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
`;

const startAPIServer = async (start: Start, options: ControlPlaneOptions, keys: Keys): Promise<string> => {
  const { bindAddress = '127.0.0.1', port } = options;
  for (let attempt = 1; ; attempt += 1) {
    const chosenPort = port ?? (await freePort(bindAddress));
    const server = `https://${bindAddress}:${chosenPort}`;
    await keys.kubeconfigOf('admin', keys.adminKubeconfig, server);
    const service = start('kube-apiserver', apiServerArgs(options, keys, chosenPort));
    try {
      await untilReady(service, () => isReady(keys.adminKubeconfig), READY_MS);
      return server;
    } catch (error) {
      // Between the kernel's choice and the bind somebody else may have taken the port.
      const isTaken = /address already in use/.test(error instanceof Error ? error.message : '');
      if (port !== undefined || !isTaken || attempt >= PORT_ATTEMPTS) throw error;
    }
  }
};

const apiServerArgs = (options: ControlPlaneOptions, keys: Keys, port: number): string[] => {
  const { dir, bindAddress = '127.0.0.1' } = options;
  const advertiseAddress =
    options.advertiseAddress ?? (bindAddress.startsWith('127.') ? '192.0.2.1' : bindAddress);
  return [
    ...[`--etcd-servers=${ETCD_SOCKET}`, `--cert-dir=${dir}`, '--allow-privileged=true'],
    ...[`--bind-address=${bindAddress}`, `--secure-port=${port}`, `--advertise-address=${advertiseAddress}`],
    '--service-cluster-ip-range=10.0.0.0/24',
    ...[`--tls-cert-file=${keys.serving.certFile}`, `--tls-private-key-file=${keys.serving.keyFile}`],
    ...['--authorization-mode=RBAC', `--client-ca-file=${keys.clientCA.certFile}`],
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${keys.tokens.publicFile}`,
    `--service-account-signing-key-file=${keys.tokens.privateFile}`,
    ...[
      `--audit-policy-file=${join(dir, 'audit-policy.yaml')}`,
      `--audit-log-path=${join(dir, 'audit.log')}`,
    ],
  ];
};

const freePort = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const isReady = (kubeconfig: string): Promise<boolean> =>
  callAPI(kubeconfig, 'GET', '/readyz', { timeoutMs: 2_000 }).then(
    ({ status }) => status === 200,
    () => false,
  );

/** Everything that acts on the objects of the chart; no node, volume or cloud loops. */
const CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
  'root-ca-certificate-publisher-controller',
  'deployment-controller',
  'replicaset-controller',
  'disruption-controller',
  'clusterrole-aggregation-controller',
  'validatingadmissionpolicy-status-controller',
];

/** It exits at once when RBAC is not bootstrapped yet; and a run this long has passed that. */
const MANAGER_SETTLED_MS = 1_000;
const MANAGER_ATTEMPTS = 20;

const startControllerManager = async (start: Start, services: Service[], caFile: string): Promise<void> => {
  const args = [
    ...['--leader-elect=false', '--secure-port=0', '--use-service-account-credentials=true'],
    ...[`--kubeconfig=${CONTROLLER_MANAGER}.kubeconfig`, `--root-ca-file=${caFile}`],
    `--controllers=${CONTROLLERS.join(',')}`,
  ];
  for (let attempt = 1; ; attempt += 1) {
    const service = start(CONTROLLER_MANAGER, args);
    await sleep(MANAGER_SETTLED_MS);
    if (service.ended() === undefined) return;
    services.splice(services.indexOf(service), 1);
    if (attempt >= MANAGER_ATTEMPTS) {
      throw new Error(
        `${service.name} ended (${service.ended()}). The end of its log:\n${await service.logTail()}`,
      );
    }
  }
};
