/** What a round has shown, and what of it must not be. Pure. */
import type { Sample } from '../lab/outage.ts';
import type { Delivery } from '../lab/probe-tap.ts';
import type { CallRecord } from '../lab/types.ts';

/** A pair as the storm watches it. */
export type Watched = {
  /** Such as `a/web`. */
  name: string;
  vip: string;
  /** What EC2 calls for it name: its VIP, and the allocation of its EIP. */
  ids: readonly string[];
};

/** Everything seen of one pair in a round. */
export type Seen = {
  pair: Watched;
  /** The fabric's device of the ENI that held it when the round began. */
  device: string;
  /** Probes sent in the round. */
  samples: readonly Sample[];
  deliveries: readonly Delivery[];
  /** Calls that change EC2, received in the round. */
  calls: readonly CallRecord[];
};

const namesOf = ({ parameters }: CallRecord): string[] => Object.values(parameters);

/** What befell a pair that nobody was to disturb. */
export const disturbances = ({ pair, device, samples, deliveries, calls }: Seen): string[] => {
  const bySeq = new Map(
    deliveries.filter(({ target }) => target === pair.vip).map((one) => [one.seq, one.device]),
  );
  const astray = samples.filter(({ seq }) => bySeq.get(seq) !== device);
  const [first] = astray;
  const called = calls.filter((call) => namesOf(call).some((name) => pair.ids.includes(name)));
  return [
    ...(first === undefined
      ? []
      : [
          `${pair.name}: ${astray.length} of ${samples.length} probes did not go to ${device}; the first, ${first.seq}, went ${bySeq.get(first.seq) ?? 'nowhere'}`,
        ]),
    ...called.map(({ action, id }) => `${pair.name}: EC2 call ${id}, ${action}, though nobody disturbed it`),
  ];
};

/** What a HAPair's status said at one moment. */
export type Said = { atMs: number; holder: string; ready: string; redundant: string };

/** Longer than this nobody may say Ready of what does not answer: what is not heard of is said after 40 s, what cannot be read after two minutes. */
export const BLIND_MS = 150_000;

/** A stretch in which the pair was called ready while no probe was answered, if it was too long. */
export const blindness = (pair: Watched, said: readonly Said[], samples: readonly Sample[]): string[] => {
  const answered = samples.flatMap(({ by, sentAtMs }) => (by === undefined ? [] : [sentAtMs]));
  let sinceMs: number | undefined;
  for (const { atMs, ready } of said) {
    const isServed = answered.some((sentAtMs) => sentAtMs <= atMs && sentAtMs > (sinceMs ?? atMs - 1_000));
    if (ready !== 'True' || isServed) sinceMs = undefined;
    else sinceMs ??= atMs;
    if (sinceMs !== undefined && atMs - sinceMs > BLIND_MS)
      return [
        `${pair.name}: Ready=True for ${Math.round((atMs - sinceMs) / 1000)} s while no probe was answered`,
      ];
  }
  return [];
};
