/** The API server as the loop sees it: writes pass only while this process leads, and each is counted. */
import { isKubeError, KubeError } from '../kube/errors.ts';
import type { KubeClient, Resource } from '../kube/types.ts';
import type { WriteResult } from './metrics.ts';

export type Writes = Pick<KubeClient, 'create' | 'replace' | 'apply' | 'patch' | 'delete'>;

/** Told of each write that was sent: the kind, with its subresource as in `HAPair/status`, and how it ended. */
export type OnWrite = (kind: string, result: WriteResult) => void;

/** The client, each of its writes told to `onWrite`. */
export const counted = (client: Writes, onWrite: OnWrite): Writes => {
  const tell = async <T>(kind: string, write: Promise<T>): Promise<T> => {
    try {
      const answer = await write;
      onWrite(kind, 'Success');
      return answer;
    } catch (error) {
      onWrite(kind, error instanceof KubeError ? error.kind : 'Unreachable');
      throw error;
    }
  };
  return {
    create: (resource, object, options) => tell(resource.kind, client.create(resource, object, options)),
    replace: (resource, object, options) => tell(resource.kind, client.replace(resource, object, options)),
    apply(resource, object, how, options) {
      const kind = how.subresource ? `${resource.kind}/${how.subresource}` : resource.kind;
      return tell(kind, client.apply(resource, object, how, options));
    },
    patch: (resource, key, operations, options) =>
      tell(resource.kind, client.patch(resource, key, operations, options)),
    delete: (resource, key, options) => tell(resource.kind, client.delete(resource, key, options)),
  };
};

/** Why a write was not sent. */
export const isNotLeading = (error: unknown): boolean =>
  isKubeError(error, 'Aborted') && error.reason === 'LeaderLost';

/**
 * The client, its writes refused with an error of kind `Aborted` and reason `LeaderLost` unless `mayWrite` says so at the
 * moment of sending.
 */
export const guarded = (client: Writes, mayWrite: () => boolean): Writes => {
  const pass = <T>(verb: string, resource: Resource, write: () => Promise<T>): Promise<T> => {
    if (mayWrite()) return write();
    const message = `${verb} ${resource.kind}: this process does not lead`;
    return Promise.reject(new KubeError(message, { kind: 'Aborted', reason: 'LeaderLost' }));
  };
  return {
    create: (resource, object, options) =>
      pass('create', resource, () => client.create(resource, object, options)),
    replace: (resource, object, options) =>
      pass('replace', resource, () => client.replace(resource, object, options)),
    apply: (resource, object, how, options) =>
      pass('apply', resource, () => client.apply(resource, object, how, options)),
    patch: (resource, key, operations, options) =>
      pass('patch', resource, () => client.patch(resource, key, operations, options)),
    delete: (resource, key, options) => pass('delete', resource, () => client.delete(resource, key, options)),
  };
};
