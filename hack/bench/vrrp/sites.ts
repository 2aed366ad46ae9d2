/** The network that the ends stand in: for each pair two namespaces on a switch of their own, in a world of its own. */
import { ip } from '../../lab/fabric.ts';
import type { EndAddress, Site } from './contender.ts';

/** The last byte of an end's address, by its place. */
const HOSTS = [11, 12] as const;

/** Where the pair of this number stands, 1 to 255. */
export const siteOf = (number: number): Site => {
  const [a, b] = HOSTS.map((host) => `10.78.${number}.${host}`) as [string, string];
  const end = (letter: string, address: string, peerAddress: string): EndAddress => ({
    namespace: `p${number}${letter}`,
    address,
    peerAddress,
  });
  return { virtualRouterID: number, vip: `10.78.${number}.100`, ends: [end('a', a, b), end('b', b, a)] };
};

/** Derived from the address, so that each end knows its peer's without asking. */
const macOf = (address: string): string =>
  `02:00:${address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')}`;

/**
 * Builds the sites. An end knows its peer's hardware address from the start: asking for it would be part of the first takeover
 * alone.
 */
export const buildSites = async (sites: readonly Site[]): Promise<void> => {
  await ip(['link set lo up']);
  for (const { virtualRouterID, ends } of sites) {
    const bridge = `switch${virtualRouterID}`;
    await ip([
      `link add ${bridge} type bridge forward_delay 0 mcast_snooping 0`,
      `link set ${bridge} up`,
      ...ends.flatMap(({ namespace, address }) => [
        `netns add ${namespace}`,
        `link add port-${namespace} type veth peer name eth0 address ${macOf(address)} netns ${namespace}`,
        `link set port-${namespace} master ${bridge} up`,
      ]),
    ]);
    for (const { namespace, address, peerAddress } of ends) {
      await ip(
        [
          'link set lo up',
          `addr add ${address}/24 dev eth0`,
          'link set eth0 up',
          `neigh replace ${peerAddress} lladdr ${macOf(peerAddress)} dev eth0 nud permanent`,
        ],
        namespace,
      );
    }
  }
};
