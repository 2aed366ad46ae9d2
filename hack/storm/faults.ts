/** What a storm does to its world: each fault begins, and can be taken back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { list } from '../controlplane/manifests.ts';
import type { LabNode } from '../lab/handles.ts';
import type { Kind } from './schedule.ts';
import { JUNK, STRANGER, type StormWorld } from './world.ts';

/** A fault. `begin` does it; what it returns takes it back, and is called once. */
export type Fault = Kind & { begin(world: StormWorld, target: string): Promise<() => Promise<unknown>> };

const sh = async (node: LabNode, script: string): Promise<void> => {
  const { code, stderr } = await node.exec(['sh', '-c', script]);
  if (code !== 0) throw new Error(`${script}: ${stderr.trim()}`);
};

const FIREWALL = 'table ip storm { chain in { type filter hook input priority 0; ip protocol 112 drop; }; }';

/** What a busy cluster piles up: pairs that name nothing real. */
const junk = (): string => {
  const pairs = Array.from({ length: 30 }, (_, at) => {
    const digits = at.toString(16).padStart(4, '0');
    const nodes = ['a', 'b'].map((letter, side) => ({
      name: `x${at}${letter}`,
      address: `10.10.10.${140 + side}`,
      networkInterfaceID: `eni-0${letter.repeat(12)}${digits}`,
    }));
    const vip = `10.10.10.${150 + at}`;
    const vrrp = { version: 3, virtualRouterID: 100 + at, advertisementIntervalMilliseconds: 1_000 };
    return {
      apiVersion: 'hapair.io/v1alpha1',
      kind: 'HAPair',
      metadata: { name: `junk${at}`, namespace: JUNK },
      spec: { nodes, addresses: [{ name: 'main', vip }], pinnedNode: `x${at}a`, vrrp },
    };
  });
  return list(pairs);
};

/** A typo, or worse: the ENIs are those of a pair that serves, and the address is somebody else's. */
const thief = ({ addressOf }: StormWorld): string => {
  const nodes = ['node1', 'node2'].map((name) => ({
    name,
    address: addressOf(name),
    networkInterfaceID: `eni-0${name.slice(-1).repeat(16)}`,
  }));
  const vrrp = { version: 3, virtualRouterID: 99, advertisementIntervalMilliseconds: 1_000 };
  const spec = { nodes, addresses: [{ name: 'main', vip: STRANGER.address }], pinnedNode: 'node1', vrrp };
  const metadata = { name: 'thief', namespace: JUNK };
  return list([{ apiVersion: 'hapair.io/v1alpha1', kind: 'HAPair', metadata, spec }]);
};

const WEBHOOK = 'storm';

const slowWebhook = (): string =>
  JSON.stringify({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: WEBHOOK },
    webhooks: [
      {
        name: 'slow.storm.test',
        clientConfig: { url: 'https://192.168.254.1:9443/' },
        rules: [
          {
            apiGroups: ['hapair.io', 'coordination.k8s.io'],
            apiVersions: ['*'],
            operations: ['CREATE', 'UPDATE'],
            resources: ['*/*'],
          },
        ],
        failurePolicy: 'Ignore',
        sideEffects: 'None',
        timeoutSeconds: 4,
        admissionReviewVersions: ['v1'],
      },
    ],
  });

const everyNode = async (world: StormWorld, act: (name: string) => Promise<unknown>): Promise<void> => {
  await Promise.all(world.lab.vpc.instances.map(({ name }) => act(name)));
};

/** All of them. */
export const FAULTS: readonly Fault[] = [
  {
    ...{ name: 'node crashed', grip: 'node', scope: 'Side', weight: 3, lengthMs: [10_000, 30_000] },
    begin: async ({ lab }, target) => {
      await lab.node(target).crash();
      return () => lab.node(target).start();
    },
  },
  {
    ...{ name: 'node shut down', grip: 'node', scope: 'Side', weight: 1, lengthMs: [10_000, 30_000] },
    begin: async ({ lab }, target) => {
      await lab.node(target).stop();
      return () => lab.node(target).start();
    },
  },
  {
    ...{ name: 'node frozen', grip: 'node', scope: 'Side', weight: 2, lengthMs: [2_000, 60_000] },
    begin: async ({ lab }, target) => {
      await lab.node(target).pause();
      return () => lab.node(target).resume();
    },
  },
  {
    ...{ name: 'agent killed', grip: 'node', scope: 'Side', weight: 2, lengthMs: [1_000, 20_000] },
    begin: async ({ lab }, target) => {
      await lab.node(target).killService('agent');
      return () => lab.node(target).startService('agent');
    },
  },
  {
    ...{ name: 'link cut', grip: 'link', scope: 'Side', weight: 2, lengthMs: [2_000, 40_000] },
    begin: async ({ lab, peerOf }, target) => {
      const link = `${target}-${peerOf(target)}`;
      await lab.cut(link);
      return () => lab.heal(link);
    },
  },
  {
    ...{ name: 'link cut one way', grip: 'link', scope: 'Side', weight: 2, lengthMs: [2_000, 40_000] },
    begin: async ({ lab, peerOf }, target) => {
      const link = `${target}->${peerOf(target)}`;
      await lab.cut(link);
      return () => lab.heal(link);
    },
  },
  {
    ...{
      name: 'own firewall drops protocol 112',
      grip: 'node',
      scope: 'Side',
      weight: 1,
      lengthMs: [5_000, 40_000],
    },
    begin: async ({ lab }, target) => {
      await sh(lab.node(target), `echo '${FIREWALL}' | nft -f -`);
      return () => sh(lab.node(target), 'nft delete table ip storm');
    },
  },
  {
    ...{ name: 'own address flaps', grip: 'node', scope: 'Side', weight: 1, lengthMs: [6_000, 20_000] },
    begin: async ({ lab, addressOf }, target) => {
      const node = lab.node(target);
      const address = `${addressOf(target)}/24`;
      const ending = new AbortController();
      const flap = async (): Promise<void> => {
        while (!ending.signal.aborted) {
          await sh(
            node,
            `ip addr del ${address} dev eth0; sleep 0.2; ip addr add ${address} dev eth0; ip route replace default via 10.10.10.1 dev eth0`,
          );
          await sleep(5_000, undefined, { signal: ending.signal }).catch(() => undefined);
        }
      };
      const flapping = flap();
      return () => {
        ending.abort();
        return flapping;
      };
    },
  },
  {
    ...{ name: 'API server out of reach of a node', scope: 'Side', weight: 2, lengthMs: [5_000, 60_000] },
    begin: async ({ lab }, target) => {
      await lab.cut(`${target}-api`);
      return () => lab.heal(`${target}-api`);
    },
  },
  {
    ...{ name: 'operator killed', scope: 'Nobody', weight: 2, lengthMs: [1_000, 30_000] },
    begin: async ({ product }) => {
      await product.killOperator();
      return () => product.startOperator();
    },
  },
  {
    ...{ name: 'API server killed', scope: 'Nobody', weight: 2, lengthMs: [2_000, 40_000] },
    begin: async ({ lab }) => {
      await lab.killProgram('kube-apiserver');
      return () => lab.startProgram('kube-apiserver');
    },
  },
  {
    ...{ name: 'etcd put back to before the round', scope: 'Nobody', weight: 1, lengthMs: [5_000, 20_000] },
    begin: async ({ lab }) => {
      await lab.copyEtcd();
      return () => lab.putBackEtcd();
    },
  },
  {
    ...{ name: 'every write slowed by a webhook', scope: 'Nobody', weight: 1, lengthMs: [10_000, 40_000] },
    begin: async ({ lab }) => {
      await lab.kubectl(['apply', '-f', '-'], slowWebhook());
      return () => lab.kubectl(['delete', 'validatingwebhookconfiguration', WEBHOOK, '--ignore-not-found']);
    },
  },
  {
    ...{ name: 'EC2 away', grip: 'EC2', scope: 'Nobody', weight: 2, lengthMs: [5_000, 40_000] },
    begin: async ({ lab }) => {
      await lab.ec2.fault({ kind: 'outage' });
      return () => lab.ec2.clearFaults();
    },
  },
  {
    ...{ name: 'EC2 throttles', grip: 'EC2', scope: 'Nobody', weight: 2, lengthMs: [5_000, 40_000] },
    begin: async ({ lab }) => {
      await lab.ec2.fault({ kind: 'throttle', count: 10_000 });
      return () => lab.ec2.clearFaults();
    },
  },
  {
    ...{
      name: 'credentials ended, their source silent',
      scope: 'Nobody',
      weight: 2,
      lengthMs: [5_000, 40_000],
    },
    begin: async ({ lab }) => {
      await lab.ec2.setMood('credentials', { is: 'silent' });
      await lab.ec2.setSessions({ end: true });
      return () => lab.ec2.setMood('credentials', { is: 'well' });
    },
  },
  {
    ...{ name: 'instance metadata silent', scope: 'Nobody', weight: 1, lengthMs: [5_000, 40_000] },
    begin: async (world) => {
      await everyNode(world, (name) => world.lab.ec2.setMood(name, { is: 'silent' }));
      return () => everyNode(world, (name) => world.lab.ec2.setMood(name, { is: 'well' }));
    },
  },
  {
    ...{
      name: "a HAPair names a stranger's address",
      scope: 'Nobody',
      weight: 1,
      grip: 'junk',
      lengthMs: [10_000, 30_000],
    },
    begin: async (world) => {
      await world.lab.kubectl(['apply', '-f', '-'], thief(world));
      return () => world.lab.kubectl(['delete', 'hapair', 'thief', '-n', JUNK, '--wait=false']);
    },
  },
  {
    ...{
      name: 'thirty HAPairs that name nothing real',
      grip: 'junk',
      scope: 'Nobody',
      weight: 2,
      lengthMs: [10_000, 40_000],
    },
    begin: async ({ lab }) => {
      await lab.kubectl(['apply', '-f', '-'], junk());
      return () => lab.kubectl(['delete', 'hapairs', '--all', '-n', JUNK, '--wait=false']);
    },
  },
];
