/** What one event of the demo cost, from three witnesses: the clients' probes, EC2's log of calls, the adverts on the wire. */

import type { SeenAdvert } from '../lab/adverts.ts';
import { isMutating } from '../lab/ec2-control.ts';
import { between, handovers, longestOutageMs, lost, type Sample } from '../lab/outage.ts';
import type { CallRecord } from '../lab/types.ts';
import type { Mark, Segment } from './picture.ts';
import { EXCESS_LIMIT_MS } from './theory.ts';

/** Everything that was seen, of the whole run. */
export type Evidence = {
  lan: readonly Sample[];
  internet: readonly Sample[];
  calls: readonly CallRecord[];
  adverts: readonly SeenAdvert[];
};

/** An event and what it may cost. */
export type Expectation = {
  title: string;
  fromMs: number;
  toMs: number;
  /** EC2 calls that change something; undefined: not fixed. */
  mutatingCalls: number | undefined;
  /**
   * `outage`: theory is the end of the outage, counted from `originMs`. `handover`: no probe may be lost, and theory is the
   * first answer of the other node. `nothing`: no probe may be lost and nobody else may answer. `free`: only shown.
   */
  kind: 'outage' | 'handover' | 'nothing' | 'free';
  /** Milliseconds from `originMs`, for `outage` and `handover`. */
  theoryMs?: number;
  /** Instant that theory counts from; default `fromMs`. */
  originMs?: number;
  /** How long after EC2's answer packets follow, at the least. */
  mappingLagMs: number;
};

/** One line of the demo's table. */
export type Outcome = {
  title: string;
  lanOutageMs: number;
  lanLost: number;
  wanOutageMs: number;
  wanLost: number;
  /** From the origin to the first answer by the new node, of the slower client; undefined: nobody else answered. */
  servedMs: number | undefined;
  theoryMs: number | undefined;
  excessMs: number | undefined;
  mutatingCalls: number;
  /** What went wrong; empty: nothing. */
  faults: string[];
};

/** Who answered last before an event is looked for this far back: a crash leaves no answer within the event itself. */
const LOOK_BACK_MS = 2_000;

/** When a client's first probe within the event was answered by another node than the last one before it. */
const firstHandoverMs = (samples: readonly Sample[], fromMs: number, toMs: number): number | undefined =>
  handovers(between(samples, fromMs - LOOK_BACK_MS, toMs)).find(({ atMs }) => atMs >= fromMs)?.atMs;

/** Judges one event. A client's first answer never counts as an outage before it. */
export const measure = (evidence: Evidence, expected: Expectation): Outcome => {
  const { fromMs, toMs, theoryMs, originMs = fromMs } = expected;
  const lan = between(evidence.lan, fromMs, toMs);
  const internet = between(evidence.internet, fromMs, toMs);
  const mutating = evidence.calls.filter(
    (call) => isMutating(call) && call.receivedAtMs >= fromMs && call.receivedAtMs <= toMs,
  );
  const byProduct = mutating.filter(({ userAgent }) => !userAgent.startsWith('aws-cli')).length;
  const served = [evidence.lan, evidence.internet]
    .map((samples) => firstHandoverMs(samples, fromMs, toMs))
    .filter((ms): ms is number => ms !== undefined);
  const servedMs = served.length === 0 ? undefined : Math.max(...served) - originMs;
  const excessMs = servedMs === undefined || theoryMs === undefined ? undefined : servedMs - theoryMs;
  const outcome: Outcome = {
    title: expected.title,
    lanOutageMs: longestOutageMs(lan),
    lanLost: lost(lan),
    wanOutageMs: longestOutageMs(internet),
    wanLost: lost(internet),
    servedMs,
    theoryMs,
    excessMs,
    mutatingCalls: byProduct,
    faults: [],
  };
  // By EC2's own log: packets cannot follow before the lag after the answer has passed.
  const mappedMs = Math.min(
    ...mutating.map(({ answeredAtMs = Number.POSITIVE_INFINITY }) => answeredAtMs + expected.mappingLagMs),
  );
  const aheadMs = served.length === 0 ? 0 : mappedMs - Math.min(...served);
  return { ...outcome, faults: faultsOf(outcome, expected, served.length, aheadMs) };
};

const faultsOf = (
  outcome: Outcome,
  expected: Expectation,
  clientsServed: number,
  aheadMs: number,
): string[] => {
  const { kind, mutatingCalls } = expected;
  const faults: string[] = [];
  if (kind === 'handover' || kind === 'nothing') {
    if (outcome.lanLost + outcome.wanLost > 0)
      faults.push(`${outcome.lanLost} LAN and ${outcome.wanLost} WAN probes lost`);
  }
  if (kind === 'nothing' && clientsServed > 0) faults.push('another node answered');
  if (kind === 'outage' || kind === 'handover') {
    if (clientsServed < 2) faults.push('not both clients reached the other node');
    if (aheadMs > EARLY_MS) faults.push(`a client was served ${Math.round(aheadMs)} ms before EC2 mapped`);
    if (outcome.excessMs !== undefined && outcome.excessMs < -EARLY_MS)
      faults.push(`served ${Math.round(-outcome.excessMs)} ms before theory allows`);
  }
  if (mutatingCalls !== undefined && outcome.mutatingCalls !== mutatingCalls)
    faults.push(`${outcome.mutatingCalls} mutating EC2 calls, ${mutatingCalls} expected`);
  return faults;
};

/** Timestamps of different processes agree to about this; nothing may be faster than theory by more. */
const EARLY_MS = 50;

const seconds = (ms: number | undefined): string => (ms === undefined ? '-' : (ms / 1000).toFixed(3));

/** The rows of the table, head first. An excess over theory above the limit is marked. */
export const tableOf = (outcomes: readonly Outcome[]): string[][] => [
  ['event', 'LAN out s', 'lost', 'WAN out s', 'lost', 'served s', 'theory s', 'excess s', 'EC2 calls', ''],
  ...outcomes.map((o) => [
    o.title,
    seconds(o.lanOutageMs),
    String(o.lanLost),
    seconds(o.wanOutageMs),
    String(o.wanLost),
    seconds(o.servedMs),
    seconds(o.theoryMs),
    `${seconds(o.excessMs)}${(o.excessMs ?? 0) > EXCESS_LIMIT_MS ? ' !' : ''}`,
    String(o.mutatingCalls),
    o.faults.length === 0 ? 'ok' : `FAILED: ${o.faults.join('; ')}`,
  ]),
];

/** The newest advert that `source` sent before an instant; undefined: none. */
export const lastAdvertBefore = (
  adverts: readonly SeenAdvert[],
  source: string,
  beforeMs: number,
): SeenAdvert | undefined =>
  adverts.findLast((advert) => advert.source === source && advert.atMs <= beforeMs);

/** Who answered a client, as a lane of the picture. */
export const answerSegments = (lane: string, samples: readonly Sample[]): Segment[] => {
  const found: Segment[] = [];
  for (const { sentAtMs, by = 'lost' } of samples.toSorted((a, b) => a.seq - b.seq)) {
    const last = found.at(-1);
    if (last !== undefined) last.toMs = sentAtMs;
    if (last?.state !== by) found.push({ lane, fromMs: sentAtMs, toMs: sentAtMs, state: by });
  }
  return found;
};

/** Who was Master, as the wire saw it: from a node's advert until it resigned, fell silent or another's came. */
export const masterSegments = (
  lane: string,
  adverts: readonly SeenAdvert[],
  nameOf: (source: string) => string,
  intervalMs: number,
): Segment[] => {
  const found: Segment[] = [];
  for (const { source, atMs, priority } of adverts) {
    const state = nameOf(source);
    const last = found.at(-1);
    const goesOn = last?.state === state && atMs - last.toMs <= 2 * intervalMs;
    if (goesOn) last.toMs = priority === 0 ? atMs : atMs + intervalMs;
    else {
      if (last !== undefined) last.toMs = Math.min(last.toMs, atMs);
      if (priority > 0) found.push({ lane, fromMs: atMs, toMs: atMs + intervalMs, state });
    }
  }
  return found;
};

/** Where EC2 delivered a private address, from the calls that moved it. */
export const deliverySegments = (
  lane: string,
  calls: readonly CallRecord[],
  vip: string,
  nameOf: (networkInterfaceID: string) => string,
  untilMs: number,
): Segment[] => {
  const moves = calls.flatMap((call) => {
    const { NetworkInterfaceId = '' } = call.parameters;
    const concerns = Object.entries(call.parameters).some(
      ([k, v]) => k.startsWith('PrivateIpAddress') && v === vip,
    );
    const moves = call.action === 'AssignPrivateIpAddresses' || call.action === 'UnassignPrivateIpAddresses';
    if (!moves || !concerns || call.mappedAtMs === undefined) return [];
    const state = call.action === 'AssignPrivateIpAddresses' ? nameOf(NetworkInterfaceId) : 'lost';
    return [{ atMs: call.mappedAtMs, state }];
  });
  return moves.map(({ atMs, state }, i) => ({
    lane,
    fromMs: atMs,
    toMs: moves[i + 1]?.atMs ?? untilMs,
    state,
  }));
};

/** Labels for the picture. */
export const marksOf = (events: readonly { title: string; fromMs: number }[]): Mark[] =>
  events.map(({ title, fromMs }) => ({ atMs: fromMs, label: title }));
