/** The world of a storm: four instances, three pairs in three namespaces, a stranger's address, a client for each pair. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callAPI } from '../controlplane/api.ts';
import { list } from '../controlplane/manifests.ts';
import { nowMs } from '../lab/clock.ts';
import { EC2_ENDPOINT } from '../lab/environment.ts';
import { type ProbeClient, within } from '../lab/handles.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { Delivery } from '../lab/probe-tap.ts';
import { installProduct, type Product } from '../lab/product.ts';
import type { LabInstance, LabVPC } from '../lab/types.ts';
import { STANDARD_VPC } from '../lab/vpc.ts';
import type { Said, Watched } from './judge.ts';

/** A namespace whose HAPairs are nonsense. */
export const JUNK = 'junk';

/** A secondary address of an ENI that belongs to no pair: it stays where it is, whatever a HAPair says. */
export const STRANGER = {
  address: '10.10.10.200',
  networkInterfaceID: STANDARD_VPC.lanClient.networkInterfaceID,
};

/** Which nodes share an address. */
export const SIDES: Readonly<Record<string, readonly [string, string]>> = {
  left: ['node1', 'node2'],
  right: ['node3', 'node4'],
};

/** A pair and the eyes on it. */
export type StormPair = Watched & { side: string; probe: ProbeClient; said: Said[] };

/** What faults act upon. */
export type StormWorld = {
  lab: Lab;
  product: Product;
  pairs: readonly StormPair[];
  /** Where each probe went, as it went. */
  deliveries: Delivery[];
  peerOf(node: string): string;
  addressOf(node: string): string;
  down(): Promise<void>;
};

const PROBE_MS = 50;
const LOOK_MS = 1_000;
const READY_MS = 60_000;
const SILENT_LISTENER = "require('node:net').createServer().listen(9443, '192.168.254.1')";

const PAIRS = [
  { namespace: 'a', name: 'web', side: 'left', last: 10, allocation: 'eipalloc-0ccccccccccccccc3' },
  { namespace: 'b', name: 'shop', side: 'right', last: 20, allocation: 'eipalloc-0ddddddddddddddd4' },
  { namespace: 'c', name: 'mail', side: 'right', last: 30, allocation: undefined },
] as const;

const instanceOf = (digit: number): LabInstance => ({
  name: `node${digit}`,
  instanceID: `i-0${String(digit).repeat(16)}`,
  instanceType: 't3.medium',
  networkInterfaceID: `eni-0${String(digit).repeat(16)}`,
  macAddress: `0a:10:10:10:10:1${digit}`,
  address: `10.10.10.1${digit}`,
  fabricDevice: `eni${digit}`,
  securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
});

const VPC: LabVPC = {
  ...STANDARD_VPC,
  instances: [1, 2, 3, 4].map(instanceOf),
  elasticIPs: [
    ...STANDARD_VPC.elasticIPs,
    { allocationID: 'eipalloc-0ddddddddddddddd4', publicIP: '203.0.113.20' },
  ],
};

const manifestOf = ({ namespace, name, side, last, allocation }: (typeof PAIRS)[number]) => ({
  apiVersion: 'hapair.io/v1alpha1',
  kind: 'HAPair',
  metadata: { namespace, name },
  spec: {
    nodes: SIDES[side]?.map((node) => {
      const { address, networkInterfaceID } = instanceOf(Number(node.at(-1)));
      return { name: node, address, networkInterfaceID };
    }),
    addresses: [
      { name: 'main', vip: `10.10.10.${last}`, ...(allocation && { eipAllocationID: allocation }) },
    ],
    vrrp: { version: 3, virtualRouterID: last, advertisementIntervalMilliseconds: 1_000 },
  },
});

const tapProbes = async (lab: Lab): Promise<Delivery[]> => {
  const deliveries: Delivery[] = [];
  const ready = Promise.withResolvers<void>();
  const program = join(import.meta.dirname, '..', 'lab', 'probe-tap.ts');
  const onLine = (line: string): void => {
    if (!line.startsWith('{')) return; // a warning of Node's
    const said = JSON.parse(line) as Delivery | { ready: true };
    if ('ready' in said) ready.resolve();
    else deliveries.push(said);
  };
  await lab.spawn({ name: 'probe-tap', where: 'fabric', argv: [process.execPath, program] }, { onLine });
  await within(ready.promise, READY_MS, 'The tap on the probes did not start');
  return deliveries;
};

type Stored = { status?: { holder?: string; conditions?: { type: string; status: string }[] } };

/** Looks at a HAPair every second, as long as the lab lives. A look that fails says nothing. */
const look = async (lab: Lab, path: string, said: Said[]): Promise<void> => {
  while (lab.ended() === undefined) {
    const answer = await callAPI(lab.kubeconfigPath, 'GET', path).catch(() => undefined);
    if (answer?.status === 200) {
      const { holder = '', conditions = [] } = (answer.body as Stored).status ?? {};
      const statusOf = (wanted: string): string =>
        conditions.find(({ type }) => type === wanted)?.status ?? '';
      said.push({ atMs: nowMs(), holder, ready: statusOf('Ready'), redundant: statusOf('Redundant') });
    }
    await sleep(LOOK_MS);
  }
};

/** Builds it and waits until every pair serves; about half a minute. */
export const openStormWorld = async (dir: string, onLog: (line: string) => void): Promise<StormWorld> => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const vips = PAIRS.map(({ last }) => `10.10.10.${last}`);
  const lab = await startLab({ dir, profile: 'instant', vpc: VPC, vips, kube: true, onLog });
  try {
    const product = await installProduct(lab, {
      namespaces: [...PAIRS.map(({ namespace }) => namespace)],
      operatorEnv: {
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
        AWS_EC2_METADATA_DISABLED: 'false',
        AWS_EC2_METADATA_SERVICE_ENDPOINT: EC2_ENDPOINT,
      },
      onLog,
    });
    const assign = ['assign-private-ip-addresses', '--private-ip-addresses', STRANGER.address];
    await lab.aws(['ec2', ...assign, '--network-interface-id', STRANGER.networkInterfaceID]);
    await lab.spawn({ name: 'silent', where: 'world', argv: [process.execPath, '-e', SILENT_LISTENER] });
    const deliveries = await tapProbes(lab);
    const spaces = { kind: 'Namespace', metadata: { name: JUNK } };
    await lab.kubectl(['apply', '-f', '-'], list([spaces, ...PAIRS.map(manifestOf)]));
    const pairs = await Promise.all(
      PAIRS.map(async ({ namespace, name, side, last, allocation }): Promise<StormPair> => {
        const vip = `10.10.10.${last}`;
        const client = `${namespace}-client`;
        const probe = await lab.probe({ name: client, from: 'lan', target: vip, intervalMs: PROBE_MS });
        const said: Said[] = [];
        void look(lab, `/apis/hapair.io/v1alpha1/namespaces/${namespace}/hapairs/${name}`, said);
        return {
          ...{ name: `${namespace}/${name}`, vip, side, probe, said },
          ids: allocation === undefined ? [vip] : [vip, allocation],
        };
      }),
    );
    const nodes = Object.values(SIDES);
    return {
      ...{ lab, product, pairs, deliveries },
      peerOf: (node) => nodes.find((side) => side.includes(node))?.find((other) => other !== node) ?? node,
      addressOf: (node) => instanceOf(Number(node.at(-1))).address,
      down: () => lab.down(),
    };
  } catch (error) {
    await lab.down();
    throw error;
  }
};
