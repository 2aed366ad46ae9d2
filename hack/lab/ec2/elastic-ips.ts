/** AssociateAddress and DisassociateAddress, with EC2's semantics (AWS-FACTS, "Moving the EIP"). */
import type { Outcome } from './action.ts';
import { findNetworkInterface } from './addresses.ts';
import { EC2Error, invalidValue } from './errors.ts';
import { flag, type Parameters } from './parameters.ts';
import { type ElasticIP, elasticIPOf, type NetworkInterface, type State, withElasticIPs } from './state.ts';

/** Finds an EIP by its allocation. @throws EC2Error `InvalidAllocationID.NotFound`. */
export const findAllocation = (state: State, id: string): ElasticIP => {
  const found = state.elasticIPs.find((eip) => eip.allocationID === id);
  if (found === undefined)
    throw new EC2Error('InvalidAllocationID.NotFound', `The allocation ID '${id}' does not exist`);
  return found;
};

/** Finds an EIP by its public address. @throws EC2Error `InvalidAddress.NotFound`. */
export const findPublicIP = (state: State, publicIP: string): ElasticIP => {
  const found = state.elasticIPs.find((eip) => eip.publicIP === publicIP);
  if (found === undefined) throw new EC2Error('InvalidAddress.NotFound', `Address '${publicIP}' not found.`);
  return found;
};

const requestedElasticIP = (state: State, parameters: Parameters): ElasticIP => {
  const { AllocationId: allocationID, PublicIp: publicIP } = parameters;
  if (allocationID !== undefined && publicIP !== undefined) {
    throw new EC2Error(
      'InvalidParameterCombination',
      'You may specify public IP or allocation id, but not both in the same call',
    );
  }
  if (allocationID !== undefined) return findAllocation(state, allocationID);
  if (publicIP !== undefined) return findPublicIP(state, publicIP);
  throw new EC2Error('MissingParameter', 'Either public IP or allocation id must be specified');
};

const requestedInterface = (state: State, parameters: Parameters): NetworkInterface => {
  const { NetworkInterfaceId: id, InstanceId: instanceID } = parameters;
  if (id !== undefined && instanceID !== undefined) {
    throw new EC2Error(
      'InvalidParameterCombination',
      'You may specify instance id or network interface id, but not both in the same call',
    );
  }
  if (id !== undefined) return findNetworkInterface(state, id);
  if (instanceID === undefined)
    throw new EC2Error('MissingParameter', 'Either instance ID or network interface id must be specified');
  const found = state.networkInterfaces.find((eni) => eni.instanceID === instanceID);
  if (found === undefined)
    throw new EC2Error('InvalidInstanceID.NotFound', `The instance ID '${instanceID}' does not exist`);
  return found;
};

/** The private address: the ENI's primary unless the call names one that the ENI holds. */
const requestedPrivateAddress = (eni: NetworkInterface, parameters: Parameters): string => {
  const address = parameters.PrivateIpAddress ?? eni.addresses[0] ?? '';
  if (!eni.addresses.includes(address))
    throw invalidValue(`The address ${address} is not mapped to the interface ${eni.networkInterfaceID}`);
  return address;
};

const checkNotTaken = (state: State, eip: ElasticIP, address: string): void => {
  const taken = [eip, elasticIPOf(state, address)].find(
    (other) => other?.association && (other !== eip || other.association.privateIPAddress !== address),
  );
  if (taken?.association) {
    throw new EC2Error(
      'Resource.AlreadyAssociated',
      `resource ${taken.allocationID} is already associated with associate-id ${taken.association.associationID}`,
    );
  }
};

/** The id of the association of that number. */
export const associationID = (number: number): string => `eipassoc-0${number.toString(16).padStart(16, '0')}`;

/** Moves the EIP from wherever it is; the address keeps one EIP, so another one on it loses its association. */
export const associateAddress = (state: State, parameters: Parameters): Outcome => {
  const eip = requestedElasticIP(state, parameters);
  const privateIPAddress = requestedPrivateAddress(requestedInterface(state, parameters), parameters);
  if (state.vpc.internetGatewayID === null) {
    throw new EC2Error(
      'Gateway.NotAttached',
      `Network ${state.vpc.vpcID} is not attached to any internet gateway`,
    );
  }
  if (!flag(parameters, 'AllowReassociation', true)) checkNotTaken(state, eip, privateIPAddress);
  const id = associationID(state.nextAssociation);
  const elasticIPs = state.elasticIPs.map((other) => {
    if (other === eip) return { ...other, association: { associationID: id, privateIPAddress } };
    return other.association?.privateIPAddress === privateIPAddress ? { ...other, association: null } : other;
  });
  const next = withElasticIPs({ ...state, nextAssociation: state.nextAssociation + 1 }, elasticIPs);
  return { state: next, answer: { return: true, associationId: id } };
};

/** Ends an association, by its id or by the public address. Ending it again is no error. */
export const disassociateAddress = (state: State, parameters: Parameters): Outcome => {
  const { AssociationId: id, PublicIp: publicIP } = parameters;
  if (id === undefined && publicIP === undefined)
    throw new EC2Error('MissingParameter', 'Either public IP or association id must be specified');
  const eip =
    id === undefined
      ? findPublicIP(state, publicIP ?? '')
      : state.elasticIPs.find((other) => other.association?.associationID === id);
  if (eip === undefined && !state.pastAssociations.includes(id ?? ''))
    throw new EC2Error('InvalidAssociationID.NotFound', `The association ID '${id}' does not exist`);
  if (!eip?.association) return { state, answer: { return: true } };
  const elasticIPs = state.elasticIPs.map((other) =>
    other === eip ? { ...other, association: null } : other,
  );
  return { state: withElasticIPs(state, elasticIPs), answer: { return: true } };
};
