/**
 * What can be known ahead of a failover: whether EC2 would carry it out, and whether the nodes could hear each other. Each
 * check is a line that says what was found and, if it fails, what to do. Failing means that the next failover would not
 * work, or not fully; not knowing is never passing.
 */
import type { Reason } from '../../crds/conditions.ts';
import type { PairAddress, PairNode } from '../../crds/types.ts';
import type { EC2Facts, EC2View, NetworkInterface } from '../../ec2/types.ts';
import { FOREIGN_ENI } from './calls.ts';
import type { Report } from './elect.ts';
import { isInside, isReserved } from './ipv4.ts';
import { REFUSED, type Refusal } from './refusals.ts';
import { type End, passage } from './security-groups.ts';
import type { Fact } from './types.ts';

/** What the preflight looks at; what EC2 was not asked for is absent. */
export type PreflightInput = {
  nowMs: number;
  nodes: readonly PairNode[];
  addresses: readonly PairAddress[];
  reports: readonly Report[];
  view: EC2View | undefined;
  facts: EC2Facts | undefined;
  /** What EC2 has refused to the operator's role; default: nothing. */
  refusals?: readonly Refusal[];
  /** VIPs and allocations that the pair never had and somebody else has. */
  held: readonly string[];
};

/** `unknowable`: EC2 has no way to ask, so it keeps nothing from passing. */
type Verdict = 'ok' | 'FAIL' | 'unknown' | 'unknowable';
type Check = { verdict: Verdict; what: string; found: string; todo?: string };

const ok = (what: string, found: string): Check => ({ verdict: 'ok', what, found });
const fail = (what: string, found: string, todo: string): Check => ({ verdict: 'FAIL', what, found, todo });
const unknown = (what: string, found: string): Check => ({ verdict: 'unknown', what, found });

/** A node with its ENI, as far as it was read. */
type Side = { node: PairNode; eni: NetworkInterface | null | undefined };

const lineOf = ({ verdict, what, found, todo }: Check): string =>
  `${verdict === 'unknowable' ? 'unknown' : verdict}  ${what}: ${found}${todo === undefined ? '' : `; ${todo}`}`;

const networkInterfaceCheck = ({ node, eni }: Side, reports: readonly Report[]): Check => {
  const what = `ENI of ${node.name}`;
  const id = node.networkInterfaceID;
  if (eni === undefined) return unknown(what, `${id} was not read`);
  if (eni === null)
    return fail(what, `${id} does not exist`, 'correct spec.nodes or create the instance anew');
  const { instanceID } = eni;
  if (instanceID === undefined)
    return fail(what, `${id} is attached to no instance`, `attach it to the instance of ${node.name}`);
  const reported = reports.find((report) => report.node === node.name)?.instanceID;
  if (reported === undefined)
    return unknown(what, `${id} is attached to ${instanceID}; the agent has not said where it runs`);
  return reported === instanceID
    ? ok(what, `${id} is attached to ${instanceID}, where the agent runs`)
    : fail(
        what,
        `${id} is attached to ${instanceID}, but the agent runs on ${reported}`,
        'correct spec.nodes, or the name that the agent is started with',
      );
};

const primaryCheck = ({ node, eni }: Side): Check[] => {
  const primary = eni?.privateIPAddresses.find((address) => address.primary)?.privateIPAddress;
  if (primary === undefined) return [];
  const what = `address of ${node.name}`;
  return [
    primary === node.address
      ? ok(what, `${primary} is the primary of its ENI`)
      : fail(what, `the primary of its ENI is ${primary}, not ${node.address}`, 'correct spec.nodes'),
  ];
};

const instanceCheck = ({ node, eni }: Side, facts: EC2Facts | undefined): Check[] => {
  const id = eni?.instanceID;
  if (id === undefined) return [];
  const what = `instance of ${node.name}`;
  const instance = facts?.instances[id];
  if (instance === undefined) return [unknown(what, `${id} was not read`)];
  if (instance === null) return [fail(what, `${id} does not exist`, 'replace the node')];
  return [
    instance.state === 'running'
      ? ok(what, `${id} is running`)
      : fail(what, `${id} is ${instance.state}`, 'start it, or replace the node'),
  ];
};

const placeCheck = ([one, two]: readonly Side[], needsSubnet: boolean): Check => {
  const what = 'subnet and zone';
  if (!one?.eni || !two?.eni) return unknown(what, 'both ENIs must be read');
  const places = `${one.eni.subnetID} (${one.eni.availabilityZone})`;
  if (one.eni.subnetID === two.eni.subnetID) return ok(what, `both ENIs are in ${places}`);
  const found = `${one.node.name} is in ${places}, ${two.node.name} in ${two.eni.subnetID} (${two.eni.availabilityZone})`;
  return needsSubnet
    ? fail(what, found, 'a VIP cannot leave its subnet: put both instances into one subnet')
    : ok(what, `${found}; an EIP alone can move between them`);
};

/** Not known to lie outside the subnet of these nodes, nor to be kept by AWS. */
export const fitsSubnet = (
  vip: string,
  nodes: readonly PairNode[],
  { view, facts }: Pick<PreflightInput, 'view' | 'facts'>,
): boolean =>
  nodes.every(({ networkInterfaceID }) => {
    const subnetID = view?.networkInterfaces[networkInterfaceID]?.subnetID;
    const { cidrBlock } = (subnetID !== undefined && facts?.subnets[subnetID]) || {};
    return cidrBlock === undefined || (isInside(vip, cidrBlock) && !isReserved(vip, cidrBlock));
  });

/** Whose it is, a pair's reader is not told. */
const heldCheck = (what: string, another: string): Check =>
  fail(what, `it is held by ${FOREIGN_ENI}`, `free it there, or ${another}`);

const vipCheck = (vip: string, sides: readonly Side[], { facts, held }: PreflightInput): Check => {
  const what = `VIP ${vip}`;
  if (held.includes(vip)) return heldCheck(what, 'choose another VIP');
  const enis = sides.flatMap(({ eni }) => eni ?? []);
  const owner = enis.find(({ privateIPAddresses }) =>
    privateIPAddresses.some(({ privateIPAddress, primary }) => primary && privateIPAddress === vip),
  );
  if (owner)
    return fail(
      what,
      `it is the primary of ${owner.networkInterfaceID} and cannot move`,
      'choose another VIP',
    );
  const subnets = [...new Set(enis.map(({ subnetID }) => subnetID))];
  if (subnets.length === 0) return unknown(what, 'no ENI was read');
  for (const id of subnets) {
    const subnet = facts?.subnets[id];
    if (subnet === undefined) return unknown(what, `${id} was not read`);
    if (subnet === null) return fail(what, `${id} does not exist`, 'correct spec.nodes');
    const { cidrBlock } = subnet;
    if (!isInside(vip, cidrBlock))
      return fail(what, `it lies outside ${cidrBlock} of ${id}`, 'choose a free address of that subnet');
    if (isReserved(vip, cidrBlock))
      return fail(what, `AWS keeps it to itself in ${cidrBlock}`, 'choose another address of that subnet');
  }
  return ok(what, 'it lies in the subnet and is the primary of neither ENI');
};

const roomCheck = ({ node, eni }: Side, vips: readonly string[], facts: EC2Facts | undefined): Check[] => {
  if (!eni || vips.length === 0) return [];
  const what = `room on the ENI of ${node.name}`;
  const type = eni.instanceID === undefined ? undefined : facts?.instances[eni.instanceID]?.instanceType;
  const limit = type === undefined ? undefined : facts?.addressesPerInterface[type];
  if (type === undefined || limit === undefined)
    return [unknown(what, 'the limit of its instance type was not read')];
  const held = eni.privateIPAddresses.map(({ privateIPAddress }) => privateIPAddress);
  const missing = vips.filter((vip) => !held.includes(vip)).length;
  // No count in this line: other pairs' VIPs come and go on the same ENI, and the status of a quiet pair must not move.
  if (held.length + missing <= limit)
    return [ok(what, `it has or takes every VIP; a ${type} takes ${limit} addresses`)];
  const found = `${held.length} of ${limit} addresses of a ${type} are taken`;
  const todo = `${missing} more must fit: take some off, or choose a larger type`;
  return [fail(what, found, todo)];
};

/** One line each way: out of the one ENI's groups and into the other's. */
const passageCheck = (from: Side, to: Side, facts: EC2Facts | undefined): Check => {
  const what = `protocol 112 from ${from.node.name} to ${to.node.name}`;
  if (!from.eni || !to.eni || !facts) return unknown(what, 'ENIs and security groups must be read');
  const source: End = { address: from.node.address, networkInterface: from.eni };
  const target: End = { address: to.node.address, networkInterface: to.eni };
  const out = passage(source, target, 'Egress', facts.securityGroupRules);
  const into = passage(target, source, 'Ingress', facts.securityGroupRules);
  const groups = (side: NetworkInterface): string => side.securityGroupIDs.join(', ');
  if (out === 'Closed')
    return fail(
      what,
      `no rule of ${groups(from.eni)} lets it out`,
      `add an outbound rule for protocol 112 to ${to.node.address}`,
    );
  if (into === 'Closed')
    return fail(
      what,
      `no rule of ${groups(to.eni)} lets it in`,
      `add an inbound rule for protocol 112 from ${from.node.address}`,
    );
  return out === 'Open' && into === 'Open'
    ? ok(what, `${groups(from.eni)} and ${groups(to.eni)} let it through`)
    : unknown(what, `not every rule of ${groups(from.eni)} and ${groups(to.eni)} could be read`);
};

/** Every rule of the security groups that matters was read, and lets VRRP through both ways. */
export const isLetThrough = ({ nodes, view, facts }: PreflightInput): boolean => {
  const [one, two] = nodes.map(
    (node): Side => ({ node, eni: view?.networkInterfaces[node.networkInterfaceID] }),
  );
  if (!one || !two) return false;
  return [passageCheck(one, two, facts), passageCheck(two, one, facts)].every(
    ({ verdict }) => verdict === 'ok',
  );
};

const sourceCheckNote = ({ node, eni }: Side): Check[] =>
  eni
    ? [
        ok(
          `source/destination check of ${node.name}`,
          eni.sourceDestCheck
            ? 'on, as it may be: a VIP is an address of the ENI'
            : 'off; hapair does not need that',
        ),
      ]
    : [];

const allocationChecks = (id: string, { view, facts, held }: PreflightInput): Check[] => {
  const what = `EIP ${id}`;
  if (held.includes(id)) return [heldCheck(what, 'name another allocation')];
  const elasticIP = view?.elasticIPs[id];
  if (elasticIP === undefined) return [unknown(what, 'it was not read')];
  if (elasticIP === null)
    return [fail(what, 'the allocation does not exist', 'correct eipAllocationID in spec.addresses')];
  const permission = `permission to associate ${id}`;
  const answer = facts?.mayAssociate[id] ?? 'Unknown';
  const verdicts: Record<typeof answer, Check> = {
    Allowed: ok(permission, 'a dry run of AssociateAddress is allowed'),
    Denied: fail(
      permission,
      'a dry run of AssociateAddress is refused',
      "allow ec2:AssociateAddress in the policy of the operator's role",
    ),
    Held: fail(
      permission,
      'EC2 gives it to nobody: a NAT gateway, a load balancer or another account has it',
      'free it, or name another EIP in spec.addresses',
    ),
    Unknown: unknown(permission, 'no dry run of AssociateAddress has been answered yet'),
  };
  return [ok(what, `allocated as ${elasticIP.publicIP}`), verdicts[answer]];
};

/** AssignPrivateIpAddresses has no DryRun: whether it is permitted shows only when it is called. */
const assignNote: Check = {
  verdict: 'unknowable',
  what: 'permission to assign VIPs',
  found: 'AssignPrivateIpAddresses has no dry run; the first move shows it',
};

const refusalCheck = (refusal: Refusal): Check =>
  fail(REFUSED.what(refusal), REFUSED.found(refusal), REFUSED.todo(refusal));

const checksOf = (input: PreflightInput): Check[] => {
  const { nodes, addresses, reports, view, facts, refusals = [] } = input;
  const sides = nodes.map((node): Side => ({ node, eni: view?.networkInterfaces[node.networkInterfaceID] }));
  const vips = addresses.flatMap(({ vip }) => vip ?? []);
  const allocations = addresses.flatMap(({ eipAllocationID }) => eipAllocationID ?? []);
  const ways = sides.flatMap((from) => sides.filter((to) => to !== from).map((to) => ({ from, to })));
  return [
    ...refusals.map(refusalCheck),
    ...sides.map((side) => networkInterfaceCheck(side, reports)),
    ...sides.flatMap(primaryCheck),
    ...sides.flatMap((side) => instanceCheck(side, facts)),
    placeCheck(sides, vips.length > 0),
    ...vips.map((vip) => vipCheck(vip, sides, input)),
    ...sides.flatMap((side) => roomCheck(side, vips, facts)),
    ...allocations.flatMap((id) => allocationChecks(id, input)),
    ...(vips.length > 0 && !refusals.some(({ action }) => action === 'AssignPrivateIpAddresses')
      ? [assignNote]
      : []),
    ...ways.map(({ from, to }) => passageCheck(from, to, facts)),
    ...sides.flatMap(sourceCheckNote),
  ];
};

/** Facts are read every five minutes: when so many minutes of readings have failed, what they said before proves nothing. */
const STALE_FACTS_MS = 15 * 60_000;

/** The lines that stand in the way come first. */
const ORDER: readonly Verdict[] = ['FAIL', 'unknown', 'unknowable', 'ok'];

/** Where nothing can be checked, what EC2 has refused stands all the same. */
export const unchecked = (reason: Reason, message: string, refusals: readonly Refusal[] = []): Fact =>
  refusals.length === 0
    ? { status: 'Unknown', reason, message }
    : {
        status: 'False',
        reason: 'PreflightFailed',
        message: [...refusals.map(refusalCheck).map(lineOf), message].join('\n'),
      };

/** The condition `PreflightPassed`: its message has a line for each check, unless all passed. */
export const preflight = (input: PreflightInput): Fact => {
  if (input.view === undefined) return unchecked('NotChecked', 'EC2 has not been read yet.', input.refusals);
  const checks = checksOf(input);
  const has = (verdict: Verdict): boolean => checks.some((check) => check.verdict === verdict);
  const lines = ORDER.flatMap((verdict) => checks.filter((check) => check.verdict === verdict)).map(lineOf);
  const { failure } = input.facts ?? {};
  const isOld = failure?.sinceMs !== undefined && input.nowMs - failure.sinceMs > STALE_FACTS_MS;
  const why =
    failure && (has('unknown') || isOld)
      ? [`EC2 could not be read (${failure.class}): ${failure.message}`]
      : [];
  const message = [...why, ...lines].join('\n');
  if (has('FAIL')) return { status: 'False', reason: 'PreflightFailed', message };
  if (has('unknown') || isOld) return { status: 'Unknown', reason: 'NotChecked', message };
  const passed = `${checks.filter(({ verdict }) => verdict === 'ok').length} checks passed`;
  const open = checks.filter(({ verdict }) => verdict === 'unknowable').map(({ what }) => what);
  const rest = open.length === 0 ? '' : `; ${open.join(', ')} cannot be asked beforehand`;
  return { status: 'True', reason: 'PreflightPassed', message: `${passed}${rest}.` };
};
