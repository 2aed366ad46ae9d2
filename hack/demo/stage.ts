/** What the events of the story act upon: a lab with the product on it, two probing clients, the pair as kubectl shows it. */
import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tapAdverts } from '../lab/advert-tap.ts';
import type { SeenAdvert } from '../lab/adverts.ts';
import { nowMs } from '../lab/clock.ts';
import { LATENCIES } from '../lab/ec2/api.ts';
import { type ProbeClient, within } from '../lab/handles.ts';
import { type Lab, type SharedPlane, startLab } from '../lab/lab.ts';
import type { Sample } from '../lab/outage.ts';
import { type PairWatch, watchPair } from '../lab/pair-watch.ts';
import { installProduct, type Product, type ProductOptions } from '../lab/product.ts';
import type { LabVPC, LatencyProfile } from '../lab/types.ts';
import type { Evidence } from './measure.ts';
import type { Costs } from './theory.ts';

/** The pair's VIP. */
export const VIP = '10.10.10.10';
/** The pair's Elastic IP. */
export const PUBLIC_IP = '203.0.113.10';

/** How long an agent listens after its claim, before it reports. */
const LISTEN_MS = 10;
/** Priority of the node that takes over. */
const STANDBY_PRIORITY = 100;
const DECIDED_MS = 60_000;
const POLL_MS = 50;
const PROBE_MS = 10;
const GONE_MS = 60_000;

/** The lab with the product on it, as the story and the end-to-end tests have it in hand. */
export type Stage = {
  lab: Lab;
  product: Product;
  namespace: string;
  name: string;
  costs: Costs;
  pair: PairWatch;
  lan: ProbeClient;
  internet: ProbeClient;
  adverts: readonly SeenAdvert[];
  kubectl(args: string[], input?: string): Promise<string>;
  /** The manifest as this stage wants it. */
  edit(manifest: string): string;
  /** Returns when the LAN client has sent as many more probes as fit into that time: nothing may happen meanwhile. */
  observe(ms: number): Promise<void>;
  /** Waits until a service of a node has ended. */
  gone(node: string, service: string): Promise<void>;
  /** Waits until the operator has put VIP and EIP back; calls up to `sinceID` do not count. */
  repaired(sinceID: number): Promise<void>;
  /** Waits until every probe sent by now has its fate, and returns all that was seen so far. */
  evidence(): Promise<Evidence>;
  down(): Promise<void>;
};

/** What a stage is to be. */
export type StageOptions = {
  /** Emptied first; holds state and logs. */
  dir: string;
  profile: LatencyProfile;
  /** Default 1000 (as the manifest says); other values want VRRP version 3. */
  advertisementIntervalMs?: number;
  /** Changes the manifest before it is applied. */
  edit?: (manifest: string) => string;
  /** Default: the standard VPC. */
  vpc?: LabVPC;
  /** Secondary addresses that every instance answers probes for; default the demo's VIP. */
  vips?: string[];
  product?: Omit<ProductOptions, 'onLog'>;
  /** A control plane that other stages use at other times. Default: one of its own. */
  plane?: SharedPlane;
  onLog?: (line: string) => void;
};

/**
 * Builds a stage: about fifteen seconds.
 * @throws Error that says what could not be started; nothing is left running then.
 */
export const openStage = async (options: StageOptions): Promise<Stage> => {
  const { dir, profile, vpc, vips, plane, onLog = () => undefined } = options;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const lab = await startLab({
    dir,
    profile,
    kube: plane ?? true,
    onLog,
    ...(vpc && { vpc }),
    ...(vips && { vips }),
  });
  try {
    return await furnish(lab, options);
  } catch (error) {
    await lab.down();
    throw error;
  }
};

const furnish = async (lab: Lab, options: StageOptions): Promise<Stage> => {
  const { profile, advertisementIntervalMs = 1000, onLog = () => undefined } = options;
  const product = await installProduct(lab, { ...options.product, onLog });
  const namespace = 'prod';
  const name = 'web';
  const [adverts, pair, lan, internet] = await Promise.all([
    tapAdverts(lab),
    watchPair(lab, namespace, name),
    lab.probe({ name: 'lan-client', from: 'lan', target: VIP, intervalMs: PROBE_MS }),
    lab.probe({ name: 'internet-client', from: 'internet', target: PUBLIC_IP, intervalMs: PROBE_MS }),
  ]);
  onLog('both clients send a probe every 10 ms from now on');
  return {
    lab,
    product,
    namespace,
    name,
    costs: {
      advertisementIntervalMs,
      priority: STANDBY_PRIORITY,
      listenMs: LISTEN_MS,
      callMs: LATENCIES[profile].mutatingCallMs,
      mappingLagMs: LATENCIES[profile].mappingMs,
    },
    pair,
    lan,
    internet,
    adverts,
    kubectl: (args, input) => lab.kubectl(args, input),
    edit: options.edit ?? ((manifest) => manifest),
    observe: (ms) => moreProbes(lan, ms / PROBE_MS),
    gone: async (node, service) => {
      const running = await lab.node(node).service(service);
      if (running !== undefined) await within(running.exited, GONE_MS, `${service} of ${node} did not end`);
    },
    repaired: async (sinceID) => {
      for (const action of ['AssignPrivateIpAddresses', 'AssociateAddress']) {
        const calls = await lab.ec2.waitForCall({ action, phase: 'mapped', sinceID, waitMs: GONE_MS });
        if (calls.length === 0) throw new Error(`The operator did not call ${action} within ${GONE_MS} ms.`);
      }
    },
    evidence: async () => ({
      lan: await decided(lan),
      internet: await decided(internet),
      calls: await lab.ec2.calls(),
      adverts,
    }),
    down: () => lab.down(),
  };
};

/** Waits until a client's next `count` probes have their fate. */
const moreProbes = async (probe: ProbeClient, count: number): Promise<void> => {
  const enough = (await probe.samples()).length + count;
  const deadline = performance.now() + DECIDED_MS + 2 * count * PROBE_MS;
  while ((await probe.samples()).length < enough) {
    if (performance.now() > deadline) throw new Error(`${probe.name} stopped writing; see its log.`);
    await sleep(POLL_MS);
  }
};

/** All samples, once every probe sent before this call has its fate. */
const decided = async (probe: ProbeClient): Promise<Sample[]> => {
  const askedAtMs = nowMs();
  const deadline = performance.now() + DECIDED_MS;
  for (;;) {
    const samples = await probe.samples();
    // Numbers have no gap: with one sent after this call decided, all before it count, if none is missing.
    const known = samples.filter(({ sentAtMs }) => sentAtMs <= askedAtMs);
    const highest = known.reduce((most, { seq }) => Math.max(most, seq), 0);
    if (samples.length > known.length && highest === known.length) return samples;
    if (performance.now() > deadline) throw new Error(`${probe.name} stopped writing; see its log.`);
    await sleep(POLL_MS);
  }
};
