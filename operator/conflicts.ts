/** Who owns an address or a virtual router that two HAPairs name: the older, then the smaller UID. An index, not a search. */
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

/** What a HAPair may have to itself, as text that is equal for equal things. `region`: where a HAPair that names none lies. */
const claimsOf = ({ spec }: HAPair, region: string): Claim[] => [
  ...addressClaims(spec.region ?? region, spec.addresses),
  ...spec.nodes.map(({ networkInterfaceID }) => ({
    claim: `vrid/${networkInterfaceID}/${spec.vrrp.virtualRouterID}`,
    text: `virtualRouterID ${spec.vrrp.virtualRouterID} on ${networkInterfaceID}`,
  })),
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

const isOlder = (a: HAPair, b: HAPair): boolean => {
  const [timeA, timeB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return timeA === timeB ? (a.metadata.uid ?? '') < (b.metadata.uid ?? '') : timeA < timeB;
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
  const pairs = new Map<Key, HAPair>();
  const holders = new Map<string, Set<Key>>();

  const othersOf = (claims: readonly string[], key: Key): Key[] => [
    ...new Set(claims.flatMap((claim) => [...(holders.get(claim) ?? [])].filter((other) => other !== key))),
  ];

  return {
    update(key, pair) {
      const before = pairs.get(key);
      const old = before ? heldBy(before, region) : [];
      const claims = pair ? heldBy(pair, region) : [];
      if (pair) pairs.set(key, pair);
      else pairs.delete(key);
      const isSame =
        before?.metadata.uid === pair?.metadata.uid &&
        old.join() === claims.join() &&
        (before ? kept(before, region) : []).join() === (pair ? kept(pair, region) : []).join();
      if (isSame) return [];
      const affected = othersOf([...old, ...claims], key);
      for (const claim of old) {
        holders.get(claim)?.delete(key);
        if (holders.get(claim)?.size === 0) holders.delete(claim);
      }
      for (const claim of claims) holders.set(claim, (holders.get(claim) ?? new Set()).add(key));
      return affected;
    },

    rivalOf(key) {
      const pair = pairs.get(key);
      if (!pair) return undefined;
      const claims = claimsOf(pair, region);
      for (const { claim } of claims) {
        for (const other of holders.get(claim) ?? []) {
          const rival = pairs.get(other);
          if (other === key || !rival || !isOlder(rival, pair)) continue;
          const { name, namespace } = rival.metadata;
          const who =
            namespace === pair.metadata.namespace ? `HAPair ${name}` : 'A HAPair in another namespace';
          const shared = claims.filter((each) => holders.get(each.claim)?.has(other));
          return `${who} is older and names ${shared.map(({ text }) => text).join(' and ')} too; only one can have ${shared.length > 1 ? 'them' : 'it'}.`;
        }
      }
      return undefined;
    },

    claimedElsewhere(key) {
      const pair = pairs.get(key);
      if (!pair) return [];
      const items = itemsOf([...pair.spec.addresses, ...(pair.status?.addresses ?? [])]);
      const own = kept(pair, region);
      const isShared = (item: Item): boolean => {
        const claim = claimOf(pair.spec.region ?? region, item);
        return othersOf([claim], key).some((other) => {
          const rival = pairs.get(other);
          if (!rival) return false;
          return own.includes(claim) || kept(rival, region).includes(claim) || isOlder(rival, pair);
        });
      };
      return [...new Set(items.filter(isShared).map(({ id }) => id))];
    },
  };
};
