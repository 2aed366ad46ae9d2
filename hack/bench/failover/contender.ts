/** What the two that are compared have in common: a pair, and what can be done to it. */
import type { Pair } from './harness.ts';

/** What is done to a pair. The first three move its addresses, the others should not. */
export const SCENARIOS = ['crash', 'failback', 'stop', 'flap', 'boot'] as const;
/** The name of a scenario. */
export type Scenario = (typeof SCENARIOS)[number];

/** Scenarios whose cost is timed. */
export type Switch = Extract<Scenario, 'crash' | 'failback' | 'stop'>;

/** Position of a node in its pair: 0 is the preferred one. */
export type Place = 0 | 1;

/** One of the two that are compared: it keeps one pair's addresses with the pair's VRRP master. */
export type Contender = {
  name: 'recipe' | 'hapair';
  pair: Pair;
  /** Signs its own EC2 calls and no other's. */
  accessKeyID: string;
  /** Runs it for the first time; as `bring(0)`. */
  start(): Promise<void>;
  /**
   * Brings the pair into the state from which a scenario starts, whatever became of it: both instances run, this node is
   * Master and delivered to. The other one stands by, with one exception: the recipe's first node must not run beside a
   * second one that serves, for it would preempt it and EC2 would not follow.
   * @throws Error that says what did not come about.
   */
  bring(place: Place): Promise<void>;
  /** SIGTERM to whatever elects on the first node, as `systemctl stop` sends it. */
  stop(): Promise<void>;
  /** All that a person does to have the addresses back on the first node. */
  failback(): Promise<void>;
  /**
   * Both instances, which are off, start within milliseconds of each other, with what elects on them.
   * @param sooner whose start is asked for first
   */
  boot(sooner: Place): Promise<void>;
  /**
   * Waits until it has ended what it has begun with EC2.
   * @param sinceID calls with a higher id count
   */
  idle(sinceID: number): Promise<void>;
};
