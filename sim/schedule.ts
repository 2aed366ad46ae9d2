/** Random schedules: faults that come and go, edits, thefts. Then everything is put in order, and must end well. */
import type { HAPairSpec } from '../crds/types.ts';
import type { RawError } from '../ec2/errors.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, VIP } from '../operator/testing/fixtures.ts';
import type { Fate } from './cloud.ts';
import type { Machine } from './machine.ts';
import type { Operator } from './operator.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** Something that happens; what it undoes later, if anything. */
type Happening = {
  name: string;
  /** How often it is chosen, relative to others. */
  weight: number;
  begin(world: World, random: Random): (() => void) | undefined;
};

const STRANGER = 'eni-0dddddddddddddddd';
const OTHER_VIP = '10.10.10.20';

const anyMachine = (world: World, random: Random): Machine => random.pick(world.machines);
const anyReplica = (world: World, random: Random): Operator =>
  random.pick([world.operator, world.operator, world.standby]);

/** A machine, or a replica of the operator. */
const anyPath = (world: World, random: Random) =>
  random.pick([world.node1, world.node2, world.operator]).path;

const startReplica = (replica: Operator): void => {
  replica.dieBeforeWrite = Number.POSITIVE_INFINITY;
  if (replica.process === undefined || replica.process.isDead) replica.start();
};

const FATES: readonly Fate[] = [
  { answer: 'Lost' },
  { answer: 'Lost', effectAfterMs: 50 },
  { answer: 'Lost', effectAfterMs: 12_000 },
  { answer: 'Lost', effectAfterMs: 40_000 },
  { answer: 'Ok', effectAfterMs: 1_500 },
  { answer: { code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 } },
  { answer: { code: 'InternalError', message: 'ours', httpStatus: 500 }, effectAfterMs: 50 },
  { answer: { code: 'InvalidParameterValue', message: 'no', httpStatus: 400 } },
  { answer: { code: 'UnauthorizedOperation', message: 'no', httpStatus: 403 } },
];

/** What EC2 says to every request for a while: too many, not allowed, credentials that ended, a fault of its own. */
const REFUSALS: readonly RawError[] = [
  { code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 },
  { code: 'UnauthorizedOperation', message: 'no', httpStatus: 403 },
  { code: 'RequestExpired', message: 'too late', httpStatus: 400 },
  { code: 'ServiceUnavailable', message: 'ours', httpStatus: 503 },
];

const set = <T extends object>(target: T, change: Partial<T>): (() => void) => {
  const before = Object.fromEntries(
    Object.keys(change).map((name) => [name, target[name as keyof T]]),
  ) as Partial<T>;
  Object.assign(target, change);
  return () => {
    Object.assign(target, before);
  };
};

/** An edit of the spec, once: nothing is undone. */
const edit = (world: World, change: Partial<HAPairSpec>): undefined => {
  world.edit(change);
  return undefined;
};

const HAPPENINGS: readonly Happening[] = [
  {
    name: 'a link is cut one way',
    weight: 4,
    begin: (world, random) => set(random.pick(world.links), { isCut: true }),
  },
  {
    name: 'the link is cut',
    weight: 3,
    begin: (world) => {
      const heal = world.links.map((link) => set(link, { isCut: true }));
      return () => {
        for (const each of heal) each();
      };
    },
  },
  {
    name: 'packets are lost',
    weight: 2,
    begin: (world, random) => set(random.pick(world.links), { loss: random.between(0.1, 0.8) }),
  },
  {
    name: 'packets are late',
    weight: 1,
    begin: (world, random) => set(random.pick(world.links), { delayMs: random.between(5, 3_000) }),
  },
  {
    name: 'the API server is out of reach',
    weight: 4,
    begin: (world, random) => set(anyPath(world, random), { isCut: true }),
  },
  {
    name: 'the API server answers with errors',
    weight: 2,
    begin: (world, random) => set(anyPath(world, random), { refusal: 'ServerError' }),
  },
  {
    name: 'a watch lags',
    weight: 2,
    begin: (world, random) => set(anyPath(world, random), { watchLagMs: random.between(100, 30_000) }),
  },
  {
    name: 'an agent is killed',
    weight: 3,
    begin: (world, random) => {
      const machine = anyMachine(world, random);
      machine.kill();
      if (random.chance(0.3)) machine.loseDisk();
      return () => machine.restart();
    },
  },
  {
    name: 'an agent is asked to end',
    weight: 2,
    begin: (world, random) => {
      const machine = anyMachine(world, random);
      if (!machine.runs) return undefined;
      machine.end();
      return () => machine.restart();
    },
  },
  {
    name: 'a machine crashes',
    weight: 4,
    begin: (world, random) => {
      const machine = anyMachine(world, random);
      machine.crash();
      if (random.chance(0.3)) machine.loseDisk();
      return () => machine.restart();
    },
  },
  {
    name: 'an agent is stopped',
    weight: 2,
    begin: (world, random) => {
      const machine = anyMachine(world, random);
      machine.stop();
      return () => machine.resume();
    },
  },
  {
    name: 'a worker hangs',
    weight: 1,
    begin: (world, random) => {
      const { thread } = anyMachine(world, random);
      thread?.stop();
      return () => thread?.resume();
    },
  },
  {
    name: 'a health check fails',
    weight: 2,
    begin: (world, random) => set(anyMachine(world, random), { isHealthy: false }),
  },
  {
    name: 'IMDS is silent',
    weight: 1,
    begin: (world, random) => set(anyMachine(world, random), { isIMDSReadable: false }),
  },
  {
    name: 'a disk is full',
    weight: 1,
    begin: (world, random) => set(anyMachine(world, random), { isDiskWritable: false }),
  },
  {
    name: 'something takes the VIP off an interface',
    weight: 1,
    begin: (world, random) => {
      const machine = anyMachine(world, random);
      if (machine.isUp) machine.setAddresses(machine.addresses.filter((address) => address !== VIP));
      return undefined;
    },
  },
  {
    name: 'the operator dies',
    weight: 3,
    begin: (world, random) => {
      const replica = anyReplica(world, random);
      if (!replica.runs) return undefined;
      replica.dieBeforeWrite = Math.floor(random.between(0, 6));
      return () => startReplica(replica);
    },
  },
  {
    name: 'the operator is asked to end',
    weight: 2,
    begin: (world, random) => {
      const replica = anyReplica(world, random);
      if (!replica.runs) return undefined;
      const { process } = replica;
      replica.end();
      return () => {
        if (replica.process === process) process?.kill();
        startReplica(replica);
      };
    },
  },
  {
    name: 'the operator is stopped',
    weight: 2,
    begin: (world, random) => {
      const replica = anyReplica(world, random);
      replica.stop();
      return () => replica.resume();
    },
  },
  {
    name: 'another replica starts',
    weight: 1,
    begin: ({ standby }) => {
      startReplica(standby);
      return undefined;
    },
  },
  {
    name: 'EC2 is away',
    weight: 2,
    begin: ({ ec2 }) => set(ec2, { isAway: true }),
  },
  {
    name: 'EC2 refuses every request',
    weight: 2,
    begin: ({ ec2 }, random) => set(ec2, { refusal: random.pick(REFUSALS) }),
  },
  {
    name: 'EC2 is slow',
    weight: 2,
    begin: ({ ec2 }, random) =>
      set(ec2, { callMs: random.between(500, 9_000), readMs: random.between(100, 4_000) }),
  },
  {
    name: 'readings are stale',
    weight: 2,
    begin: ({ ec2 }, random) => set(ec2, { staleMs: random.between(500, 10_000) }),
  },
  {
    name: 'readings leave an ENI out',
    weight: 1,
    begin: ({ ec2 }, random) => {
      ec2.omitted.add(random.pick([NODE1, NODE2]).networkInterfaceID);
      return () => ec2.omitted.clear();
    },
  },
  {
    name: 'calls go wrong',
    weight: 5,
    begin: ({ ec2 }, random) => {
      const count = Math.floor(random.between(1, 4));
      for (let made = 0; made < count; made += 1) ec2.fates.push(random.pick(FATES));
      return undefined;
    },
  },
  {
    name: 'the VIP is stolen',
    weight: 1,
    begin: (world, random) => {
      const { ec2 } = world;
      ec2.steal(VIP, random.pick([NODE1.networkInterfaceID, NODE2.networkInterfaceID, STRANGER, undefined]));
      world.disturb('stolen');
      // What a pair that is paused has given up comes back to it only once it is free.
      return () => {
        if (ec2.cloud.where(VIP) === STRANGER) ec2.steal(VIP, undefined);
      };
    },
  },
  {
    name: 'a switch is requested',
    weight: 4,
    begin: (world, random) => {
      world.request(anyMachine(world, random).name);
      return undefined;
    },
  },
  {
    name: 'a node is preferred',
    weight: 1,
    begin: (world, random) => edit(world, { preferredNode: anyMachine(world, random).name }),
  },
  {
    name: 'a node is pinned',
    weight: 2,
    begin: (world, random) => {
      world.edit({ pinnedNode: anyMachine(world, random).name });
      return () => world.unset('pinnedNode');
    },
  },
  {
    name: 'the pair is paused',
    weight: 1,
    begin: (world) => {
      world.edit({ paused: true });
      return () => world.edit({ paused: false });
    },
  },
  {
    name: 'failback becomes automatic',
    weight: 1,
    begin: (world) => {
      const { failback } = world.pair.spec;
      world.edit({
        preferredNode: 'node1',
        failback: { ...failback, policy: 'Automatic', delaySeconds: 20 },
      });
      return () => world.edit({ failback: { ...world.pair.spec.failback, policy: 'Manual' } });
    },
  },
  {
    name: 'the interval changes',
    weight: 2,
    begin: (world, random) => {
      const advertisementIntervalMilliseconds = random.pick([500, 1_000, 2_000]);
      return edit(world, { vrrp: { ...world.pair.spec.vrrp, advertisementIntervalMilliseconds } });
    },
  },
  {
    name: 'the VIP changes',
    weight: 1,
    begin: (world, random) =>
      edit(world, {
        addresses: [{ ...MAIN, vip: random.pick([VIP, OTHER_VIP]), eipAllocationID: ALLOCATION }],
      }),
  },
];

const TICKETS = HAPPENINGS.flatMap((happening) => Array.from({ length: happening.weight }, () => happening));

/** What one schedule did, for people. */
export type Told = { atMs: number; what: string }[];

/** The longest fault, and the time between two beginnings at most. */
const LONGEST_FAULT_MS = 70_000;
const LONGEST_GAP_MS = 15_000;

/** Happenings for a while, several at the same time. @throws Violation */
export const disturb = async (world: World, random: Random, count: number): Promise<void> => {
  const undo = new Set<() => void>();
  for (let begun = 0; begun < count; begun += 1) {
    const { name, begin } = random.pick(TICKETS);
    world.tell('schedule', name, {});
    world.invariants.disturb();
    const end = begin(world, random);
    if (end !== undefined) {
      const once = (): void => {
        if (!undo.delete(once)) return;
        world.tell('schedule', `end of: ${name}`, {});
        world.invariants.disturb();
        end();
      };
      undo.add(once);
      world.timeline.after(random.between(100, LONGEST_FAULT_MS) * random.next(), once);
    }
    // Many faults are worth nothing apart from each other by seconds.
    await world.pass(random.chance(0.4) ? random.between(0, 500) : random.between(0, LONGEST_GAP_MS));
  }
  for (const end of [...undo]) end();
  restore(world);
};

/** Everything works again. */
const restore = (world: World): void => {
  const { ec2, operator, standby } = world;
  world.heal();
  ec2.fates.length = 0;
  for (const machine of world.machines) machine.restart();
  startReplica(operator);
  if (standby.process !== undefined) startReplica(standby);
  world.disturb('everything works again');
};
