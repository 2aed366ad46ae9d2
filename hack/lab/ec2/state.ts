/**
 * What EC2 knows, as data. Nothing here reads a clock or does IO, and no state is ever changed in place: a call maps a
 * state to the next one, so that an older one can still be shown to a stale read.
 *
 * An EIP is associated with a *private address*, not with an ENI: where it delivers follows from where the address lies.
 * That is why an EIP moves with its address without any code of its own.
 */
import type { LabInstance, LabVPC } from '../types.ts';
import { interfacesOf } from '../vpc.ts';

/** EC2's names of an instance's states. */
export type InstanceState = 'pending' | 'running' | 'shutting-down' | 'stopping' | 'stopped' | 'terminated';

/** An instance and what it is doing. */
export type Instance = LabInstance & { state: InstanceState };

/** An ENI. Its status is always in-use: the lab never detaches one. */
export type NetworkInterface = {
  readonly networkInterfaceID: string;
  readonly macAddress: string;
  readonly description: string;
  /** `null`: attached to something that is no instance of this account. */
  readonly instanceID: string | null;
  /** Decides how many addresses fit; `null`: no limit. */
  readonly instanceType: string | null;
  readonly deviceIndex: number;
  readonly securityGroupIDs: readonly string[];
  readonly subnetID: string;
  readonly availabilityZone: string;
  readonly sourceDestCheck: boolean;
  /** Private IPv4 addresses; the first one is the primary. */
  readonly addresses: readonly string[];
};

/** A public address of the account. */
export type ElasticIP = {
  readonly allocationID: string;
  readonly publicIP: string;
  readonly association: { readonly associationID: string; readonly privateIPAddress: string } | null;
};

/** A rule of a security group; the fabric does not read it. */
export type SecurityGroupRule = {
  readonly securityGroupRuleID: string;
  readonly groupID: string;
  readonly egress: boolean;
  /** `-1`, a name or a number; VRRP is `112`. */
  readonly protocol: string;
  readonly cidr?: string;
  readonly referencedGroupID?: string;
};

/** Everything EC2 knows of the lab's account. */
export type State = {
  readonly vpc: LabVPC;
  readonly instances: readonly Instance[];
  readonly networkInterfaces: readonly NetworkInterface[];
  readonly elasticIPs: readonly ElasticIP[];
  readonly securityGroupRules: readonly SecurityGroupRule[];
  /** Number of the next rule that somebody adds. */
  readonly nextRule: number;
  /** By resource id. */
  readonly tags: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Number of the next association, so that ids never repeat. */
  readonly nextAssociation: number;
  /** Associations that are gone: to disassociate them again is no error. Bounded. */
  readonly pastAssociations: readonly string[];
};

/** Where packets go: private address -> ENI, public address -> private address. */
export type Mapping = { routes: Map<string, string>; nat: Map<string, string> };

/** The account that owns everything in the lab. */
export const ACCOUNT_ID = '000000000000';

const PAST_ASSOCIATIONS_KEPT = 1000;

const groupRules = (vpc: LabVPC): SecurityGroupRule[] => {
  const groups = [...new Set(vpc.instances.flatMap((instance) => instance.securityGroupIDs))];
  const id = (n: number) => `sgr-0${n.toString(16).padStart(16, '0')}`;
  return groups.flatMap((groupID, index) => [
    { securityGroupRuleID: id(index * 256), groupID, egress: true, protocol: '-1', cidr: '0.0.0.0/0' },
    { securityGroupRuleID: id(index * 256 + 1), groupID, egress: false, protocol: 'icmp', cidr: '0.0.0.0/0' },
    ...groups.map((referencedGroupID, other) => ({
      securityGroupRuleID: id(index * 256 + 16 + other),
      groupID,
      egress: false,
      protocol: '112',
      referencedGroupID,
    })),
  ]);
};

/** The VPC before anybody called: primaries alone, no EIP associated, every instance running. */
export const initialState = (vpc: LabVPC): State => {
  const ofInstances = vpc.instances.flatMap((instance) =>
    interfacesOf(instance).map((eni, deviceIndex) => ({
      networkInterfaceID: eni.networkInterfaceID,
      macAddress: eni.macAddress,
      description: instance.name,
      instanceID: instance.instanceID,
      instanceType: instance.instanceType,
      deviceIndex,
      securityGroupIDs: instance.securityGroupIDs,
      subnetID: instance.elsewhere?.subnetID ?? vpc.subnetID,
      availabilityZone: instance.elsewhere?.availabilityZone ?? vpc.availabilityZone,
      sourceDestCheck: true,
      addresses: [eni.address],
    })),
  );
  const ofClient = {
    networkInterfaceID: vpc.lanClient.networkInterfaceID,
    macAddress: vpc.lanClient.macAddress,
    description: vpc.lanClient.name,
    instanceID: null,
    instanceType: null,
    deviceIndex: 0,
    securityGroupIDs: [],
    subnetID: vpc.subnetID,
    availabilityZone: vpc.availabilityZone,
    sourceDestCheck: true,
    addresses: [vpc.lanClient.address],
  };
  return {
    vpc,
    instances: vpc.instances.map((instance) => ({ ...instance, state: 'running' as const })),
    networkInterfaces: [...ofInstances, ofClient],
    elasticIPs: vpc.elasticIPs.map((address) => ({ ...address, association: null })),
    securityGroupRules: groupRules(vpc),
    nextRule: 0,
    tags: {},
    nextAssociation: 1,
    pastAssociations: [],
  };
};

/** What the fabric must do for this state. */
export const mappingOf = (state: State): Mapping => {
  const routes = new Map(
    state.networkInterfaces.flatMap((eni) =>
      eni.addresses.map((address) => [address, eni.networkInterfaceID] as const),
    ),
  );
  const nat = new Map<string, string>();
  for (const { publicIP, association } of state.elasticIPs) {
    if (association !== null) nat.set(publicIP, association.privateIPAddress);
  }
  return { routes, nat };
};

/** An index over a list that never changes, made when first asked for. */
const indexed = <T extends object, V>(keysOf: (item: V) => readonly string[]) => {
  const indices = new WeakMap<T, Map<string, V>>();
  return (list: T & readonly V[], key: string): V | undefined => {
    let index = indices.get(list);
    if (index === undefined) {
      index = new Map(list.flatMap((item) => keysOf(item).map((each) => [each, item] as const)));
      indices.set(list, index);
    }
    return index.get(key);
  };
};

const byAddress = indexed<readonly NetworkInterface[], NetworkInterface>((eni) => eni.addresses);
const byAssociation = indexed<readonly ElasticIP[], ElasticIP>((eip) =>
  eip.association === null ? [] : [eip.association.privateIPAddress],
);

/** The ENI that holds a private address. */
export const holderOf = (state: State, address: string): NetworkInterface | undefined =>
  byAddress(state.networkInterfaces, address);

/** The EIP associated with a private address. */
export const elasticIPOf = (state: State, address: string): ElasticIP | undefined =>
  byAssociation(state.elasticIPs, address);

/** Sets or ends associations and remembers the ended ones. */
export const withElasticIPs = (state: State, elasticIPs: readonly ElasticIP[]): State => {
  const before = state.elasticIPs.flatMap((eip) => eip.association?.associationID ?? []);
  const after = new Set(elasticIPs.flatMap((eip) => eip.association?.associationID ?? []));
  const ended = before.filter((id) => !after.has(id));
  const pastAssociations = [...state.pastAssociations, ...ended].slice(-PAST_ASSOCIATIONS_KEPT);
  return { ...state, elasticIPs, pastAssociations };
};

/** The state without an ENI; EIPs on its addresses lose their association. */
const withoutInterface = (state: State, instanceID: string): State => {
  const gone = state.networkInterfaces.filter((eni) => eni.instanceID === instanceID);
  const addresses = new Set(gone.flatMap((eni) => eni.addresses));
  const networkInterfaces = state.networkInterfaces.filter((eni) => !gone.includes(eni));
  const elasticIPs = state.elasticIPs.map((eip) =>
    eip.association && addresses.has(eip.association.privateIPAddress) ? { ...eip, association: null } : eip,
  );
  return withElasticIPs({ ...state, networkInterfaces }, elasticIPs);
};

/**
 * Starts, stops or terminates an instance by its name in the lab. A terminated one takes its ENI with it
 * (DeleteOnTermination) and never comes back; EC2 goes on showing it, without the ENI.
 * @throws Error when there is none of that name, or it is terminated.
 */
export const setInstanceState = (state: State, name: string, to: InstanceState): State => {
  const found = state.instances.find((instance) => instance.name === name);
  if (found === undefined) throw new Error(`the lab has no instance named ${name}`);
  if (found.state === 'terminated') throw new Error(`${name} is terminated, for good`);
  const instances = state.instances.map((instance) =>
    instance.name === name ? { ...instance, state: to } : instance,
  );
  const next = { ...state, instances };
  return to === 'terminated' ? withoutInterface(next, found.instanceID) : next;
};

/** The VPC with its internet gateway attached, as at the start, or detached. */
export const setGateway = (state: State, internetGatewayID: string | null): State => ({
  ...state,
  vpc: { ...state.vpc, internetGatewayID },
});

/** The state as a read sees it that misses one address: not on its ENI, and no EIP of it listed. */
export const omitAddress = (state: State, address: string): State => ({
  ...state,
  networkInterfaces: state.networkInterfaces.map((eni) => ({
    ...eni,
    addresses: eni.addresses.filter((held, index) => index === 0 || held !== address),
  })),
  elasticIPs: state.elasticIPs.filter((eip) => eip.publicIP !== address),
});
