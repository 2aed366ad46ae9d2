/** Writes of one pair to Kubernetes, in an order in which each may be the last, and what was written until the watch shows it. */
import {
  type Condition,
  FINALIZER,
  type HAPair,
  type HAPairStatus,
  type VRRPInstance,
} from '../crds/types.ts';
import { isKubeError } from '../kube/errors.ts';
import type { Key, KubeClient, KubeObject, Store } from '../kube/types.ts';
import type { Log } from '../runtime/log.ts';
import { plainText } from '../runtime/plain-text.ts';
import type { Plan } from './plan/types.ts';
import { FIELD_MANAGER, HAPAIRS, VRRPINSTANCES } from './resources.ts';
import { keptOfInstance, keptOfPair } from './stores.ts';
import { createWrittenObjects } from './written.ts';

/** What the writer writes to, and who hears of it. */
type WriterOptions = {
  kube: Pick<KubeClient, 'apply' | 'patch' | 'delete'>;
  log: Log;
  /** Told of each status written, and of the one it replaced. Default: nobody is. */
  onStatusWritten?: ((before: HAPair['status'], after: HAPairStatus) => void) | undefined;
};

/** What a watch shows, and how far it has come. */
export type Watched<T extends KubeObject> = Pick<Store<T>, 'get' | 'shownVersion'>;

/** Told of each attempt to write an instance: who owns fields of it, in words; undefined: it was written. */
type OnInstance = (conflict: string | undefined) => void;

/** Conditions whose status or reason is another one now. */
const changedConditions = (before: HAPair['status'], after: HAPairStatus | undefined): Condition[] =>
  (after?.conditions ?? []).filter(
    ({ type, status, reason }) =>
      !before?.conditions?.some(
        (known) => known.type === type && known.status === status && known.reason === reason,
      ),
  );

/** What was to be written is refused; the API server itself is well. */
const isRefusal = (error: unknown): boolean =>
  (['Invalid', 'Forbidden', 'Conflict'] as const).some((kind) => isKubeError(error, kind));

/** Of the names of those who own fields of an instance, what goes into a condition. */
const QUOTED = 1_024;

/** Writes pairs and their instances, and reads its own writes. */
export class PairWriter {
  readonly #kube: WriterOptions['kube'];
  readonly #log: Log;
  readonly #onStatusWritten: WriterOptions['onStatusWritten'];
  readonly #pairs = createWrittenObjects<HAPair>();
  readonly #instances = createWrittenObjects<VRRPInstance>();

  constructor({ kube, log, onStatusWritten }: WriterOptions) {
    this.#kube = kube;
    this.#log = log;
    this.#onStatusWritten = onStatusWritten;
  }

  /** The newer of the watched HAPair and the last write of it. */
  pairOf(key: Key, pairs: Watched<HAPair>): HAPair | undefined {
    return this.#pairs.freshest(key, pairs);
  }

  /** The newer of the watched VRRPInstance and the last write of it. */
  instanceOf(key: Key, instances: Watched<VRRPInstance>): VRRPInstance | undefined {
    return this.#instances.freshest(key, instances);
  }

  /** Forgets what was written of a pair that is gone. */
  forget(key: Key, instanceKeys: readonly Key[]): void {
    this.#pairs.forget(key);
    for (const instanceKey of instanceKeys) this.#instances.forget(instanceKey);
  }

  /**
   * Writes what a plan wants. Removals come first: `status.nodes`, by which a left-over is found again, is written after them. A write
   * that the API server refuses for what is in it stops no other: each rests on what is stored, none on the one before.
   * @throws KubeError of the first write that fails or is refused
   */
  async write(key: Key, pair: HAPair, next: Plan, onInstance: OnInstance): Promise<void> {
    if (next.finalizer === 'add') await this.#writeFinalizer(key, pair, next.finalizer);
    for (const name of next.remove) await this.#removeInstance(`${pair.metadata.namespace}/${name}`);
    const refusals: unknown[] = [];
    const unlessRefused = (written: Promise<void>): Promise<void> =>
      written.catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
        refusals.push(error);
      });
    if (next.status) await unlessRefused(this.#writeStatus(key, pair, next));
    for (const instance of next.instances) await unlessRefused(this.#writeInstance(instance, onInstance));
    const [refusal] = refusals;
    if (refusal !== undefined) throw refusal;
    if (next.finalizer === 'remove') await this.#writeFinalizer(key, pair, next.finalizer);
  }

  async #removeInstance(key: Key): Promise<void> {
    try {
      await this.#kube.delete(VRRPINSTANCES, key);
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
    }
    this.#instances.forget(key);
    this.#log.info({ instance: key, reason: 'Unconfigured' }, 'instance removed');
  }

  /** `test` makes the patch fail rather than undo what somebody else changed meanwhile. */
  async #writeFinalizer(key: Key, pair: HAPair, action: 'add' | 'remove'): Promise<void> {
    const { finalizers = [], resourceVersion } = pair.metadata;
    const at = `/metadata/finalizers/${finalizers.indexOf(FINALIZER)}`;
    const operations =
      action === 'add'
        ? [
            { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
            { op: 'add', path: '/metadata/finalizers', value: [...finalizers, FINALIZER] },
          ]
        : [
            { op: 'test', path: at, value: FINALIZER },
            { op: 'remove', path: at },
          ];
    const stored = await this.#kube.patch<HAPair>(HAPAIRS, key, operations);
    this.#pairs.remember(key, keptOfPair(stored));
    this.#log.info({ pair: key, reason: action === 'add' ? 'Accepted' : 'Deleted' }, `finalizer ${action}`);
  }

  async #writeStatus(key: Key, pair: HAPair, { status, reason }: Plan): Promise<void> {
    const { name, namespace, uid } = pair.metadata;
    const metadata = { name, namespace, ...(uid !== undefined && { uid }) };
    const { apiVersion, kind } = pair;
    // The apply type wants a spec; the status subresource ignores everything but status.
    const object = { apiVersion, kind, metadata, status } as HAPair;
    const manager = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' as const };
    const stored = await this.#kube.apply<HAPair>(HAPAIRS, object, manager);
    this.#pairs.remember(key, keptOfPair(stored));
    if (status) this.#onStatusWritten?.(pair.status, status);
    const { master: node, term, holder } = status ?? {};
    this.#log.info({ pair: key, reason, node, term, holder }, 'status written');
    for (const condition of changedConditions(pair.status, status)) {
      const { type, status: is, reason: why, message } = condition;
      this.#log.info({ pair: key, condition: type, status: is, reason: why, message }, 'condition changed');
    }
  }

  /** A field that somebody else owns is shown, not fought for: the condition says whose it is, and how to give it back. */
  async #writeInstance(instance: VRRPInstance, onInstance: OnInstance): Promise<void> {
    const { name, namespace } = instance.metadata;
    const stored = await this.#kube
      .apply<VRRPInstance>(VRRPINSTANCES, instance, { fieldManager: FIELD_MANAGER })
      .catch((error: unknown) => {
        if (isKubeError(error, 'Conflict') && error.conflicts.length > 0) {
          const owners = error.conflicts.map(({ manager, field }) => `${field} (${manager})`);
          onInstance(
            `VRRPInstance ${name} belongs to the operator, but others have taken over ${plainText(owners.join(', '), QUOTED)}. Delete the instance, and the operator makes it anew.`,
          );
        }
        throw error;
      });
    onInstance(undefined);
    this.#instances.remember(`${namespace}/${name}`, keptOfInstance(stored));
    const { nodeName: node, priority, termFloor, yieldTerm, pairName } = instance.spec;
    const fields = { pair: `${namespace}/${pairName}`, node, priority, termFloor, yieldTerm };
    this.#log.info(
      { ...fields, reason: yieldTerm > 0 ? 'SwitchoverRequested' : 'Accepted' },
      'instance written',
    );
  }
}
