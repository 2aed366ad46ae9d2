/** EC2 reduced to what moves: where VIPs and EIPs are. Effects can be separated from answers. */
import type { EC2Call } from '../../ec2/actions.ts';
import type { EC2View, ElasticIP, NetworkInterface } from '../../ec2/types.ts';
import { ALLOCATION, NODE1, NODE2, NODE3 } from './fixtures.ts';

/** The subnet's addresses, with nobody but the nodes' ENIs having any. */
const NOBODY: Readonly<EC2View['holders']> = Object.fromEntries(
  Array.from({ length: 254 }, (_, at) => [`10.10.10.${at + 1}`, []]),
);

export class Cloud {
  /** Secondary addresses by ENI. */
  readonly secondaries = new Map<string, Set<string>>([
    [NODE1.networkInterfaceID, new Set()],
    [NODE2.networkInterfaceID, new Set()],
    ['eni-0dddddddddddddddd', new Set()],
    [NODE3.networkInterfaceID, new Set()],
  ]);
  /** EIP by allocation: ENI and private address. */
  readonly elasticIPs = new Map<string, { networkInterfaceID: string; privateIPAddress: string } | undefined>(
    [[ALLOCATION, undefined]],
  );
  /** ENIs that do not exist any more. */
  readonly gone = new Set<string>();
  /** By ENI or allocation. */
  readonly tags: Record<string, Record<string, string>> = {};
  /** Every call whose effect happened, in order. */
  readonly effects: EC2Call[] = [];

  put(vip: string, networkInterfaceID: string | undefined): void {
    for (const addresses of this.secondaries.values()) addresses.delete(vip);
    if (networkInterfaceID !== undefined) this.secondaries.get(networkInterfaceID)?.add(vip);
    for (const [id, place] of this.elasticIPs) {
      if (place?.privateIPAddress !== vip) continue;
      this.elasticIPs.set(
        id,
        networkInterfaceID === undefined ? undefined : { ...place, networkInterfaceID },
      );
    }
  }

  associate(allocationID: string, networkInterfaceID: string, privateIPAddress: string): void {
    this.elasticIPs.set(allocationID, { networkInterfaceID, privateIPAddress });
  }

  apply(call: EC2Call): void {
    this.effects.push(call);
    if (call.action === 'AssignPrivateIpAddresses') {
      for (const vip of call.privateIPAddresses) this.put(vip, call.networkInterfaceID);
    } else if (call.action === 'UnassignPrivateIpAddresses') {
      for (const vip of call.privateIPAddresses)
        if (this.where(vip) === call.networkInterfaceID) this.put(vip, undefined);
    } else if (call.action === 'DisassociateAddress') this.elasticIPs.set(call.allocationID, undefined);
    else this.associate(call.allocationID, call.networkInterfaceID, call.privateIPAddress);
  }

  /** The ENI that holds a VIP. */
  where(vip: string): string | undefined {
    return [...this.secondaries].find(([, addresses]) => addresses.has(vip))?.[0];
  }

  view(readAtMs: number): EC2View {
    const primary: Record<string, string> = {
      [NODE1.networkInterfaceID]: NODE1.address,
      [NODE2.networkInterfaceID]: NODE2.address,
      [NODE3.networkInterfaceID]: NODE3.address,
    };
    const networkInterfaces: Record<string, NetworkInterface | null> = {};
    const holders = { ...NOBODY };
    for (const [id, addresses] of this.secondaries) {
      if (this.gone.has(id)) {
        networkInterfaces[id] = null;
        continue;
      }
      const networkInterface: NetworkInterface = {
        networkInterfaceID: id,
        subnetID: 'subnet-1',
        availabilityZone: 'ap-northeast-1a',
        instanceID: `i-${id.slice(4)}`,
        status: 'in-use',
        sourceDestCheck: true,
        securityGroupIDs: ['sg-1'],
        tags: this.tags[id] ?? {},
        privateIPAddresses: [
          { privateIPAddress: primary[id] ?? '10.10.10.199', primary: true },
          ...[...addresses].map((privateIPAddress) => ({ privateIPAddress, primary: false })),
        ],
      };
      // A stranger's ENI is no part of anybody's reading; who asks for its addresses finds it.
      if (id in primary) networkInterfaces[id] = networkInterface;
      else
        for (const { privateIPAddress } of networkInterface.privateIPAddresses)
          holders[privateIPAddress] = [networkInterface];
    }
    const elasticIPs: Record<string, ElasticIP | null> = {};
    for (const [allocationID, place] of this.elasticIPs) {
      elasticIPs[allocationID] = {
        allocationID,
        publicIP: '203.0.113.10',
        tags: this.tags[allocationID] ?? {},
        ...(place && { ...place, associationID: `eipassoc-${allocationID}` }),
      };
    }
    return { readAtMs, networkInterfaces, elasticIPs, holders };
  }
}
