/** The Describe calls of what moves: ENIs, EIPs and instances, in the members of their XML answers. */
import { findNetworkInterface } from './addresses.ts';
import { findAllocation, findPublicIP } from './elastic-ips.ts';
import { EC2Error } from './errors.ts';
import { page, select } from './pages.ts';
import { applyFilters, type FilterTable, filters, list, type Parameters } from './parameters.ts';
import {
  ACCOUNT_ID,
  type ElasticIP,
  elasticIPOf,
  holderOf,
  type Instance,
  type NetworkInterface,
  type State,
} from './state.ts';
import { showTags } from './tags.ts';
import type { XMLMembers, XMLValue } from './xml.ts';

const STATE_CODES: Record<Instance['state'], number> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  stopping: 64,
  stopped: 80,
  terminated: 48,
};

const showAssociation = (eip: ElasticIP | undefined): XMLValue =>
  eip?.association
    ? {
        publicIp: eip.publicIP,
        ipOwnerId: ACCOUNT_ID,
        allocationId: eip.allocationID,
        associationId: eip.association.associationID,
      }
    : undefined;

const showPrivateAddresses = (state: State, eni: NetworkInterface): XMLValue =>
  eni.addresses.map((privateIpAddress, index) => ({
    privateIpAddress,
    primary: index === 0,
    association: showAssociation(elasticIPOf(state, privateIpAddress)),
  }));

const showNetworkInterface = (state: State, eni: NetworkInterface): XMLValue => {
  const primary = eni.addresses[0] ?? '';
  return {
    networkInterfaceId: eni.networkInterfaceID,
    subnetId: eni.subnetID,
    vpcId: state.vpc.vpcID,
    availabilityZone: eni.availabilityZone,
    description: eni.description,
    ownerId: ACCOUNT_ID,
    requesterManaged: false,
    status: 'in-use',
    macAddress: eni.macAddress,
    privateIpAddress: primary,
    sourceDestCheck: eni.sourceDestCheck,
    groupSet: eni.securityGroupIDs.map((groupId) => ({ groupId, groupName: groupId })),
    attachment: {
      attachmentId: eni.networkInterfaceID.replace('eni-', 'eni-attach-'),
      instanceId: eni.instanceID ?? undefined,
      instanceOwnerId: eni.instanceID === null ? 'amazon-aws' : ACCOUNT_ID,
      deviceIndex: eni.deviceIndex,
      status: 'attached',
      deleteOnTermination: true,
    },
    association: showAssociation(elasticIPOf(state, primary)),
    tagSet: showTags(state, eni.networkInterfaceID),
    privateIpAddressesSet: showPrivateAddresses(state, eni),
    interfaceType: 'interface',
  };
};

/** Per ENI: its private addresses, each with its own association, and what it is attached to. */
export const describeNetworkInterfaces = (state: State, parameters: Parameters): XMLMembers => {
  const find = (id: string) => findNetworkInterface(state, id);
  const associations = (eni: NetworkInterface) =>
    eni.addresses.map((address) => elasticIPOf(state, address)).filter((eip) => eip !== undefined);
  return page(
    parameters,
    'NetworkInterfaceId',
    select(state.networkInterfaces, list(parameters, 'NetworkInterfaceId'), find),
    {
      'addresses.private-ip-address': (eni) => eni.addresses,
      'addresses.association.public-ip': (eni) => associations(eni).map((eip) => eip.publicIP),
      'association.allocation-id': (eni) => associations(eni).map((eip) => eip.allocationID),
      'attachment.instance-id': (eni) => [eni.instanceID ?? undefined],
      'availability-zone': (eni) => [eni.availabilityZone],
      'group-id': (eni) => eni.securityGroupIDs,
      'mac-address': (eni) => [eni.macAddress],
      'network-interface-id': (eni) => [eni.networkInterfaceID],
      'private-ip-address': (eni) => [eni.addresses[0]],
      'subnet-id': (eni) => [eni.subnetID],
      'vpc-id': () => [state.vpc.vpcID],
      status: () => ['in-use'],
    },
    'networkInterfaceSet',
    (eni) => showNetworkInterface(state, eni),
  );
};

const showElasticIP = (state: State, eip: ElasticIP): XMLValue => {
  const holder = eip.association === null ? undefined : holderOf(state, eip.association.privateIPAddress);
  return {
    publicIp: eip.publicIP,
    allocationId: eip.allocationID,
    domain: 'vpc',
    instanceId: holder?.instanceID ?? undefined,
    associationId: holder && eip.association?.associationID,
    networkInterfaceId: holder?.networkInterfaceID,
    networkInterfaceOwnerId: holder && ACCOUNT_ID,
    privateIpAddress: holder && eip.association?.privateIPAddress,
    publicIpv4Pool: 'amazon',
    networkBorderGroup: state.vpc.region,
    tagSet: showTags(state, eip.allocationID),
  };
};

/** Per EIP: where it delivers. Not paginated, as in EC2. */
export const describeAddresses = (state: State, parameters: Parameters): XMLMembers => {
  const byID = list(parameters, 'AllocationId').map((id) => findAllocation(state, id));
  const byAddress = list(parameters, 'PublicIp').map((publicIP) => findPublicIP(state, publicIP));
  const named = [...new Set([...byID, ...byAddress])];
  const holder = (eip: ElasticIP) =>
    eip.association === null ? undefined : holderOf(state, eip.association.privateIPAddress);
  const table: FilterTable<ElasticIP> = {
    'allocation-id': (eip) => [eip.allocationID],
    'association-id': (eip) => [eip.association?.associationID],
    'instance-id': (eip) => [holder(eip)?.instanceID ?? undefined],
    'network-interface-id': (eip) => [holder(eip)?.networkInterfaceID],
    'private-ip-address': (eip) => [eip.association?.privateIPAddress],
    'public-ip': (eip) => [eip.publicIP],
  };
  const found = applyFilters(named.length > 0 ? named : state.elasticIPs, filters(parameters), table);
  return { addressesSet: found.map((eip) => showElasticIP(state, eip)) };
};

const showInstance = (state: State, instance: Instance): XMLValue => {
  const enis = state.networkInterfaces.filter((eni) => eni.instanceID === instance.instanceID);
  return {
    instanceId: instance.instanceID,
    instanceState: { code: STATE_CODES[instance.state], name: instance.state },
    instanceType: instance.instanceType,
    placement: { availabilityZone: state.vpc.availabilityZone },
    subnetId: state.vpc.subnetID,
    vpcId: state.vpc.vpcID,
    privateIpAddress: instance.address,
    ipAddress: elasticIPOf(state, instance.address)?.publicIP,
    sourceDestCheck: true,
    groupSet: instance.securityGroupIDs.map((groupId) => ({ groupId, groupName: groupId })),
    networkInterfaceSet: enis.map((eni) => showNetworkInterface(state, eni)),
    tagSet: showTags(state, instance.instanceID, { Name: instance.name }),
  };
};

/** Per instance: its state and its ENIs; a reservation for each. */
export const describeInstances = (state: State, parameters: Parameters): XMLMembers => {
  const find = (id: string): Instance => {
    const found = state.instances.find((instance) => instance.instanceID === id);
    if (found === undefined)
      throw new EC2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
    return found;
  };
  return page(
    parameters,
    'InstanceId',
    select(state.instances, list(parameters, 'InstanceId'), find),
    {
      'instance-id': (instance) => [instance.instanceID],
      'instance-state-name': (instance) => [instance.state],
      'network-interface.network-interface-id': (instance) => [instance.networkInterfaceID],
      'private-ip-address': (instance) => [instance.address],
      'tag:Name': (instance) => [instance.name],
    },
    'reservationSet',
    (instance) => ({
      reservationId: instance.instanceID.replace('i-', 'r-'),
      ownerId: ACCOUNT_ID,
      instancesSet: [showInstance(state, instance)],
    }),
  );
};
