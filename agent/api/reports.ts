/** The Kubernetes API as the agent uses it: a few reads, its own report, nothing else. */
import {
  API_GROUP,
  API_GROUP_VERSION,
  API_VERSION,
  agentLeaseName,
  instanceName,
  PAIR_LABEL,
  type SecretRef,
  type VRRPInstance,
} from '../../crds/types.ts';
import { isKubeError, KubeError, type KubeErrorKind } from '../../kube/client.ts';
import { LEASES } from '../../kube/lease-types.ts';
import type { KubeClient, KubeObject, Resource } from '../../kube/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { PairKube, StoredReport, StoredSecret } from '../ports.ts';

export const VRRP_INSTANCES: Resource = {
  group: API_GROUP,
  version: API_VERSION,
  plural: 'vrrpinstances',
  kind: 'VRRPInstance',
};
const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret' };

/** Field manager of all that the agent applies. */
export const FIELD_MANAGER = 'hapair-agent';

/** Deadline of a reading: two tries fit between two readings of a peer's signs of life. */
const CALL = { timeoutMs: 4_000 };
/** Deadline of a write: one that an admission webhook holds for five seconds has its answer. */
const WRITE = { timeoutMs: 7_000 };
/** RFC 2338 section 5.3.6: the authentication data has 8 bytes. */
const PASSWORD_BYTES = 8;

/** Errors that are no answer of a working API server to a known user. */
const NO_CONTACT: readonly KubeErrorKind[] = [
  'TimedOut',
  'Unreachable',
  'Unauthorized',
  'ServerError',
  'Aborted',
];

/** Whether an error is a working API server's answer to a known user. */
export const isAnswer = (error: unknown): boolean =>
  error instanceof KubeError && !NO_CONTACT.includes(error.kind);

/** The calls that the agent makes. */
export type AgentClient = Pick<KubeClient, 'get' | 'list' | 'apply'>;

/** Wraps a client so that each call tells whether the API server answered, and what error it ended in, if any. */
export const withContact = (
  client: AgentClient,
  onCall: (answered: boolean, error?: unknown) => void,
): AgentClient => {
  const tell = async <T>(call: Promise<T>): Promise<T> => {
    try {
      const result = await call;
      onCall(true);
      return result;
    } catch (error) {
      onCall(isAnswer(error), error);
      throw error;
    }
  };
  return {
    get: (...args) => tell(client.get(...args)),
    list: (...args) => tell(client.list(...args)),
    apply: (...args) => tell(client.apply(...args)),
  };
};

/** Null when the API server says that it does not exist. @throws KubeError */
export const getOrNull = async <T extends KubeObject>(
  client: AgentClient,
  resource: Resource,
  key: string,
): Promise<T | null> => {
  try {
    return await client.get<T>(resource, key, CALL);
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return null;
    throw error;
  }
};

/** Which pair on which node. */
export type PairPlace = { namespace: string; pairName: string; nodeName: string; leaseNamespace: string };

/** The API of one pair. */
export const createPairKube = (client: AgentClient, clock: Clock, place: PairPlace): PairKube => {
  const { namespace, pairName, nodeName, leaseNamespace } = place;
  const readInstance = (node: string) =>
    getOrNull<VRRPInstance>(client, VRRP_INSTANCES, `${namespace}/${instanceName(pairName, node)}`);

  return {
    async readInstances(peerNode) {
      // Two GETs go straight to etcd; a LIST waits until the API server's cache has caught up.
      if (peerNode !== null) {
        const [own, peer] = await Promise.all([readInstance(nodeName), readInstance(peerNode)]);
        return { own, peer };
      }
      const labelSelector = `${PAIR_LABEL}=${pairName}`;
      const { items } = await client.list<VRRPInstance>(VRRP_INSTANCES, { namespace, labelSelector }, CALL);
      const other = items.find(({ spec }) => spec.nodeName !== nodeName);
      return { own: items.find(({ spec }) => spec.nodeName === nodeName) ?? null, peer: other ?? null };
    },
    async readLife(peerNode) {
      const startedAtMs = clock.now();
      const [lease, peer] = await Promise.all([
        getOrNull(client, LEASES, `${leaseNamespace}/${agentLeaseName(peerNode)}`),
        readInstance(peerNode),
      ]);
      const mark = JSON.stringify([lease?.metadata.resourceVersion ?? null, peer?.status ?? null]);
      return { startedAtMs, endedAtMs: clock.now(), mark };
    },
    readSecret: (ref) => readSecret(client, namespace, ref),
    async report(status) {
      const object: KubeObject & StoredReport = {
        apiVersion: API_GROUP_VERSION,
        kind: VRRP_INSTANCES.kind,
        metadata: { name: instanceName(pairName, nodeName), namespace },
        status,
      };
      const options = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' as const };
      const stored = await client.apply(VRRP_INSTANCES, object, options, WRITE);
      const { name, resourceVersion = '' } = stored.metadata;
      return { metadata: { name, resourceVersion }, status: stored.status ?? status };
    },
  };
};

/** What to do about a Secret that the API server does not give. */
const ADVICE: Partial<Record<KubeErrorKind, string>> = {
  NotFound: 'create it, or name another in spec.vrrp.authentication.secretRef of the HAPair',
  Forbidden: "agents may read only the Secrets that the chart's agents.secretNames lists: add it there",
};

const withAdvice = (error: unknown): unknown => {
  const advice = error instanceof KubeError ? ADVICE[error.kind] : undefined;
  return error instanceof Error && advice !== undefined
    ? new Error(`${error.message}; ${advice}`, { cause: error })
    : error;
};

type Secret = KubeObject & { data?: Record<string, string> };

const readSecret = async (client: AgentClient, namespace: string, ref: SecretRef): Promise<StoredSecret> => {
  const place = `key ${ref.key} of Secret ${namespace}/${ref.name}`;
  const secret = await client
    .get<Secret>(SECRETS, `${namespace}/${ref.name}`, CALL)
    .catch((error: unknown) => Promise.reject(withAdvice(error)));
  const password = secret.data?.[ref.key];
  if (password === undefined)
    throw new Error(`${place} does not exist; add it or name another key in the HAPair`);
  const { length } = Buffer.from(password, 'base64');
  if (length === 0 || length > PASSWORD_BYTES)
    throw new Error(
      `${place} has ${length} bytes; a VRRPv2 password has 1 to ${PASSWORD_BYTES}, a trailing newline included`,
    );
  return { ref, password, resourceVersion: secret.metadata.resourceVersion ?? '' };
};
