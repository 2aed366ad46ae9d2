/**
 * One row of the table, played: its ends on a ground, one deed after the other, and after each what both ends say and what
 * the wire shows. No time is asserted, only which states follow each other and stay.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type End, eventually, PATIENCE_MS, pause } from './end.ts';
import type { Packet } from './forge.ts';
import type { Ground, Place } from './ground.ts';
import { hapairEnd } from './hapair.ts';
import { keepalivedEnd } from './keepalived.ts';

/** Who plays: the kinds of both ends. */
export type Cast = Record<Place, End['kind']>;

/** What a deed acts upon. */
export type Scene = {
  ground: Ground;
  ends: Record<Place, End>;
  /** The third host sends it; returns once the first has left. More of it end with the row. */
  forge(packet: Packet): Promise<void>;
};

/** The states that each end enters from a deed on, as `Backup Master`; empty: it stays what it is. */
export type Picture = Record<Place, string>;

/** Something else that must come true after a deed. */
export type Fact = { says: string; holds: (scene: Scene) => Promise<boolean> | boolean };

/** One deed, and what must follow. */
export type Step = {
  deed: string;
  act(scene: Scene): Promise<void> | void;
  /** Any one of these. */
  expect: Picture | Picture[];
  facts?: Fact[];
  /** Ends whose next adverts are awaited before the states count as lasting; default: every Master. */
  heard?: Place[];
};

/** One row of the table. */
export type Row = {
  name: string;
  cast: Cast;
  /** What two keepalived nodes should have done, by the RFCs and by what keepalived documents. */
  theory: string;
  steps: Step[];
};

/** How a row went; `seen` is `expected` if it went well. */
export type Outcome = { name: string; expected: string; seen: string; log: string };

const PLACES: readonly Place[] = ['a', 'b'];
/** Adverts of each Master that must pass after a step, and after the last one: with one before, more than a Backup waits for. */
const ADVERTS = 1;
const LAST_ADVERTS = 4;

/** @param keepalived its program. Never throws: what breaks is part of what was seen. */
export async function play(row: Row, ground: Ground, keepalived: string): Promise<Outcome> {
  const make = (place: Place): End =>
    row.cast[place] === 'hapair' ? hapairEnd(ground, place) : keepalivedEnd(ground, place, keepalived);
  const ends = { a: make('a'), b: make('b') };
  const forgers: ChildProcess[] = [];
  const scene: Scene = { ground, ends, forge: (packet) => forge(ground, packet, forgers) };
  const seen: string[] = [];
  const expected = row.steps.map((step) =>
    [textOf(row.cast, step, asList(step.expect)), ...(step.facts ?? []).map(({ says }) => says)].join(', '),
  );
  try {
    for (const [index, step] of row.steps.entries()) {
      const adverts = index === row.steps.length - 1 ? LAST_ADVERTS : ADVERTS;
      const said = await perform(scene, row.cast, step, adverts);
      seen.push(said);
      if (said !== expected[index]) break;
    }
  } catch (error) {
    seen.push(error instanceof Error ? error.message : String(error));
  }
  const log = Object.values(ends)
    .map((end) => end.log())
    .join('\n');
  await clear(scene, forgers);
  return { name: row.name, expected: expected.join('; '), seen: seen.join('; '), log };
}

async function clear({ ground, ends }: Scene, forgers: readonly ChildProcess[]): Promise<void> {
  for (const forger of forgers) forger.kill('SIGKILL');
  await Promise.all(Object.values(ends).map((end) => end.crash().catch(() => undefined))); // gone already
  ground.heal();
}

async function forge(ground: Ground, packet: Packet, forgers: ChildProcess[]): Promise<void> {
  const program = [process.execPath, join(import.meta.dirname, 'forge.ts'), JSON.stringify(packet)];
  const [command = '', ...args] = ground.enter('c', program);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  forgers.push(child);
  const failed = once(child, 'close').then(() => {
    throw new Error('the third host could not send its packet');
  });
  failed.catch(() => undefined); // one packet, and it ends
  await Promise.race([once(child.stdout, 'data'), failed]);
}

const asList = (expect: Picture | Picture[]): Picture[] => (Array.isArray(expect) ? expect : [expect]);

/** Does the deed and waits until one of the pictures stands, holds, and the facts are true. @returns what was seen */
async function perform(scene: Scene, cast: Cast, step: Step, adverts: number): Promise<string> {
  const { ends } = scene;
  const before = { a: ends.a.words.length, b: ends.b.words.length };
  const picture = (): Picture => ({
    a: ends.a.words.slice(before.a).join(' '),
    b: ends.b.words.slice(before.b).join(' '),
  });
  await step.act(scene);
  const wanted = asList(step.expect);
  const trouble = await settle(scene, step, picture, adverts);
  const last = picture();
  const text = textOf(cast, step, wanted.some((one) => same(one, last)) ? wanted : [last]);
  if (trouble !== undefined) return `${text}, but ${trouble}`;
  return [text, ...(await judge(scene, step.facts ?? []))].join(', ');
}

const same = (one: Picture, other: Picture): boolean => one.a === other.a && one.b === other.b;

/**
 * Waits until a wanted picture stands and lasts.
 * @returns what kept it from that; undefined: it lasts
 */
async function settle(
  scene: Scene,
  step: Step,
  picture: () => Picture,
  adverts: number,
): Promise<string | undefined> {
  const wanted = asList(step.expect);
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const stood = picture();
    if (!wanted.some((one) => canBecome(stood, one))) return 'nothing else was expected';
    if (wanted.some((one) => same(one, stood))) {
      const isOver = (): boolean => !same(picture(), stood);
      const trouble = await hold(scene, step, adverts, isOver);
      if (!isOver()) return trouble;
    }
    await pause();
  }
  return `not for longer than ${PATIENCE_MS} ms`;
}

/**
 * Lets the Masters send that many adverts more, and nobody else any.
 * @param isOver whether the picture has changed meanwhile, so that there is nothing to wait for
 * @returns what the wire told otherwise
 */
async function hold(
  scene: Scene,
  step: Step,
  adverts: number,
  isOver: () => boolean,
): Promise<string | undefined> {
  const masters = mastersOf(scene);
  const others = PLACES.filter((place) => !masters.includes(place));
  const count = (places: readonly Place[]): number[] => places.map((place) => sentBy(scene, place));
  const heard = step.heard ?? masters;
  const hears = (more: number): Promise<boolean> => {
    const goals = count(heard).map((sent) => sent + more);
    const isPast = (): boolean => count(heard).every((sent, index) => sent >= (goals[index] ?? 0));
    return eventually('adverts', () => isPast() || isOver() || undefined).catch(() => false);
  };
  // The tap may tell the last advert of an end after the end has told its new state.
  if (!(await hears(1))) return 'not every Master advertises';
  const before = count(others).join();
  if (!(await hears(adverts))) return 'not every Master advertises';
  return count(others).join() === before ? undefined : `${others.join()} advertises without being Master`;
}

const canBecome = (now: Picture, wanted: Picture): boolean =>
  wanted.a.startsWith(now.a) && wanted.b.startsWith(now.b);

const mastersOf = ({ ends }: Scene): Place[] =>
  Object.values(ends)
    .filter((end) => end.words.at(-1) === 'Master')
    .map(({ place }) => place);

/** Adverts that an end itself has sent as Master; a forged one in its name has another priority. */
const sentBy = ({ ground, ends }: Scene, place: Place): number =>
  ground.adverts(place).filter(({ priority }) => priority === ends[place].priority).length;

/** Each fact as it is expected to be said, or that it did not come true. */
const judge = (scene: Scene, facts: readonly Fact[]): Promise<string[]> =>
  Promise.all(
    facts.map(async ({ says, holds }) => {
      const isTrue = await eventually(says, async () => (await holds(scene)) || undefined).catch(() => false);
      return isTrue ? says : `NOT: ${says}`;
    }),
  );

const textOf = (cast: Cast, { deed }: Step, pictures: readonly Picture[]): string => {
  const name = (place: Place): string => (cast.a === cast.b ? `${cast[place]} ${place}` : cast[place]);
  const said = pictures.map((picture) =>
    PLACES.filter((place) => picture[place] !== '')
      .map((place) => `${name(place)} ${picture[place].replaceAll(' ', '-')}`)
      .join(', '),
  );
  return `${deed}: ${said.map((each) => each || 'nothing').join(' or ')}`;
};
