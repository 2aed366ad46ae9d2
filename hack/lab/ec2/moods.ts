/**
 * Moods of the services beside EC2's own API: an instance's metadata, and the source of the operator's credentials. In life
 * they are slow, silent, refuse, or say what was true a while ago.
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { MOOD_KINDS, type Mood } from '../types.ts';
import type { Mapping } from './state.ts';

/** Whose mood that of the source of credentials is: the role's metadata, and STS. Any other name is an instance's. */
export const CREDENTIALS = 'credentials';

type InForce = { mood: Mood; left: number; frozen: Mapping };

const WELL: Mood = { is: 'well' };

const isNumber = (value: unknown): value is number => typeof value === 'number' && value >= 0;

/** @throws TypeError that names what is wrong */
export const parseMood = (input: unknown): Mood => {
  const mood: Partial<Mood> & Record<string, unknown> = Object(input);
  const kind = MOOD_KINDS.find((known) => known === mood.is);
  if (kind === undefined)
    throw new TypeError(`a mood's \`is\` is one of ${MOOD_KINDS.join(', ')}, not ${JSON.stringify(mood.is)}`);
  if (mood.count !== undefined && !isNumber(mood.count))
    throw new TypeError(`count is a number of requests, not ${JSON.stringify(mood.count)}`);
  if (kind === 'slow' && !isNumber(mood.delayMs)) throw new TypeError('slow wants delayMs');
  if (kind === 'refusing' && !isNumber(mood.status)) throw new TypeError('refusing wants the HTTP status');
  if (kind === 'listing' && !Array.isArray(mood.addresses)) throw new TypeError('listing wants addresses');
  return input as Mood;
};

/** The moods in force, by whom they are of. */
export class Moods {
  readonly #moods = new Map<string, InForce>();

  /** @param mapping what packets do now: a frozen service goes on telling that */
  set(who: string, mood: Mood, mapping: Mapping): void {
    const frozen = { routes: new Map(mapping.routes), nat: new Map(mapping.nat) };
    this.#moods.set(who, { mood, left: mood.count ?? Number.POSITIVE_INFINITY, frozen });
  }

  /** The mood that one more request meets. */
  take(who: string): Mood {
    const entry = this.#moods.get(who);
    if (entry === undefined || entry.left <= 0) return WELL;
    entry.left -= 1;
    return entry.mood;
  }

  /** What a service tells of the mapping. @param mapping as it is */
  mappingFor(who: string, mapping: Mapping): Mapping {
    const entry = this.#moods.get(who);
    return entry?.mood.is === 'frozen' && entry.left > 0 ? entry.frozen : mapping;
  }

  /** Private addresses that a service lists, whatever is true; absent: the true ones. */
  listedFor(who: string): readonly string[] | undefined {
    const entry = this.#moods.get(who);
    return entry?.mood.is === 'listing' && entry.left > 0 ? entry.mood.addresses : undefined;
  }
}

/**
 * Answers as the mood wants it: later, with a refusal, or never.
 * @param refuse writes the answer of a mood that refuses
 */
export const inMood = async (
  mood: Mood,
  response: ServerResponse,
  answer: () => void,
  refuse: (mood: Extract<Mood, { is: 'refusing' }>) => void,
): Promise<void> => {
  if (mood.is === 'silent') return;
  if (mood.is === 'slow') await sleep(mood.delayMs);
  if (response.destroyed) return;
  if (mood.is === 'refusing') refuse(mood);
  else answer();
};
