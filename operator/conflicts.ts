/**
 * Who owns an address or a virtual router that two HAPairs name: the incumbent, which has it already, then the older, then the
 * smaller UID. An index, not a search.
 */
import type { HAPair } from '../crds/types.ts';
import { type Address, itemsOf } from '../delivery/items.ts';
import type { Item } from '../delivery/movable.ts';
import type { Key } from '../kube/types.ts';

type Claim = { claim: string; text: string };

const claimOf = (region: string, { movable: { name, isRegional }, id }: Item): string =>
  `${name}/${isRegional ? region : ''}/${id}`;

const addressClaims = (region: string, addresses: readonly Address[]): Claim[] =>
  addresses
    .flatMap((address) => itemsOf([address]))
    .map((item) => ({ claim: claimOf(region, item), text: `${item.movable.name} ${item.id}` }));

const vridClaims = ({ vrrp: { virtualRouterID } }: HAPair['spec'], nodes: HAPair['spec']['nodes']): Claim[] =>
  nodes.map(({ networkInterfaceID }) => ({
    claim: `vrid/${networkInterfaceID}/${virtualRouterID}`,
    text: `virtualRouterID ${virtualRouterID} on ${networkInterfaceID}`,
  }));

/** What a HAPair may have to itself, as text that is equal for equal things. `region`: where a HAPair that names none lies. */
const claimsOf = ({ spec }: HAPair, region: string): Claim[] => [
  ...addressClaims(spec.region ?? region, spec.addresses),
  ...vridClaims(spec, spec.nodes),
];

/**
 * What nobody younger may have: also what is recorded in status, for a pair goes on with its last accepted spec while an edit
 * of it is not, and serves a dropped address until the others have arrived.
 */
const heldBy = (pair: HAPair, region: string): string[] => {
  const recorded = addressClaims(pair.spec.region ?? region, pair.status?.addresses ?? []);
  return [...new Set([...claimsOf(pair, region), ...recorded].map(({ claim }) => claim))];
};

/** What it means to keep: not what it records only until that is given up, nor what it names while it is being deleted. */
const kept = (pair: HAPair, region: string): string[] =>
  pair.metadata.deletionTimestamp === undefined
    ? addressClaims(pair.spec.region ?? region, pair.spec.addresses).map(({ claim }) => claim)
    : [];

/** What a HAPair has: addresses that EC2 delivers to its nodes, or that it has placed; the VRIDs under which it has served. */
const hadBy = ({ spec, status }: HAPair, region: string): string[] => {
  const recorded = status?.addresses ?? [];
  const had = recorded.filter(({ holder, placedTime }) => holder !== undefined || placedTime !== undefined);
  const served = recorded.flatMap(({ networkInterfaceIDs }) => networkInterfaceIDs);
  const nodes = spec.nodes.filter(
    ({ networkInterfaceID: id }) => (status?.term ?? 0) > 0 && served.includes(id),
  );
  return [...addressClaims(spec.region ?? region, had), ...vridClaims(spec, nodes)].map(({ claim }) => claim);
};

/** A spec that is refused claims nothing; what such a pair has it keeps. */
const isRefused = ({ status }: HAPair): boolean =>
  status?.conditions?.some((each) => each.type === 'Accepted' && each.status === 'False') ?? false;

const isOlder = (a: HAPair, b: HAPair): boolean => {
  const [timeA, timeB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return timeA === timeB ? (a.metadata.uid ?? '') < (b.metadata.uid ?? '') : timeA < timeB;
};

type Known = {
  pair: HAPair;
  /** What nobody who came later may have. */
  claims: readonly string[];
  /** See {@link kept}. */
  kept: readonly string[];
  /** Those of its claims that it has. */
  had: readonly string[];
  isRefused: boolean;
};

/** Text that is equal as long as nobody's verdict differs. */
const verdictOf = (known: Known | undefined): string =>
  known === undefined
    ? ''
    : JSON.stringify([known.pair.metadata.uid, known.isRefused, known.claims, known.kept, known.had]);

/** True if `rival` goes before `own`: nobody's edit takes from who has it, and a refused spec bars nobody. */
const isBefore = (rival: Known, own: Known, claim: string): boolean => {
  const [rivalHas, ownHas] = [rival.had.includes(claim), own.had.includes(claim)];
  if (rivalHas !== ownHas) return rivalHas;
  return (rivalHas || !rival.isRefused) && isOlder(rival.pair, own.pair);
};

export type ClaimIndex = {
  /** Takes over what a HAPair claims now; `undefined`: it is gone. Returns the keys of others whose verdict may differ now. */
  update(key: Key, pair: HAPair | undefined): Key[];
  /** Why this HAPair must stand back, for its own reader: a rival in another namespace is not named. */
  rivalOf(key: Key): string | undefined;
  /**
   * VIPs and allocation IDs among those that this HAPair names or has recorded which another one names or serves too. Of several that
   * give up the same one, each leaves it to the oldest.
   */
  claimedElsewhere(key: Key): string[];
};

/** @param region where a HAPair without `spec.region` lies */
export const createClaimIndex = (region: string): ClaimIndex => {
  const known = new Map<Key, Known>();
  const holders = new Map<string, Set<Key>>();

  const othersOf = (claims: readonly string[], key: Key): Key[] => [
    ...new Set(claims.flatMap((claim) => [...(holders.get(claim) ?? [])].filter((other) => other !== key))),
  ];

  return {
    update(key, pair) {
      const before = known.get(key);
      const old = before?.claims ?? [];
      const claims = pair ? heldBy(pair, region) : [];
      if (pair)
        known.set(key, {
          ...{ pair, claims, kept: kept(pair, region), had: hadBy(pair, region), isRefused: isRefused(pair) },
        });
      else known.delete(key);
      if (verdictOf(before) === verdictOf(known.get(key))) return [];
      const affected = othersOf([...old, ...claims], key);
      for (const claim of old) {
        holders.get(claim)?.delete(key);
        if (holders.get(claim)?.size === 0) holders.delete(claim);
      }
      for (const claim of claims) holders.set(claim, (holders.get(claim) ?? new Set()).add(key));
      return affected;
    },

    rivalOf(key) {
      const own = known.get(key);
      if (!own) return undefined;
      const { pair } = own;
      const claims = claimsOf(pair, region);
      for (const { claim } of claims) {
        for (const other of holders.get(claim) ?? []) {
          const rival = known.get(other);
          if (other === key || !rival || !isBefore(rival, own, claim)) continue;
          const { name, namespace } = rival.pair.metadata;
          const who =
            namespace === pair.metadata.namespace ? `HAPair ${name}` : 'A HAPair in another namespace';
          const shared = claims.filter(
            (each) => holders.get(each.claim)?.has(other) && isBefore(rival, own, each.claim),
          );
          const what = shared.map(({ text }) => text).join(' and ');
          const why = rival.had.includes(claim) ? `has ${what} already` : `is older and names ${what} too`;
          return `${who} ${why}; only one can have ${shared.length > 1 ? 'them' : 'it'}.`;
        }
      }
      return undefined;
    },

    claimedElsewhere(key) {
      const { pair } = known.get(key) ?? {};
      if (!pair) return [];
      const items = itemsOf([...pair.spec.addresses, ...(pair.status?.addresses ?? [])]);
      const own = kept(pair, region);
      const isShared = (item: Item): boolean => {
        const claim = claimOf(pair.spec.region ?? region, item);
        return othersOf([claim], key).some((other) => {
          const rival = known.get(other);
          if (!rival) return false;
          return own.includes(claim) || rival.kept.includes(claim) || isOlder(rival.pair, pair);
        });
      };
      return [...new Set(items.filter(isShared).map(({ id }) => id))];
    },
  };
};
