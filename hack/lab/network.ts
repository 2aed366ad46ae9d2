/**
 * Builds the namespaces of the world from a LabVPC: the fabric (router of the subnet, internet gateway, IMDS address), one
 * namespace per instance, the two clients, and the management network. Runs as the world's root. No packet reaches
 * anything by claiming an address: the fabric answers every ARP request of the subnet itself and delivers by its routes.
 */
import { ip, run, TABLE } from './fabric.ts';
import type { Cut } from './rpc.ts';
import type { LabVPC } from './types.ts';
import { IMDS_ADDRESS, MANAGEMENT, placedInterfaces, prefixLength, routerAddress } from './vpc.ts';

const MANAGEMENT_TABLE = 'ip management';

/** Builds everything; primaries are routed, no other address is. */
export const buildNetwork = async (vpc: LabVPC): Promise<void> => {
  const clients = [vpc.lanClient.name, vpc.internetClient.name];
  const namespaces = ['fabric', ...vpc.instances.map(({ name }) => name), ...clients];
  await ip(namespaces.map((name) => `netns add ${name}`));
  await ip(worldLinks(vpc));
  await Promise.all([
    fabricSide(vpc),
    ...vpc.instances.map((instance, index) =>
      ip(
        ['link set lo up', 'link set mgmt0 up', `addr add ${nodeManagement(index)} dev mgmt0`],
        instance.name,
      ),
    ),
    ...[...vpc.instances, vpc.lanClient].map(({ name }) => instanceLinkUp(vpc, name)),
    internetSide(vpc),
    inNamespace('world', ['nft', '-f', '-'], managementRules()),
  ]);
};

const nodeManagement = (index: number): string => `${MANAGEMENT.node(index)}/${MANAGEMENT.prefix}`;

/** Every pair of devices, and the management bridge. */
const worldLinks = (vpc: LabVPC): string[] => {
  const enis = placedInterfaces(vpc);
  const managed = ['fabric', ...vpc.instances.map(({ name }) => name)];
  return [
    ...enis.map(
      ({ name, device, fabricDevice, macAddress }) =>
        `link add ${fabricDevice} netns fabric type veth peer name ${device} address ${macAddress} netns ${name}`,
    ),
    `link add igw netns fabric type veth peer name eth0 netns ${vpc.internetClient.name}`,
    'link set lo up',
    'link add mgmt type bridge forward_delay 0',
    `addr add ${MANAGEMENT.world}/${MANAGEMENT.prefix} dev mgmt`,
    ...managed.flatMap((name) => [
      `link add mgmt-${name} type veth peer name mgmt0 netns ${name}`,
      `link set mgmt-${name} master mgmt up`,
    ]),
    'link set mgmt up',
  ];
};

const devicesOf = (vpc: LabVPC, name: string) => placedInterfaces(vpc).filter((eni) => eni.name === name);

/** What a boot finds: the primaries alone, and a default route by the first ENI. Leftovers of the time before are gone. */
export const instanceLinkUp = async (vpc: LabVPC, name: string): Promise<void> => {
  await ip(
    [
      'link set lo up',
      ...devicesOf(vpc, name).flatMap(({ device, address }) => [
        `addr flush dev ${device}`,
        `link set ${device} up`,
        `addr add ${address}/${prefixLength(vpc)} dev ${device}`,
      ]),
      `route replace default via ${routerAddress(vpc)} dev eth0`,
    ],
    name,
  );
};

/** A dead instance's links; the fabric's ends stay up and drop. */
export const instanceLinkDown = (vpc: LabVPC, name: string): Promise<string> =>
  ip(
    devicesOf(vpc, name).map(({ device }) => `link set ${device} down`),
    name,
  );

const fabricSide = async (vpc: LabVPC): Promise<void> => {
  const enis = placedInterfaces(vpc);
  const devices = enis.map(({ fabricDevice }) => fabricDevice);
  await sysctl('fabric', {
    'net.ipv4.ip_forward': '1',
    'net.ipv4.conf.all.send_redirects': '0',
    'net.ipv4.conf.all.rp_filter': '0',
    ...Object.fromEntries(
      devices.flatMap((device) => [
        [`net.ipv4.conf.${device}.proxy_arp`, '1'],
        [`net.ipv4.conf.${device}.send_redirects`, '0'],
        [`net.ipv4.conf.${device}.rp_filter`, '0'],
        // The kernel delays proxied answers by up to 0.8 s otherwise.
        [`net.ipv4.neigh.${device}.proxy_delay`, '0'],
      ]),
    ),
  });
  await inNamespace('fabric', ['nft', '-f', '-'], fabricRules(vpc));
  await ip(
    [
      'link set lo up',
      `addr add ${routerAddress(vpc)}/32 dev lo`,
      `addr add ${IMDS_ADDRESS}/32 dev lo`,
      `addr add ${MANAGEMENT.fabric}/${MANAGEMENT.prefix} dev mgmt0`,
      ...devices.map((device) => `link set ${device} up`),
      'link set igw up',
      'link set mgmt0 up',
      `addr add ${vpc.internetClient.gateway}/24 dev igw`,
      // Proxy ARP answers only for what is routed; this makes it answer for addresses that nobody holds. Their packets
      // are dropped on the way to lo.
      `route add ${vpc.cidr} dev lo`,
      ...enis.flatMap(({ address, fabricDevice, macAddress }) => [
        `neigh replace ${address} lladdr ${macAddress} dev ${fabricDevice} nud permanent`,
        `route replace ${address}/32 dev ${fabricDevice}`,
      ]),
    ],
    'fabric',
  );
};

const internetSide = (vpc: LabVPC): Promise<string> =>
  ip(
    [
      'link set lo up',
      'link set eth0 up',
      `addr add ${vpc.internetClient.address}/24 dev eth0`,
      `route add default via ${vpc.internetClient.gateway}`,
    ],
    vpc.internetClient.name,
  );

/** The raw priority comes before routing; nothing here tracks connections. */
const fabricRules = (vpc: LabVPC): string => {
  const enis = placedInterfaces(vpc);
  const holds = enis.map(({ fabricDevice, address }) => `"${fabricDevice}" . ${address}`);
  const devices = enis.map(({ fabricDevice }) => `"${fabricDevice}"`);
  return `table ${TABLE} {
  map eip_in { type ipv4_addr : ipv4_addr; }
  map eip_out { type ipv4_addr : ipv4_addr; }
  set holds { type ifname . ipv4_addr; flags timeout; elements = { ${holds.join(', ')} } }
  set cut { type ifname . ifname; }
  chain arriving {
    type filter hook prerouting priority raw; policy accept;
    iifname { ${devices.join(', ')} } iifname . ip saddr != @holds drop
    iifname "igw" ip daddr ${vpc.cidr} drop
    iifname "igw" ip daddr set ip daddr map @eip_in
  }
  chain forwarding {
    type filter hook forward priority filter; policy drop;
    iifname . oifname @cut drop
    iifname { ${devices.join(', ')} } oifname { ${devices.join(', ')}, "igw" } accept
    iifname "igw" oifname { ${devices.join(', ')} } accept
  }
  chain leaving {
    type filter hook postrouting priority srcnat; policy accept;
    oifname "igw" ip saddr set ip saddr map @eip_out
    oifname "igw" ip saddr ${vpc.cidr} drop
    ip saddr ${vpc.cidr} ip daddr ${vpc.cidr} ip ttl 254 ip ttl set 255
  }
}
`;
};

/** A cut path drops silently both ways, as a lost route or a security group does. */
const managementRules = (): string => `table ${MANAGEMENT_TABLE} {
  set cut { type ipv4_addr; }
  chain in { type filter hook input priority filter; policy accept; ip saddr @cut drop; }
  chain out { type filter hook output priority filter; policy accept; ip daddr @cut drop; }
}
`;

/** Cuts (`true`) or heals one direction of the path between two instances. */
export const cutFabric = async (vpc: LabVPC, { from, to }: Cut, isCut: boolean): Promise<void> => {
  const pairs = devicesOf(vpc, from).flatMap((one) =>
    devicesOf(vpc, to).map((other) => `"${one.fabricDevice}" . "${other.fabricDevice}"`),
  );
  if (pairs.length === 0) throw new Error(`No ENI belongs to ${from} or to ${to}.`);
  const element = `{ ${pairs.join(', ')} }`;
  await inNamespace('fabric', ['nft', '-f', '-'], change('cut', TABLE, element, isCut));
};

/** Cuts (`true`) or heals the path between an instance and the API server. */
export const cutManagement = async (vpc: LabVPC, node: string, isCut: boolean): Promise<void> => {
  const index = vpc.instances.findIndex(({ name }) => name === node);
  const element = `{ ${MANAGEMENT.node(index)} }`;
  await inNamespace('world', ['nft', '-f', '-'], change('cut', MANAGEMENT_TABLE, element, isCut));
};

/** Adds first, so that deleting what is not there is no error. */
const change = (set: string, table: string, element: string, isMember: boolean): string =>
  `add element ${table} ${set} ${element}\n${isMember ? '' : `delete element ${table} ${set} ${element}\n`}`;

/** The command that runs `argv` in a network namespace of the world. */
export const enterNetwork = (namespace: string, argv: readonly string[]): string[] =>
  namespace === 'world' ? [...argv] : ['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv];

const inNamespace = (namespace: string, argv: string[], input = ''): Promise<string> => {
  const [file = '', ...args] = enterNetwork(namespace, argv);
  return run(file, args, input);
};

/** /proc/sys/net shows the namespace of the reader, so the writer enters it. */
const sysctl = async (namespace: string, values: Record<string, string>): Promise<void> => {
  const script = Object.entries(values)
    .map(([key, value]) => `echo ${value} > /proc/sys/${key.replaceAll('.', '/')}`)
    .join(' && ');
  await inNamespace(namespace, ['sh', '-c', script]);
};
