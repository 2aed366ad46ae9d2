/** The parts that two ends play in the rows of the table, and the steps that most rows begin with. */
import type { VRRPVersion } from '../../crds/types.ts';
import type { End, EndConfig, Rejection } from './end.ts';
import { otherPlace, type Place } from './ground.ts';
import type { Cast, Fact, Picture, Row, Step } from './scene.ts';

/** Who plays which part, and with what. */
export type Parts = {
  first: Place;
  second: Place;
  hapair: Place;
  keepalived: Place;
  /** What both are configured with unless a story says otherwise. */
  base: Pick<EndConfig, 'version' | 'intervalMs' | 'password'>;
};

/** A row without the names that its parts give it. */
export type Story = (parts: Parts) => Pick<Row, 'theory' | 'steps'>;

/** v3: a Backup claims after some 1.5 s, so that a busy machine still sends in time. v2 knows whole seconds. */
const BASES: Record<VRRPVersion, Parts['base']> = {
  2: { version: 2, intervalMs: 1000, password: 's3cret' },
  3: { version: 3, intervalMs: 400 },
};

/** Priorities by what they are among each other. */
export const LOW = 100;
export const EQUAL = 150;
export const HIGH = 200;

/** The words of the first and of the second end. */
export const picture = ({ first }: Parts, ofFirst: string, ofSecond: string): Picture =>
  first === 'a' ? { a: ofFirst, b: ofSecond } : { a: ofSecond, b: ofFirst };

/** The first end starts alone. */
export const firstStarts = (parts: Parts, config: Partial<EndConfig>): Step => ({
  deed: 'the first starts',
  act: ({ ends }) => ends[parts.first].start({ ...parts.base, priority: LOW, ...config }),
  expect: picture(parts, 'Backup Master', ''),
});

/** The second end comes. Default: it listens and stays Backup. */
export const secondStarts = (
  parts: Parts,
  config: Partial<EndConfig>,
  expect: Picture | Picture[] = picture(parts, '', 'Backup'),
): Step => ({
  deed: 'the second starts',
  act: ({ ends }) => ends[parts.second].start({ ...parts.base, priority: LOW, ...config }),
  expect,
});

/** An end has rejected packets for this cause. */
export const rejects = (parts: Parts, kind: End['kind'], cause: Rejection): Fact => ({
  says: `${kind} counts packets rejected for their ${cause}`,
  holds: async ({ ends }) => (await ends[parts[kind]].rejected(cause)) > 0,
});

/** The parts when an end of this kind comes first; places are swapped between the versions. */
export const partsOf = (firstKind: End['kind'], version: VRRPVersion): Parts => {
  const first: Place = version === 3 ? 'a' : 'b';
  const second = otherPlace(first);
  const kinds =
    firstKind === 'hapair' ? { hapair: first, keepalived: second } : { hapair: second, keepalived: first };
  return { first, second, ...kinds, base: BASES[version] };
};

/** Names a story's row. */
export const rowOf = (name: string, parts: Parts, story: Story): Row => {
  const cast: Cast =
    parts.hapair === 'a' ? { a: 'hapair', b: 'keepalived' } : { a: 'keepalived', b: 'hapair' };
  return { name: `v${parts.base.version}, ${cast[parts.first]} first: ${name}`, cast, ...story(parts) };
};

/** The same story told by two keepalived nodes: that the expectation is theirs and not only ours. */
export const controlOf = (name: string, version: VRRPVersion, story: Story): Row => ({
  name: `v${version}, two keepalived: ${name}`,
  cast: { a: 'keepalived', b: 'keepalived' },
  ...story(partsOf('keepalived', version)),
});
