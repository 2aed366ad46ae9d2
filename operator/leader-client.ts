/** The API server as the loop sees it: writes pass only while this process leads, and each is counted. */
import { isKubeError, KubeError } from '../kube/errors.ts';
import type { KubeClient } from '../kube/types.ts';
import type { WriteResult } from './metrics.ts';

export type Writes = Pick<KubeClient, 'create' | 'replace' | 'apply' | 'patch' | 'delete'>;

/** Makes one write, or refuses it; `kind` is with its subresource, as in `HAPair/status`. */
type Around = <T>(verb: keyof Writes, kind: string, write: () => Promise<T>) => Promise<T>;

/** The client, each of its writes made by `around`. */
const wrapped = (client: Writes, around: Around): Writes => ({
  create: (resource, object, options) =>
    around('create', resource.kind, () => client.create(resource, object, options)),
  replace: (resource, object, options) =>
    around('replace', resource.kind, () => client.replace(resource, object, options)),
  apply(resource, object, how, options) {
    const kind = how.subresource ? `${resource.kind}/${how.subresource}` : resource.kind;
    return around('apply', kind, () => client.apply(resource, object, how, options));
  },
  patch: (resource, key, operations, options) =>
    around('patch', resource.kind, () => client.patch(resource, key, operations, options)),
  delete: (resource, key, options) =>
    around('delete', resource.kind, () => client.delete(resource, key, options)),
});

/** The client, each of its writes told to `onWrite`: the kind, with its subresource as in `HAPair/status`, and how it ended. */
export const counted = (client: Writes, onWrite: (kind: string, result: WriteResult) => void): Writes =>
  wrapped(client, async (_verb, kind, write) => {
    try {
      const answer = await write();
      onWrite(kind, 'Success');
      return answer;
    } catch (error) {
      onWrite(kind, error instanceof KubeError ? error.kind : 'Unreachable');
      throw error;
    }
  });

/** Why a write was not sent. */
export const isNotLeading = (error: unknown): boolean =>
  isKubeError(error, 'Aborted') && error.reason === 'LeaderLost';

/**
 * The client, its writes refused with an error of kind `Aborted` and reason `LeaderLost` unless `mayWrite` says so at the
 * moment of sending.
 */
export const guarded = (client: Writes, mayWrite: () => boolean): Writes =>
  wrapped(client, (verb, kind, write) => {
    if (mayWrite()) return write();
    const message = `${verb} ${kind}: this process does not lead`;
    return Promise.reject(new KubeError(message, { kind: 'Aborted', reason: 'LeaderLost' }));
  });
