/** What is compared: two programs, five sets of VRRP parameters, and one pair of ends as both programs run it. */

/** The two that are compared. */
export const PROGRAMS = ['keepalived', 'hapair'] as const;
/** The name of one of them. */
export type ProgramName = (typeof PROGRAMS)[number];

/** VRRP's password in version 2, eight characters at most. */
export const PASSWORD = 'standby';

/** Of every end that takes over; both ends have it where either may, so that both take the same time. */
export const SUCCESSOR_PRIORITY = 100;

/** Position of an end in its pair: 0 starts as Master. */
export type Place = 0 | 1;

/** VRRP parameters under which a pair runs. */
export type Timing = { name: string; version: 2 | 3; advertisementIntervalMs: number };

/** From the slowest to the fastest. */
export const TIMINGS = [
  { name: 'v2 1 s', version: 2, advertisementIntervalMs: 1000 },
  { name: 'v3 1 s', version: 3, advertisementIntervalMs: 1000 },
  { name: 'v3 100 ms', version: 3, advertisementIntervalMs: 100 },
  { name: 'v3 50 ms', version: 3, advertisementIntervalMs: 50 },
  { name: 'v3 10 ms', version: 3, advertisementIntervalMs: 10 },
] as const satisfies readonly Timing[];
/** The name of a timing. */
export type TimingName = (typeof TIMINGS)[number]['name'];

/** The timing of that name. */
export const timingOf = (name: TimingName): Timing & { name: TimingName } => {
  const found = TIMINGS.find((timing) => timing.name === name);
  if (found === undefined) throw new Error(`There is no timing ${name}.`);
  return found;
};

/** How a Master goes: `crash` is SIGKILL, `stop` what a service manager's stop does. */
export const DEPARTURES = ['crash', 'stop'] as const;
/** How a Master leaves. */
export type Departure = (typeof DEPARTURES)[number];

/** One end's place in the network. */
export type EndAddress = {
  /** Network namespace, whose `eth0` carries `address`. */
  namespace: string;
  address: string;
  peerAddress: string;
};

/** One pair of ends on a switch of its own. */
export type Site = {
  /** 1 to 255; no other pair has it, so an advert tells its pair. */
  virtualRouterID: number;
  vip: string;
  ends: readonly [EndAddress, EndAddress];
};

/** What an end is to run. */
export type EndOrder = {
  site: Site;
  place: Place;
  timing: Timing;
  /** 1 to 254. */
  priority: number;
  /** Whether hapair keeps the VIP on the interface, as its agent does; keepalived always does. */
  keepsVIP: boolean;
  /** Whether to ask for SCHED_RR 50, which the system may refuse. */
  realtime: boolean;
};

/** A running end. */
export type RunningEnd = {
  pid: number;
  /** Whether it has ended, wished or not. */
  hasEnded(): boolean;
  /** SIGKILL to all of it; returns at once. */
  crash(): void;
  /** What a service manager's stop does; returns at once. */
  stop(): void;
  /** Resolves when nothing of it runs any more. */
  ended: Promise<void>;
};

/** One of the two that are compared. */
export type Contender = {
  name: ProgramName;
  /** What it says it is, with its version. */
  version: string;
  /** Resolves when the end listens, or has claimed. @throws Error when it does not come to that in time. */
  start(order: EndOrder): Promise<RunningEnd>;
};
