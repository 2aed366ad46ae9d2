/**
 * Damping of flapping pairs: after a switch, a further move away from a live master is held back, for longer the more often
 * the pair switches. It never holds back a move away from a dead or silent node: the incumbent must keep proving itself, by
 * a report that echoes a probe within a second. It may have stepped back: what EC2 delivers to a Backup is served there.
 *
 * The first hold is a minute, because EC2 takes 4.8 to 16 s to move an address back to where it came from a moment ago
 * (AWS-FACTS, "Moving the VIP"), against 1.2 to 1.8 s otherwise.
 */
import type { Reason } from '../../crds/conditions.ts';
import { type HAPairStatus, type HistoryEntry, type VRRPInstance, vipsOf } from '../../crds/types.ts';
import { parseTimeMs } from '../../runtime/time.ts';
import { isHealthyBackup } from './signs.ts';
import type { DampingMemory, Probe } from './types.ts';

/** Nobody is asked whether it lives. */
export const NO_PROBE: DampingMemory = { probe: undefined };

/** The first hold after a switch; doubled for each switch that comes before the last hold is over. */
export const FIRST_HOLD_MS = 60_000;
const LONGEST_HOLD_MS = 15 * 60_000;
/** A Master that does not echo a probe within this time is not waited for. */
export const PROBE_MS = 1_000;
/** How long an echo counts. */
const PROVEN_MS = 2_000;

/** `level`: switches in the present chain; each came before the hold of the one before it was over. */
type Flapping = { level: number; holdUntilWallMs: number };

const holdMs = (level: number): number => Math.min(LONGEST_HOLD_MS, FIRST_HOLD_MS * 2 ** (level - 1));

/** Switches that somebody wanted: a pair that a person has just set to rights is not flapping. */
const WANTED: readonly string[] = ['SwitchoverRequested', 'PinnedBySpec'] satisfies Reason[];

/**
 * The chain of switches before `beforeWallMs`, of which the fraction of a millisecond does not count; absent: there was none,
 * or a person has ended it.
 */
export const flappingOf = (
  history: readonly HistoryEntry[] | undefined,
  beforeWallMs: number,
): Flapping | undefined => {
  const switches = (history ?? [])
    .filter(({ from }) => from !== undefined)
    .map(({ time, reason }) => ({ timeMs: parseTimeMs(time), isWanted: WANTED.includes(reason) }))
    .filter(({ timeMs }) => timeMs < Math.floor(beforeWallMs))
    .sort((a, b) => a.timeMs - b.timeMs);
  return switches.reduce<Flapping | undefined>((chain, { timeMs, isWanted }) => {
    if (isWanted) return undefined;
    const level = chain !== undefined && timeMs <= chain.holdUntilWallMs ? chain.level + 1 : 1;
    return { level, holdUntilWallMs: timeMs + holdMs(level) };
  }, undefined);
};

/** What damping depends on. */
type DampingInput = {
  nowMs: number;
  wallMs: number;
  status: HAPairStatus | undefined;
  /** When the present master was first read as elected; the switch to it is not held against it. */
  electedAtWallMs: number;
  /** The instance of the node to which EC2 delivers, while another node is the elected master. */
  incumbent: VRRPInstance | undefined;
  memory: DampingMemory;
};

/** What the pair's flapping means for a move. */
export type Damping = {
  /** `probe`: the number to write into the incumbent's `spec.probe`. */
  memory: DampingMemory;
  /** The move waits. */
  held: boolean;
  flapping?: Flapping;
  wakeAtMs?: number;
};

/** Nothing is held back. */
export const FREE: Damping = { memory: NO_PROBE, held: false };

/** Whether the move away from `incumbent` is held back now. */
export const damping = (input: DampingInput): Damping => {
  const { nowMs, wallMs, incumbent, status, memory } = input;
  const flapping = flappingOf(status?.history, input.electedAtWallMs);
  if (!incumbent || !flapping || wallMs >= flapping.holdUntilWallMs) return FREE;
  if (!mayServe(incumbent)) return FREE;
  const node = incumbent.spec.nodeName;
  const probe = echoed(
    memory.probe?.node === node ? memory.probe : asked(node, incumbent.spec.probe + 1, nowMs),
    incumbent,
    nowMs,
  );
  const held = (next: Probe, wakeAtMs: number): Damping => ({
    memory: { probe: next },
    held: true,
    flapping,
    wakeAtMs,
  });
  if (probe.isSilent) return { memory: { probe }, held: false };
  const { provenAtMs } = probe;
  if (provenAtMs === undefined) return held(probe, probe.askedAtMs + PROBE_MS);
  if (nowMs < provenAtMs + PROVEN_MS) return held(probe, provenAtMs + PROVEN_MS);
  return held(asked(node, probe.value + 1, nowMs), nowMs + PROBE_MS);
};

/** It reports Master; or it has stepped back, healthy, with every VIP still on its interface. */
const mayServe = ({ spec, status }: VRRPInstance): boolean => {
  if (status === undefined || status.state === 'Master') return status !== undefined;
  const { vipsOnInterface = [] } = status;
  return isHealthyBackup(status) && vipsOf(spec).every((vip) => vipsOnInterface.includes(vip));
};

const asked = (node: string, value: number, askedAtMs: number): Probe => ({
  node,
  value,
  askedAtMs,
  provenAtMs: undefined,
  isSilent: false,
});

const echoed = (probe: Probe, { status }: VRRPInstance, nowMs: number): Probe => {
  if (probe.provenAtMs !== undefined || probe.isSilent) return probe;
  if (status?.probe === probe.value) return { ...probe, provenAtMs: nowMs };
  return nowMs >= probe.askedAtMs + PROBE_MS ? { ...probe, isSilent: true } : probe;
};
