/** What a pair's actor knows, remembers, and asks of its surroundings. */
import type {
  HealthCheck,
  SecretRef,
  VRRPInstance,
  VRRPInstanceSpec,
  VRRPInstanceStatus,
} from '../crds/types.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { LifeReading } from './rules/life.ts';
import type { CheckFinding } from './rules/verdict.ts';
import type { ToWorker } from './worker/messages.ts';

/** An IPv4 address on an interface. */
export type NodeAddress = {
  address: string;
  prefixLength: number;
  /** The kernel's word for how far it is valid: `global`, `link`, `host`; absent: not known. */
  scope?: string;
};

/** One network interface of the machine. */
export type NodeInterface = {
  name: string;
  /** Administratively up, with a carrier. */
  up: boolean;
  addresses: NodeAddress[];
};

/** One reading of the machine's interfaces. */
export type InterfaceReading = {
  interfaces: NodeInterface[];
  /** Default gateways and name servers, which no VIP may be. */
  reserved: string[];
  /** Why this agent may not change them; absent: it may. */
  denied?: string;
};

/** One reading of the instance metadata. */
export type IMDSReading = {
  instanceID: string;
  networkInterfaces: {
    networkInterfaceID: string;
    /** Such as `10.10.10.0/24`; null: IMDS does not say. */
    subnetCIDR: string | null;
    /** Every private IPv4 address that EC2 delivers to this ENI; null: IMDS does not say, which is not to say none. */
    addresses: string[] | null;
  }[];
};

/** The v2 password as it was read; it must outlive an outage of the API and a restart. */
export type StoredSecret = {
  ref: SecretRef;
  /** Base64. */
  password: string;
  resourceVersion: string;
};

/** What survives a restart of the agent: the only state outside Kubernetes and EC2. */
export type PairRecord = {
  namespace: string;
  pairName: string;
  /** Of the VRRPInstance the spec came from. */
  uid: string | null;
  generation: number | null;
  spec: VRRPInstanceSpec | null;
  /** Of the sets in `spec.vrrp`, each key once. */
  secrets: StoredSecret[];
  /** The highest term this node ever held or saw. */
  highestTerm: number;
  /** The interface that carries the source address, as last seen. */
  interface: string | null;
  /** Addresses this agent put on that interface itself. */
  added: string[];
  /** The ENI that IMDS has shown on this instance. */
  verifiedNetworkInterfaceID: string | null;
  /** The node at the other end. */
  peerNode: string | null;
  /** Unix milliseconds. */
  lastAdvertAtMs: number | null;
};

/** A record of a pair that was never seen before. */
export const emptyRecord = (namespace: string, pairName: string): PairRecord => ({
  namespace,
  pairName,
  uid: null,
  generation: null,
  spec: null,
  secrets: [],
  highestTerm: 0,
  interface: null,
  added: [],
  verifiedNetworkInterfaceID: null,
  peerNode: null,
  lastAdvertAtMs: null,
});

/** A report as the API server has it since, in its own words. */
export type StoredReport = {
  metadata: Pick<KubeObject['metadata'], 'name' | 'resourceVersion'>;
  status?: VRRPInstanceStatus;
};

/** The Kubernetes API as one pair uses it. Every call has a deadline and throws KubeError. */
export type PairKube = {
  /** Both instances, newest state; an unknown peer is looked for. */
  readInstances(peerNode: string | null): Promise<{ own: VRRPInstance | null; peer: VRRPInstance | null }>;
  /** The peer's Lease and report, as a mark that changes when either does. */
  readLife(peerNode: string): Promise<LifeReading>;
  /** @throws Error also when the key is missing, empty or longer than a VRRPv2 password. */
  readSecret(ref: SecretRef): Promise<StoredSecret>;
  /** Server-side apply of the whole status. */
  report(status: VRRPInstanceStatus): Promise<StoredReport>;
};

/** The interface as one pair changes it; each call resolves once the kernel has it. */
export type PairAddresses = {
  add(interfaceName: string, address: string): Promise<void>;
  remove(interfaceName: string, address: string): Promise<void>;
};

/** The pair's own file. */
export type PairDisk = {
  /** Resolves when the record is on disk; later records overtake earlier ones. */
  save(record: PairRecord): Promise<void>;
  /** Resolves when the record survives the process; it will survive the machine a little later. Never waits for a flush. */
  note(record: PairRecord): Promise<void>;
  remove(): Promise<void>;
};

/** What a pair's actor asks of its surroundings. */
export type PairPorts = {
  send(message: ToWorker): void;
  kube: PairKube;
  addresses: PairAddresses;
  disk: PairDisk;
  /**
   * Runs these health checks from now on, in place of any others of the pair; those that are the same go on as they are.
   * @param sourceAddress the host they ask unless they name another
   * @returns what is known of each; what is found later comes by `Pair.health`
   */
  followChecks(checks: readonly HealthCheck[], sourceAddress: string): readonly CheckFinding[];
  /** Monotonic time of the API server's last answer to this process; null: none yet. */
  lastContactMs(): number | null;
  /** Why this node's owner does not let the pair run with that spec; null: it may, and counts from now on. */
  beyondLimits(spec: VRRPInstanceSpec): string | null;
  clock: Clock;
  /** Numbers in [0, 1) that spread retries; default Math.random. */
  random?: () => number;
  log: Log;
  agentVersion: string;
};
