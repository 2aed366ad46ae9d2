/**
 * Which hosts health checks may ask. Whoever can edit a HAPair names them, and what is asked is asked from inside the node: so its
 * owner lists those that may be, and nobody can list the instance metadata.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Resolve } from '../../runtime/names.ts';

export type HostPolicyOptions = {
  /** Names, addresses, and ranges such as `10.0.0.0/8`; `localhost` stands for all loopback addresses too. */
  hosts: readonly string[];
  nodeName: string;
  /** Where they are listed, for messages. */
  configFile: string;
  resolve: Resolve;
};

const rangesOf = (ranges: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const range of ranges) {
    const [net = '', length] = range.split('/');
    const family = familyOf(net);
    if (length === undefined) list.addAddress(net, family);
    else list.addSubnet(net, Number(length), family);
  }
  return list;
};
const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** Link-local, and Amazon's services on an instance by IPv6, the metadata among them. */
const FORBIDDEN = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32'];
/** With what the kernel takes for it. */
const LOOPBACK = ['127.0.0.0/8', '0.0.0.0/8', '::1', '::'];
const forbidden = rangesOf(FORBIDDEN);
const loopback = rangesOf(LOOPBACK);

/** Whether it can stand in the list. */
export const isHostEntry = (entry: string): boolean => {
  const [host = '', length, ...rest] = entry.split('/');
  if (length === undefined) return /^[A-Za-z0-9._-]+$/.test(host) || isIP(host) !== 0;
  const most = isIPv6(host) ? 128 : 32;
  return rest.length === 0 && isIP(host) !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= most;
};

/**
 * Makes what finds the addresses at which a check of a node with this own address may ask a host. That own address is always
 * allowed. A listed name leads to no loopback address, whatever a name server says, but for `localhost`.
 */
export const createHostPolicy = ({ hosts, nodeName, configFile, resolve }: HostPolicyOptions) => {
  const names = new Set(hosts.map((host) => host.toLowerCase()));
  const entries = hosts.filter((host) => isIP(host.split('/')[0] ?? '') !== 0);
  const listed = rangesOf([...entries, ...(names.has('localhost') ? LOOPBACK : [])]);
  const refusal = (host: string): Error =>
    Object.assign(
      new Error(
        `node ${nodeName} lets no check ask ${host}; add it under checks.hosts in ${configFile} there and reload the agent (hapair-agent reload), or leave host out in spec.healthChecks of the HAPair`,
      ),
      { code: 'not allowed' },
    );

  return (ownAddress: string): Resolve => {
    const isAllowed = (address: string, byName: boolean): boolean => {
      const family = familyOf(address);
      if (address === ownAddress) return true;
      if (forbidden.check(address, family)) return false;
      return listed.check(address, family) || (byName && !loopback.check(address, family));
    };
    return async (host) => {
      const isAddress = isIP(host) !== 0;
      if (!isAddress && !names.has(host.toLowerCase())) throw refusal(host);
      const found = await resolve(host);
      const allowed = found.filter((address) => isAllowed(address, !isAddress));
      if (allowed.length === 0) throw refusal(isAddress ? host : `${host} at ${found.join(', ')}`);
      return allowed;
    };
  };
};
