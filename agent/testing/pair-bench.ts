/** A pair's actor on a bench: virtual time, and fakes of everything around it that a test can break. For tests only. */

import type { Reason } from '../../crds/conditions.ts';
import type {
  InstanceAddress,
  VRRPInstance,
  VRRPInstanceSpec,
  VRRPInstanceStatus,
  VRRPState,
} from '../../crds/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { PairHandover } from '../pair/handover.ts';
import { Pair } from '../pair/pair.ts';
import {
  emptyRecord,
  type IMDSReading,
  type InterfaceReading,
  type PairAddresses,
  type PairPorts,
  type PairRecord,
  type StoredSecret,
} from '../ports.ts';
import type { ToWorker } from '../worker/messages.ts';

export const VIP = '10.10.10.10';
const OWN = '10.10.10.11';
export const KEY = 'prod/web';
const START_MS = Date.parse('2026-11-22T10:00:00Z');

const PARAMETERS = {
  version: 3,
  virtualRouterID: 10,
  advertisementIntervalMilliseconds: 1000,
  checksum: 'Pseudoheader',
} as const;

/** Entries of `spec.addresses` with these VIPs. */
export const addressesOf = (...vips: string[]): InstanceAddress[] =>
  vips.map((vip, at) => ({ name: `a${at}`, vip }));

/** A valid spec of node1. */
export const spec = (change: Partial<VRRPInstanceSpec> = {}): VRRPInstanceSpec => ({
  pairName: 'web',
  nodeName: 'node1',
  agentUsername: 'system:serviceaccount:hapair-system:hapair-agent-node1',
  networkInterfaceID: 'eni-1',
  sourceAddress: '10.10.10.11',
  peerAddress: '10.10.10.12',
  priority: 200,
  claim: 'Normal',
  termFloor: 0,
  yieldTerm: 0,
  probe: 0,
  onDelete: 'Keep',
  addresses: addressesOf(VIP),
  vrrp: { send: PARAMETERS, accept: [PARAMETERS] },
  ...change,
});

/** Virtual time: timers fire only when a test lets time pass. */
const createClock = () => {
  let nowMs = 0;
  let timers: { atMs: number; fire: () => void }[] = [];
  const clock: Clock = {
    now: () => nowMs,
    wall: () => START_MS + nowMs,
    setTimer(delayMs, fire) {
      const timer = { atMs: nowMs + delayMs, fire };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  /** Lets everything that needs no time happen. */
  const quiet = async (): Promise<void> => {
    for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = async (durationMs: number): Promise<void> => {
    const endMs = nowMs + durationMs;
    await quiet();
    for (;;) {
      const due = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      timers = timers.filter((timer) => timer !== due);
      nowMs = Math.max(nowMs, due.atMs);
      due.fire();
      await quiet();
    }
    nowMs = endMs;
    await quiet();
  };
  return { clock, quiet, pass };
};

/** Everything a test sees and breaks; `addresses`: a real interface instead of the fake. */
export const createBench = (
  firstRecord: PairRecord = emptyRecord('prod', 'web'),
  addresses?: PairAddresses,
) => {
  const { clock, quiet, pass } = createClock();
  const story: string[] = [];
  const world = {
    /** The API server, and whether it answers. */
    apiUp: true,
    instances: new Map<string, VRRPInstance>(),
    peerLease: 0,
    /** By key of the one Secret there is. */
    secrets: new Map<string, StoredSecret>(),
    reports: [] as VRRPInstanceStatus[],
    /** The API server's own way of writing a report. */
    storedAs: (status: VRRPInstanceStatus): VRRPInstanceStatus => status,
    /** Why the node's owner does not let it run. */
    beyondLimits: null as string | null,
    reads: 0,
    lastContactMs: 0 as number | null,
    /** The disk, and whether it takes anything. */
    diskUp: true,
    disk: firstRecord.spec === null ? null : (firstRecord as PairRecord | null),
    /** The interface: addresses on eth0, and whether `ip` works. */
    ipUp: true,
    linkUp: true,
    addresses: ['10.10.10.11'],
    /** IMDS: addresses delivered; null: silent. */
    delivered: ['10.10.10.11'] as string[] | null,
    sent: [] as ToWorker[],
    /** The checks that were to run, each time they changed. */
    followed: [] as { checks: string[]; sourceAddress: string }[],
  };
  let gate: Promise<void> | null = null;
  let diskGate: Promise<void> | null = null;
  let lives = 0;
  let version = 0;
  const nextVersion = (): string => String(++version);

  /** What a dead process began has no further effect. */
  const whileAlive = async (life: number): Promise<void> => {
    await Promise.resolve();
    if (life !== lives) await new Promise(() => {});
  };
  const api = async <T>(life: number, answer: () => T): Promise<T> => {
    if (gate !== null) await gate;
    await whileAlive(life);
    if (!world.apiUp) throw new Error('connection refused');
    world.lastContactMs = clock.now();
    return answer();
  };
  const write = async (life: number, record: PairRecord): Promise<void> => {
    const snapshot = structuredClone(record);
    await diskGate;
    await whileAlive(life);
    if (!world.diskUp) throw new Error('no space left on device');
    world.disk = snapshot;
  };
  const get = (name: string): VRRPInstance | null => structuredClone(world.instances.get(name) ?? null);
  const log = (fields: object, message: string) => {
    const reason = 'reason' in fields ? ` (${fields.reason})` : '';
    story.push(`${message}${reason}`);
  };

  const start = (record: PairRecord, handover?: PairHandover): Pair => {
    const life = ++lives;
    const ports: PairPorts = {
      send: (message) => world.sent.push(message),
      kube: {
        readInstances: () =>
          api(life, () => {
            world.reads += 1;
            return { own: get('web.node1'), peer: get('web.node2') };
          }),
        async readLife() {
          const startedAtMs = clock.now();
          const mark = await api(life, () =>
            JSON.stringify([world.peerLease, get('web.node2')?.status ?? null]),
          );
          return { startedAtMs, endedAtMs: clock.now(), mark };
        },
        readSecret: ({ name, key }) =>
          api(life, () => {
            const secret = world.secrets.get(key);
            if (secret === undefined) throw new Error(`key ${key} of Secret prod/${name} does not exist`);
            return secret;
          }),
        report: (status) =>
          api(life, () => {
            const own = world.instances.get('web.node1');
            if (own === undefined) throw new Error('not found');
            own.status = world.storedAs(structuredClone(status));
            own.metadata.resourceVersion = nextVersion();
            world.reports.push(structuredClone(status));
            return structuredClone(own);
          }),
      },
      addresses: addresses ?? {
        async add(_, address) {
          await whileAlive(life);
          if (!world.ipUp) throw new Error('ip address add: operation not permitted');
          if (!world.addresses.includes(address)) world.addresses.push(address);
        },
        async remove(_, address) {
          await whileAlive(life);
          if (!world.ipUp) throw new Error('ip address del: operation not permitted');
          world.addresses = world.addresses.filter((other) => other !== address);
        },
      },
      disk: {
        save: (saved) => write(life, saved),
        note: (saved) => write(life, saved),
        async remove() {
          world.disk = null;
        },
      },
      followChecks(checks, sourceAddress) {
        world.followed.push({ checks: checks.map(({ name }) => name), sourceAddress });
        return checks.map(({ name }) => ({ name, healthy: null, message: '', sinceMs: clock.wall() }));
      },
      beyondLimits: () => world.beyondLimits,
      lastContactMs: () => world.lastContactMs,
      clock,
      log: { info: log, warn: log, error: log },
      agentVersion: '0.1.0',
    };
    return new Pair(structuredClone(record), ports, handover);
  };
  let pair = start(firstRecord);

  const interfaceReading = (): InterfaceReading => ({
    interfaces: [
      {
        name: 'eth0',
        up: world.linkUp,
        addresses: world.addresses.map((address) => ({ address, prefixLength: address === OWN ? 24 : 32 })),
      },
    ],
    reserved: ['10.10.10.1'],
  });
  const imdsReading = (networkInterfaceID = 'eni-1'): IMDSReading | null =>
    world.delivered && {
      instanceID: 'i-1',
      networkInterfaces: [{ networkInterfaceID, subnetCIDR: '10.10.10.0/24', addresses: world.delivered }],
    };

  const bench = {
    world,
    story,
    pass,
    quiet,
    imdsReading,
    get pair() {
      return pair;
    },
    /** This node's instance as the API server has it. */
    own(): VRRPInstance {
      const own = world.instances.get('web.node1');
      if (own === undefined) throw new Error('nothing was applied yet');
      return own;
    },
    /** The newest report. */
    get report() {
      return world.reports.at(-1);
    },
    /** What the worker was told, by type. */
    told: <T extends ToWorker['type']>(type: T) =>
      world.sent.filter((message): message is Extract<ToWorker, { type: T }> => message.type === type),
    /** Reads interfaces and IMDS once. */
    async look(networkInterfaceID?: string) {
      pair.interfaces(interfaceReading());
      pair.imds(imdsReading(networkInterfaceID));
      await quiet();
    },
    /** Seconds of ordinary life: ticks and readings. */
    async seconds(count: number) {
      for (let second = 0; second < count; second += 1) {
        await pass(1_000);
        pair.tick();
        await bench.look();
      }
    },
    /** The operator writes node1's spec; with the API up the agent sees it at once. */
    async apply(change: Partial<VRRPInstanceSpec> = {}) {
      const before = world.instances.get('web.node1');
      const instance: VRRPInstance = {
        apiVersion: 'hapair.io/v1alpha1',
        kind: 'VRRPInstance',
        metadata: {
          name: 'web.node1',
          namespace: 'prod',
          uid: 'u1',
          generation: (before?.metadata.generation ?? 0) + 1,
          resourceVersion: nextVersion(),
        },
        spec: { ...(before?.spec ?? spec()), ...change },
        ...(before?.status && { status: before.status }),
      };
      world.instances.set('web.node1', instance);
      if (world.apiUp) pair.desired(structuredClone(instance));
      await quiet();
    },
    /** Somebody else writes node1's report. @returns the object, which the watch has yet to bring */
    overwrite(status: Partial<VRRPInstanceStatus>): VRRPInstance {
      const own = bench.own();
      if (own.status === undefined) throw new Error('nothing was reported yet');
      own.status = { ...own.status, ...status };
      own.metadata.resourceVersion = nextVersion();
      return structuredClone(own);
    },
    /** The peer reports; `seen`: the watch brings it. */
    async peer(state: VRRPState, term: number, seen = true) {
      const instance: VRRPInstance = {
        apiVersion: 'hapair.io/v1alpha1',
        kind: 'VRRPInstance',
        metadata: { name: 'web.node2', namespace: 'prod', uid: 'u2' },
        spec: spec({ nodeName: 'node2', sourceAddress: '10.10.10.12', peerAddress: '10.10.10.11' }),
        status: { state, term, since: '2026-11-22T10:00:00.000000Z' },
      };
      world.instances.set('web.node2', instance);
      if (seen) pair.peer(structuredClone(instance));
      await quiet();
    },
    /** The worker changes state. */
    async enter(state: VRRPState, reason: Reason) {
      pair.worker({ type: 'state', pair: KEY, state, reason, atMs: clock.now() });
      await quiet();
    },
    /** The worker is still Master after listening. */
    async settle() {
      pair.worker({ type: 'settled', pair: KEY, atMs: clock.now() });
      await quiet();
    },
    /** A whole claim that stands. */
    async claim() {
      await bench.enter('Master', 'MasterDownTimerExpired');
      await pass(10);
      await bench.settle();
    },
    /** The Secret has this key now. */
    setSecret(key: string, password: string, resourceVersion: string) {
      const ref = { name: 'hapair-vrrp', key };
      world.secrets.set(key, { ref, password: btoa(password), resourceVersion });
    },
    /** One of the conditions last reported, as `status reason`. */
    condition(type: string): string | undefined {
      const found = world.reports.at(-1)?.conditions?.find((condition) => condition.type === type);
      return found && `${found.status} ${found.reason}`;
    },
    /** Health checks fail, or recover. */
    async checks(outcome: 'fail' | 'pass') {
      const healthy = outcome === 'pass';
      const message = healthy ? '' : 'app answers 503';
      pair.health([{ name: 'app', healthy, message, sinceMs: clock.wall() }]);
      await quiet();
    },
    /** The worker hears the peer, or has not for a master-down interval. */
    async hear(heard: boolean) {
      pair.worker({ type: 'peer', pair: KEY, heard, priority: 100, atMs: clock.now() });
      await quiet();
    },
    /** Lets API calls hang until the returned function is called. */
    holdAPI(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = null;
        resolve();
      };
    },
    /** Lets writes to the disk hang until the returned function is called. */
    holdDisk(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      diskGate = promise;
      return () => {
        diskGate = null;
        resolve();
      };
    },
    /** The program is replaced in place: its successor starts from what is on disk and what it was handed. */
    async reload() {
      const handover = pair.handOver(clock.now());
      if (handover === null) throw new Error('nothing runs');
      world.sent.length = 0;
      void pair.close();
      pair = start(world.disk ?? emptyRecord('prod', 'web'), structuredClone(handover));
      await quiet();
    },
    /** The process dies at once; a new one starts from what is on disk, or from nothing. */
    async crash(disk: PairRecord | null = world.disk) {
      world.sent.length = 0;
      void pair.close();
      pair = start(disk ?? emptyRecord('prod', 'web'));
      await quiet();
    },
  };
  return bench;
};

/** A Backup that runs a spec, has read IMDS, and has reported; `addresses`: a real interface instead of the fake. */
export const createBackup = async (change: Partial<VRRPInstanceSpec> = {}, addresses?: PairAddresses) => {
  const bench = createBench(undefined, addresses);
  await bench.apply(change);
  await bench.look();
  await bench.enter('Backup', 'AgentStarted');
  return bench;
};

/** A Master that has taken a term and reported, with EC2 delivering to it. */
export const createMaster = async (change: Partial<VRRPInstanceSpec> = {}) => {
  const bench = await createBackup(change);
  await bench.claim();
  bench.world.delivered = ['10.10.10.11', VIP];
  await bench.look();
  return bench;
};
