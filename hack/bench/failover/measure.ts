/** One run's figures out of what the wire, EC2's log and the clients saw. Pure. */
import type { SeenAdvert } from '../../lab/adverts.ts';
import { between, handovers, longestOutageMs, lost, type Sample } from '../../lab/outage.ts';
import type { CallRecord, LabInstance } from '../../lab/types.ts';
import type { Contender, Scenario, Switch } from './contender.ts';
import type { Pair } from './harness.ts';

type Who = { contender: Contender['name']; run: number };

/** An EC2 call of a run, in milliseconds since its start. */
export type TimedCall = {
  action: string;
  receivedMs: number;
  answeredMs: number | null;
  mappedMs: number | null;
  errorCode: string | null;
};

/** Where packets to the pair's addresses go once EC2's log is empty of what is under way. */
export type Delivery = {
  /** Name of the node that gets the VIP; another ENI's id; `null`: nobody. */
  vip: string | null;
  /** The same for the public address. */
  publicIP: string | null;
};

/** Where it all ended. */
export type End = {
  /** Nodes that advertise as Master in the last two adverts' time. */
  masters: string[];
  delivery: Delivery;
  /** An address is not delivered to the one Master there is. */
  isWrong: boolean;
};

/** A switch of the addresses to another node, timed. */
export type SwitchRecord = Who & {
  scenario: Switch;
  lanOutageMs: number;
  lanLost: number;
  wanOutageMs: number;
  wanLost: number;
  /** From the deed until who serves next was decided: the new Master's first advert on the wire, or a person's word. */
  detectionMs: number;
  /** From that decision to the first answer by the new node, of the slower client. */
  afterMs: number;
  calls: TimedCall[];
  end: End;
};

/** A disturbance after which the addresses must be where the Master is, watched for a while. */
export type WatchRecord = Who & {
  scenario: Exclude<Scenario, Switch>;
  windowMs: number;
  /** How long the second node was Master before the first one was; 0: never. For a flap, the false mastership. */
  secondMasterMs: number;
  /** How long within the window the VIP was not delivered to the newest Master. */
  wrongMs: number;
  lanLost: number;
  wanLost: number;
  calls: TimedCall[];
  end: End;
};

/** A run that told nothing. */
export type FailedRecord = Who & { scenario: Scenario; error: string };

/** What one run left. */
export type RunRecord = SwitchRecord | WatchRecord | FailedRecord;

/** One that told something. */
export type MeasuredRecord = SwitchRecord | WatchRecord;

/** Whether the run came to its end. */
export const isMeasured = (record: RunRecord): record is MeasuredRecord => !('error' in record);
/** Whether the run failed. */
export const isFailed = (record: RunRecord): record is FailedRecord => 'error' in record;
/** Whether a switch was timed. */
export const isSwitch = (record: RunRecord): record is SwitchRecord => 'afterMs' in record;
/** Whether a disturbance was watched. */
export const isWatch = (record: RunRecord): record is WatchRecord => 'wrongMs' in record;

/** What both kinds of run leave; times are Unix milliseconds. */
export type Evidence = {
  pair: Pair;
  fromMs: number;
  toMs: number;
  adverts: readonly SeenAdvert[];
  calls: readonly CallRecord[];
  lan: readonly Sample[];
  wan: readonly Sample[];
  masters: string[];
  delivery: Delivery;
};

/** Nodes of the pair that advertised as Master in a stretch of time; a resignation is none. */
export const mastersIn = (
  adverts: readonly SeenAdvert[],
  pair: Pair,
  fromMs: number,
  toMs: number,
): string[] =>
  pair.nodes
    .filter(({ address }) =>
      adverts.some(
        ({ source, priority, atMs }) => source === address && priority > 0 && atMs >= fromMs && atMs <= toMs,
      ),
    )
    .map(({ name }) => name);

/** The first advert as Master that a node sent at `fromMs` or later. */
export const firstAdvert = (
  adverts: readonly SeenAdvert[],
  { address }: LabInstance,
  fromMs: number,
): SeenAdvert | undefined =>
  adverts.find(({ source, priority, atMs }) => source === address && priority > 0 && atMs >= fromMs);

/** A crash leaves no answer after it; the last one before it belongs to the outage. */
const LOOK_BACK_MS = 50;

/**
 * Figures of a switch to the node at `to`.
 * @param decidedMs when a person decided; absent: the new Master's first advert did
 * @throws Error when the evidence lacks what a figure needs.
 */
export const switchFigures = (
  { pair, fromMs, toMs, adverts, calls, lan, wan, masters, delivery }: Evidence,
  to: 0 | 1,
  decidedMs?: number,
): Omit<SwitchRecord, keyof Who | 'scenario'> => {
  const { name } = pair.nodes[to];
  const decidedAtMs = decidedMs ?? firstAdvert(adverts, pair.nodes[to], fromMs)?.atMs;
  if (decidedAtMs === undefined) throw new Error(`${name} sent no advert as Master.`);
  const served = [lan, wan].map(
    (samples) => handovers(samples).find((one) => one.to === name && one.atMs >= fromMs)?.atMs,
  );
  const [lanMs, wanMs] = served;
  if (lanMs === undefined || wanMs === undefined) throw new Error(`${name} did not answer both clients.`);
  const window = [lan, wan].map((samples) => between(samples, fromMs - LOOK_BACK_MS, toMs));
  const [lanWindow = [], wanWindow = []] = window;
  return {
    lanOutageMs: longestOutageMs(lanWindow),
    lanLost: lost(lanWindow),
    wanOutageMs: longestOutageMs(wanWindow),
    wanLost: lost(wanWindow),
    detectionMs: decidedAtMs - fromMs,
    afterMs: Math.max(lanMs, wanMs) - decidedAtMs,
    calls: timedCalls(calls, fromMs),
    end: endOf(masters, delivery),
  };
};

/**
 * Figures of a watched disturbance; EC2 delivered to the first node when it began.
 * @param windowMs from `fromMs` on; what comes later counts only for the end
 */
export const watchFigures = (
  { pair, fromMs, adverts, calls, lan, wan, masters, delivery }: Evidence,
  windowMs: number,
): Omit<WatchRecord, keyof Who | 'scenario'> => {
  const toMs = fromMs + windowMs;
  const masterships = mastershipsIn(pair, adverts, fromMs, toMs);
  const [first, second] = pair.nodes;
  const ofSecond = masterships.find(({ node }) => node === second.name);
  return {
    windowMs,
    secondMasterMs: ofSecond === undefined ? 0 : ofSecond.toMs - ofSecond.fromMs,
    wrongMs: apartMs(masterships, deliveriesIn(pair, calls, first.name, toMs)),
    lanLost: lost(between(lan, fromMs, toMs)),
    wanLost: lost(between(wan, fromMs, toMs)),
    calls: timedCalls(calls, fromMs),
    end: endOf(masters, delivery),
  };
};

const timedCalls = (calls: readonly CallRecord[], fromMs: number): TimedCall[] =>
  calls.map(({ action, receivedAtMs, answeredAtMs, mappedAtMs, errorCode }) => ({
    action,
    receivedMs: receivedAtMs - fromMs,
    answeredMs: answeredAtMs === undefined ? null : answeredAtMs - fromMs,
    mappedMs: mappedAtMs === undefined ? null : mappedAtMs - fromMs,
    errorCode: errorCode ?? null,
  }));

const endOf = (masters: string[], delivery: Delivery): End => {
  const [master] = masters;
  const isRight = masters.length === 1 && delivery.vip === master && delivery.publicIP === master;
  return { masters, delivery, isWrong: !isRight };
};

/** Something that holds for a stretch of time. */
type Stretch = { node: string | null; fromMs: number; toMs: number };

/** Whose advert as Master was the newest, from the first one on: each until the next node's. */
export const mastershipsIn = (
  pair: Pair,
  adverts: readonly SeenAdvert[],
  fromMs: number,
  toMs: number,
): Stretch[] => {
  const found: Stretch[] = [];
  for (const { source, priority, atMs } of adverts) {
    const node = pair.nodes.find(({ address }) => address === source)?.name;
    if (node === undefined || priority === 0 || atMs < fromMs || atMs > toMs) continue;
    const last = found.at(-1);
    if (last?.node === node) continue;
    if (last !== undefined) last.toMs = atMs;
    found.push({ node, fromMs: atMs, toMs });
  }
  return found;
};

/** Where packets to the VIP went, from ever until `toMs`. */
export const deliveriesIn = (
  { nodes, vip }: Pair,
  calls: readonly CallRecord[],
  atFirst: string,
  toMs: number,
): Stretch[] => {
  const found: Stretch[] = [{ node: atFirst, fromMs: Number.NEGATIVE_INFINITY, toMs }];
  const moves = calls.flatMap(({ action, parameters, mappedAtMs }) => {
    const concerns = Object.entries(parameters).some(
      ([name, value]) => name.startsWith('PrivateIpAddress') && value === vip,
    );
    if (!concerns || mappedAtMs === undefined || mappedAtMs > toMs) return [];
    const eni = parameters.NetworkInterfaceId;
    const node = nodes.find(({ networkInterfaceID }) => networkInterfaceID === eni)?.name ?? null;
    if (action === 'AssignPrivateIpAddresses') return [{ atMs: mappedAtMs, node }];
    return action === 'UnassignPrivateIpAddresses' ? [{ atMs: mappedAtMs, node: null }] : [];
  });
  for (const { atMs, node } of moves.toSorted((a, b) => a.atMs - b.atMs)) {
    const last = found.at(-1);
    if (last !== undefined) last.toMs = atMs;
    found.push({ node, fromMs: atMs, toMs });
  }
  return found;
};

/** For how long the two differ, while there is a first one. */
const apartMs = (masters: readonly Stretch[], deliveries: readonly Stretch[]): number =>
  masters
    .flatMap((master) =>
      deliveries
        .filter(({ node }) => node !== master.node)
        .map(({ fromMs, toMs }) => Math.min(toMs, master.toMs) - Math.max(fromMs, master.fromMs)),
    )
    .reduce((sum, ms) => sum + Math.max(0, ms), 0);
