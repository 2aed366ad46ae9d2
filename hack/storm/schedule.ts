/** What strikes when: a seed repeats it. Pure. */
import { createRandom, type Random } from '../../sim/random.ts';

/** A kind of fault, as far as a schedule needs to know it. */
export type Kind = {
  name: string;
  /** `Side`: it strikes one of the targets of the side that the round disturbs. `Nobody`: whoever rests is not to notice it. */
  scope: 'Side' | 'Nobody';
  /** How often it is chosen, relative to others. */
  weight: number;
  /** Of what it takes hold: one at a time does, for it would undo the other. `node`: each target by itself. Default: its name. */
  grip?: 'node' | 'link' | 'EC2' | 'junk';
  /** How long it lasts, in milliseconds: at least, at most. */
  lengthMs: readonly [number, number];
};

/** One fault: when it begins, counted from the beginning of its round, and how long it lasts. */
export type Strike = { kind: string; target: string; startMs: number; lengthMs: number };

/** Faults that come together; afterwards everything gets well, and rests. */
export type Round = {
  /** The pairs of its nodes may be disturbed; absent: nobody may. */
  side: string | undefined;
  strikes: readonly Strike[];
};

/** Faults of a round begin within this time. */
const SPREAD_MS = 15_000;

const draw = (random: Random, kinds: readonly Kind[]): Kind | undefined => {
  let left = random.next() * kinds.reduce((sum, { weight }) => sum + weight, 0);
  return kinds.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
};

const strikeOf = (
  random: Random,
  { name, lengthMs: [least, most] }: Kind,
  targets: readonly string[],
): Strike => ({
  kind: name,
  target: targets.length === 0 ? '' : random.pick(targets),
  startMs: Math.round(random.next() * SPREAD_MS),
  lengthMs: Math.round(random.between(least, most)),
});

/**
 * The rounds of a storm, without an end.
 * @param sides the nodes of each side, by its name
 */
export function* roundsOf(
  seed: number,
  kinds: readonly Kind[],
  sides: Readonly<Record<string, readonly string[]>>,
): Generator<Round> {
  const random = createRandom(seed);
  const ofSides = kinds.filter(({ scope }) => scope === 'Side');
  const ofNobody = kinds.filter(({ scope }) => scope === 'Nobody');
  for (;;) {
    const side = random.chance(0.75) ? random.pick(Object.keys(sides)) : undefined;
    const strikes: Strike[] = [];
    const held = new Set<string>();
    const add = (kind: Kind | undefined, targets: readonly string[]): void => {
      if (!kind) return;
      const strike = strikeOf(random, kind, targets);
      const hold = kind.grip === 'node' ? strike.target : (kind.grip ?? kind.name);
      if (!held.has(hold)) strikes.push(strike);
      held.add(hold);
    };
    for (let count = side === undefined ? 0 : random.pick([1, 1, 2]); count > 0; count -= 1)
      add(draw(random, ofSides), sides[side ?? ''] ?? []);
    for (let count = random.pick([0, 1, 1, 2]); count > 0; count -= 1) add(draw(random, ofNobody), []);
    if (strikes.length > 0) yield { side, strikes };
  }
}
