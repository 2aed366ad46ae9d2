/** Equal things become the same thing, so that what did not change is told by `===` and not by comparing its contents. */
import { isEqual } from '../runtime/json.ts';

export type Interner<T> = {
  /** The thing known by this id if it is equal to `thing`, else `thing`, which is then the known one. */
  intern(id: string, thing: T): T;
};

/** Things known: ENIs and EIPs of all pairs. Beyond, the oldest is forgotten, and seems changed once. */
const MOST_KNOWN = 100_000;

export const createInterner = <T>(): Interner<T> => {
  const known = new Map<string, T>();
  return {
    intern(id, thing) {
      const before = known.get(id);
      if (before !== undefined && isEqual(before, thing)) return before;
      known.set(id, thing);
      const [oldest] = known.keys();
      if (known.size > MOST_KNOWN && oldest !== undefined) known.delete(oldest);
      return thing;
    },
  };
};

/** Replaces each member by its interned self. */
export const internAll = <T>(things: Record<string, T>, { intern }: Interner<T>): Record<string, T> =>
  Object.fromEntries(Object.entries(things).map(([id, thing]) => [id, intern(id, thing)]));

/** Same keys with the same (`===`) values. */
export const isSame = <T>(a: Readonly<Record<string, T>>, b: Readonly<Record<string, T>>): boolean => {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key] && key in b);
};
