/**
 * A gate admits at most so many runs at a time, and gives everybody a share of them: the namespaces that have checks share the
 * places, the pairs of a namespace its share. Whoever hangs fills his own share, never another's. Those who wait take turns.
 */
import type { Key } from '../../kube/types.ts';

export type Gate = {
  /**
   * Resolves with the way out, to be called once, when it is the pair's turn; null when `signal` aborts first. Whoever waits
   * is known to its caller, so the queue is as short as the list of callers.
   */
  enter(pair: Key, signal: AbortSignal): Promise<(() => void) | null>;
};

type Waiting = { pair: Key; admit: () => void };

/**
 * @param limit how many may be inside; a share is one place at least, so that with more pairs than places they take turns
 * @param pairs all pairs that may come, `namespace/pairName`
 */
export const createGate = (limit: number, pairs: () => Iterable<Key>): Gate => {
  /** Of each who is inside. */
  const inside: Key[] = [];
  const waiting = new Set<Waiting>();
  /** The order in which pairs and namespaces were admitted last; those that are not known are forgotten. */
  let admitted: Key[] = [];

  const mayEnter = (pair: Key, members: readonly Key[]): boolean => {
    const namespace = namespaceOf(pair);
    const neighbours = inNamespace(members, namespace);
    const ofNamespace = shareOf(limit, new Set(members.map(namespaceOf)).size);
    const ofPair = shareOf(ofNamespace, neighbours.length);
    return (
      inside.length < limit &&
      inNamespace(inside, namespace).length < ofNamespace &&
      inside.filter((other) => other === pair).length < ofPair
    );
  };
  /** Namespaces take turns, and the pairs of one; of one pair, who came first. */
  const turnOf = ({ pair }: Waiting): [number, number] => [
    admitted.findLastIndex((other) => namespaceOf(other) === namespaceOf(pair)),
    admitted.lastIndexOf(pair),
  ];
  const admitNext = (): void => {
    if (waiting.size === 0) return;
    const members = [...pairs()];
    const next = [...waiting]
      .filter(({ pair }) => mayEnter(pair, members))
      .map((who) => ({ who, turn: turnOf(who) }))
      .sort((a, b) => a.turn[0] - b.turn[0] || a.turn[1] - b.turn[1])[0]?.who;
    if (next === undefined) return;
    admitted = [...admitted.filter((pair) => pair !== next.pair && members.includes(pair)), next.pair];
    next.admit();
    admitNext();
  };
  const wayOut = (pair: Key) => (): void => {
    inside.splice(inside.indexOf(pair), 1);
    admitNext();
  };
  return {
    enter: (pair, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve(null);
        const end = (way: (() => void) | null): void => {
          waiting.delete(who);
          signal.removeEventListener('abort', giveUp);
          resolve(way);
        };
        const who: Waiting = {
          pair,
          admit: () => {
            inside.push(pair);
            end(wayOut(pair));
          },
        };
        const giveUp = (): void => end(null);
        waiting.add(who);
        signal.addEventListener('abort', giveUp, { once: true });
        admitNext();
      }),
  };
};

const shareOf = (places: number, sharers: number): number =>
  Math.max(1, Math.floor(places / Math.max(1, sharers)));
const namespaceOf = (pair: Key): string => pair.slice(0, pair.indexOf('/'));
const inNamespace = (pairs: readonly Key[], namespace: string): readonly Key[] =>
  pairs.filter((pair) => namespaceOf(pair) === namespace);
