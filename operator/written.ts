/** Reads our own writes: what a write returned counts until the watch has gone past it. */
import { versionOf } from '../kube/resource-version.ts';
import type { Key, KubeObject, Store } from '../kube/types.ts';

type WrittenObjects<T extends KubeObject> = {
  /** What the API server answered to a write. */
  remember(key: Key, object: T): void;
  /** The newer of the stored copy and our last write. */
  freshest(key: Key, store: Pick<Store<T>, 'get' | 'shownVersion'>): T | undefined;
  forget(key: Key): void;
};

/**
 * By versions, not by time: a watch may lag for minutes, or the process may have slept, and then the stored copy is older than what
 * this process has decided since. Once the watch has shown a later version, an older or missing copy means that the object is gone.
 * A watch that goes back was begun anew on a restored API server: what was written before is lost there, and is forgotten.
 */
export const createWrittenObjects = <T extends KubeObject>(): WrittenObjects<T> => {
  const written = new Map<Key, T>();
  let shownBefore = 0n;
  return {
    remember(key, object) {
      written.set(key, object);
    },
    freshest(key, store) {
      const resourceVersion = store.shownVersion();
      const shown = versionOf({
        metadata: { name: '', ...(resourceVersion !== undefined && { resourceVersion }) },
      });
      if (shown < shownBefore) written.clear();
      shownBefore = shown;
      const last = written.get(key);
      if (!last) return store.get(key);
      if (shown < versionOf(last)) return last;
      written.delete(key);
      return store.get(key);
    },
    forget(key) {
      written.delete(key);
    },
  };
};
