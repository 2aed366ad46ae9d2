/** Scenes that several stories of the simulation begin or end with. */
import type { HAPairSpec } from '../crds/types.ts';
import { World, type WorldOptions } from './world.ts';

export const FAILBACK: HAPairSpec['failback'] = {
  policy: 'Manual',
  delaySeconds: 60,
  startingDeadlineSeconds: 600,
};

/** Converged, and then switched to node2 by order, some time ago: no hold-down is left. */
export const servedByNode2 = async (options: WorldOptions = {}): Promise<World> => {
  const world = await World.converged(options);
  world.request('node2');
  await world.until('the switch to node2', () => world.isServedBy('node2'));
  await world.pass(120_000);
  world.ec2.calls.length = 0;
  return world;
};

/** Just switched to node2 by a crash of node1, which is its Backup by now: another switch would be held down. */
export const failedOverToNode2 = async (): Promise<World> => {
  const world = await World.converged();
  world.node1.crash();
  await world.until('node2 takes over', () => world.isServedBy('node2'));
  world.node1.boot();
  await world.until('node1 is its Backup', () => world.condition('Redundant') === 'True StandbyReady');
  return world;
};

/** All is well in the end, and stays so: at rest nothing is written. */
export const endsWell = async (world: World, node: string): Promise<void> => {
  await world.until(`served by ${node}`, () => world.isServedBy(node), 180_000);
  await world.until('the standby is ready', () => world.condition('Redundant').startsWith('True'), 120_000);
  await world.pass(60_000);
  await world.staysQuiet();
};

/** `spec.vrrp` with another interval between adverts. */
export const slower = (milliseconds: number) => ({
  vrrp: { version: 3 as const, virtualRouterID: 10, advertisementIntervalMilliseconds: milliseconds },
});

/**
 * A change of the VRRP parameters is under way: node2 acknowledges "accept both", crashes `delayMs` after it was told, and starts
 * from the disk of before, cut off from the API server for a minute.
 */
export const node2ForgetsTheChange = async (world: World, delayMs: number): Promise<void> => {
  const { node2 } = world;
  await world.until('node2 is told', () => world.instance('node2').spec.vrrp.accept.length === 2, 5_000);
  await world.pass(delayMs);
  node2.crash();
  world.cutAPI(node2);
  node2.boot();
  await world.pass(60_000);
  if (world.master !== 'node1') throw new Error(`node1 alone is Master, not ${world.master}`);
  world.healAPI(node2);
};
