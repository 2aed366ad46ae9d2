/**
 * The CRDs' rules across fields, evaluated without an API server. The CEL text of a rule is the key of its meaning in
 * TypeScript; path and message come from the manifest. So a rule that is changed in one place only is an error at load.
 */
import { isIPv4 } from 'node:net';
import { isObject, type Json, mapKey, type Rule, type Schema } from './schema.ts';
import {
  type HAPairSpec,
  type HealthCheck,
  type PairAddress,
  type PairNode,
  TERM_STEP,
  type VRRPInstance,
  type VRRPInstanceSpec,
  vipsOf,
} from './types.ts';

/** What is wrong, where: `spec.nodes[0].address`; the path of the whole object is empty. */
export type Problem = { path: string; message: string };

type Verdict = (self: unknown, oldSelf: unknown) => boolean;

/** The manifest's schema has vouched for the type before a rule runs. */
const rule = <T>(cel: string, holds: (self: T, oldSelf: T) => boolean): [string, Verdict] => [
  cel,
  (self, oldSelf) => holds(self as T, oldSelf as T),
];

/** The parameters of both kinds, as far as rules read them. */
type Parameters = Pick<
  HAPairSpec['vrrp'],
  'version' | 'advertisementIntervalMilliseconds' | 'checksum' | 'authentication'
>;

const MEANINGS: ReadonlyMap<string, Verdict> = new Map([
  rule<VRRPInstance>('self.metadata.name.size() <= 63', ({ metadata }) => [...metadata.name].length <= 63),
  rule<VRRPInstance>(
    "self.metadata.name == self.spec.pairName + '.' + self.spec.nodeName",
    ({ metadata, spec }) => metadata.name === `${spec.pairName}.${spec.nodeName}`,
  ),
  rule<VRRPInstance>(
    '!has(self.status) || self.status.term <= 1000000 + (has(oldSelf.status) && oldSelf.status.term > self.spec.termFloor ? oldSelf.status.term : self.spec.termFloor)',
    ({ status, spec }, { status: stored }) =>
      status === undefined || status.term <= TERM_STEP + Math.max(stored?.term ?? 0, spec.termFloor),
  ),
  rule<string | number>('self == oldSelf', (self, oldSelf) => self === oldSelf),
  rule<string>('isIP(self) && ip(self).family() == 4 && ip(self).isGlobalUnicast()', (self) =>
    isGlobalUnicastIPv4(self),
  ),

  rule<HAPairSpec>(
    '!has(oldSelf.region) || (has(self.region) && self.region == oldSelf.region)',
    (self, oldSelf) => oldSelf.region === undefined || self.region === oldSelf.region,
  ),
  rule<HAPairSpec>(
    '!has(self.preferredNode) || self.nodes.exists(n, n.name == self.preferredNode)',
    ({ preferredNode, nodes }) =>
      preferredNode === undefined || nodes.some(({ name }) => name === preferredNode),
  ),
  rule<HAPairSpec>(
    '!has(self.pinnedNode) || self.nodes.exists(n, n.name == self.pinnedNode)',
    ({ pinnedNode, nodes }) => pinnedNode === undefined || nodes.some(({ name }) => name === pinnedNode),
  ),
  rule<HAPairSpec>(
    'self.addresses.all(a, !has(a.vip) || self.nodes.all(n, n.address != a.vip))',
    ({ addresses, nodes }) => addresses.every(({ vip }) => nodes.every(({ address }) => address !== vip)),
  ),
  rule<PairNode[]>('self.all(a, self.exists_one(b, b.address == a.address))', (self) =>
    areDistinct(self.map(({ address }) => address)),
  ),
  rule<PairNode[]>('self.all(a, self.exists_one(b, b.networkInterfaceID == a.networkInterfaceID))', (self) =>
    areDistinct(self.map(({ networkInterfaceID }) => networkInterfaceID)),
  ),
  rule<PairAddress[]>(
    'self.filter(a, !has(a.vip)).size() <= 1',
    (self) => self.filter(({ vip }) => vip === undefined).length <= 1,
  ),
  rule<PairAddress[]>(
    'self.all(a, !has(a.vip) || self.exists_one(b, has(b.vip) && b.vip == a.vip))',
    (self) => areDistinct(self.map(({ vip }) => vip)),
  ),
  rule<PairAddress[]>(
    'self.all(a, !has(a.eipAllocationID) || self.exists_one(b, has(b.eipAllocationID) && b.eipAllocationID == a.eipAllocationID))',
    (self) => areDistinct(self.map(({ eipAllocationID }) => eipAllocationID)),
  ),
  rule<PairAddress>(
    'has(self.vip) || has(self.eipAllocationID)',
    ({ vip, eipAllocationID }) => vip !== undefined || eipAllocationID !== undefined,
  ),
  rule<HealthCheck>(
    '[has(self.httpGet), has(self.tcpSocket), has(self.command)].exists_one(x, x)',
    ({ httpGet, tcpSocket, command }) =>
      [httpGet, tcpSocket, command].filter((action) => action !== undefined).length === 1,
  ),

  rule<Parameters>(
    '!has(self.authentication) || self.version == 2',
    ({ authentication, version }) => authentication === undefined || version === 2,
  ),
  rule<Parameters>(
    '!has(self.checksum) || self.version == 3',
    ({ checksum, version }) => checksum === undefined || version === 3,
  ),
  rule<Parameters>(
    'has(self.checksum) || self.version != 3',
    ({ checksum, version }) => checksum !== undefined || version !== 3,
  ),
  rule<Parameters>(
    'self.version != 2 || self.advertisementIntervalMilliseconds % 1000 == 0',
    ({ version, advertisementIntervalMilliseconds }) =>
      version !== 2 || advertisementIntervalMilliseconds % 1000 === 0,
  ),

  rule<VRRPInstanceSpec>(
    'self.sourceAddress != self.peerAddress',
    ({ sourceAddress, peerAddress }) => sourceAddress !== peerAddress,
  ),
  rule<VRRPInstanceSpec>(
    '!has(self.addresses) || self.addresses.all(a, (!has(a.vip) || a.vip != self.sourceAddress && a.vip != self.peerAddress) && (!has(a.replacedVIPs) || a.replacedVIPs.all(v, v != self.sourceAddress && v != self.peerAddress)))',
    (spec) => vipsOf(spec).every((vip) => vip !== spec.sourceAddress && vip !== spec.peerAddress),
  ),
]);

/** The CEL texts that have a meaning here. */
export const KNOWN_RULES: readonly string[] = [...MEANINGS.keys()];

/** Go's netip.Addr.IsGlobalUnicast for IPv4: not unspecified, broadcast, loopback, link-local or multicast. */
const isGlobalUnicastIPv4 = (text: string): boolean => {
  if (!isIPv4(text) || text === '0.0.0.0' || text === '255.255.255.255') return false;
  const [first = 0, second = 0] = text.split('.').map(Number);
  const isMulticast = first >= 224 && first <= 239;
  return first !== 127 && !isMulticast && !(first === 169 && second === 254);
};

const areDistinct = (values: readonly (string | undefined)[]): boolean => {
  const given = values.filter((value) => value !== undefined);
  return new Set(given).size === given.length;
};

/**
 * All rules of a schema.
 * @throws Error when one has no meaning in this file.
 */
export const collectRules = (schema: Schema): Rule[] => {
  const own = schema['x-kubernetes-validations'] ?? [];
  for (const { rule: cel } of own) {
    if (!MEANINGS.has(cel))
      throw new Error(`crds/rules.ts gives no meaning to the rule "${cel}": add it there`);
  }
  const children = [...Object.values(schema.properties ?? {}), ...(schema.items ? [schema.items] : [])];
  return [...own, ...children.flatMap(collectRules)];
};

/**
 * The rules that a value breaks. The value must have the types that the schema says, as the API server demands before it
 * runs CEL.
 * @param oldValue what was there before; a rule about the change is skipped without it.
 */
export const brokenRules = (
  schema: Schema,
  value: Json,
  oldValue: Json | undefined,
  path: string,
): Problem[] => {
  const problems = (schema['x-kubernetes-validations'] ?? [])
    .filter((candidate) => !holds(candidate, value, oldValue))
    .map(({ fieldPath = '', message }) => ({ path: join(path, fieldPath), message }));
  if (isObject(value)) {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const child = value[name];
      const oldChild = isObject(oldValue) ? oldValue[name] : undefined;
      if (child !== undefined)
        problems.push(...brokenRules(property, child, oldChild, join(path, `.${name}`)));
    }
  }
  const { items } = schema;
  if (Array.isArray(value) && items !== undefined) {
    for (const [index, item] of value.entries()) {
      const oldItem = correlate(schema, item, oldValue);
      problems.push(...brokenRules(items, item, oldItem, `${path}[${index}]`));
    }
  }
  return problems;
};

const holds = ({ rule: cel }: Rule, self: Json, oldSelf: Json | undefined): boolean => {
  if (cel.includes('oldSelf') && oldSelf === undefined) return true;
  return MEANINGS.get(cel)?.(self, oldSelf) ?? false;
};

/** Only an item of a map list has a former self. */
const correlate = (schema: Schema, item: Json, oldList: Json | undefined): Json | undefined => {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(oldList)) return undefined;
  const key = mapKey(schema, item);
  return oldList.find((candidate) => mapKey(schema, candidate) === key);
};

const join = (path: string, field: string): string => (path === '' ? field.slice(1) : `${path}${field}`);
