/** Reads our own writes: what a write returned counts until the watch has caught up with it. */
import { versionOf } from '../kube/resource-version.ts';
import type { Key, KubeObject } from '../kube/types.ts';

/** A write that the watch has not shown by then is no longer believed. */
const BELIEF_MS = 30_000;

export type WrittenObjects<T extends KubeObject> = {
  /** What the API server answered to a write. */
  remember(key: Key, object: T, nowMs: number): void;
  /** The newer of the stored copy and our last write. */
  freshest(key: Key, stored: T | undefined, nowMs: number): T | undefined;
  forget(key: Key): void;
};

export const createWrittenObjects = <T extends KubeObject>(): WrittenObjects<T> => {
  const written = new Map<Key, { object: T; atMs: number; wasStored: boolean }>();
  return {
    remember(key, object, nowMs) {
      written.set(key, { object, atMs: nowMs, wasStored: written.get(key)?.wasStored ?? false });
    },
    freshest(key, stored, nowMs) {
      const last = written.get(key);
      if (!last) return stored;
      const caughtUp = stored && versionOf(stored) >= versionOf(last.object);
      const deleted = !stored && last.wasStored;
      if (caughtUp || deleted || nowMs - last.atMs > BELIEF_MS) {
        written.delete(key);
        return stored;
      }
      last.wasStored ||= stored !== undefined;
      return last.object;
    },
    forget(key) {
      written.delete(key);
    },
  };
};
