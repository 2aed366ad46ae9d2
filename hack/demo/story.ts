/** Lines of the timeline out of what programs logged, EC2 recorded and clients measured. Pure. */
import { parseMicroTimeMs } from '../../runtime/time.ts';
import { isMutating } from '../lab/ec2-control.ts';
import { between, handovers, outages, type Sample } from '../lab/outage.ts';
import type { PairView } from '../lab/pair-watch.ts';
import type { CallRecord } from '../lab/types.ts';
import type { Entry } from './timeline.ts';

/** Fields of a log line that tell a person something, in the order in which they are shown. */
const SHOWN = ['node', 'reason', 'term', 'vip', 'call', 'state'] as const;

/** Entries from a program's log: JSON lines with `time` (RFC 3339) and `msg`; others are passed over. */
export const fromLog = (who: string, text: string, fromMs: number, toMs: number): Entry[] =>
  text.split('\n').flatMap((line) => {
    const said = parse(line);
    if (said === undefined || typeof said.msg !== 'string' || typeof said.time !== 'string') return [];
    const atMs = parseMicroTimeMs(said.time);
    if (!(atMs >= fromMs && atMs <= toMs) || Number(said.level) < 30) return [];
    const words = SHOWN.flatMap((field) =>
      said[field] === undefined || who.endsWith(String(said[field]))
        ? []
        : [`${field}=${format(said[field])}`],
    );
    return [{ atMs, who, text: [said.msg, ...words].join(' ') }];
  });

const parse = (line: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};

const format = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** What EC2 did for every call that changes something. */
export const fromCalls = (calls: readonly CallRecord[], fromMs: number, toMs: number): Entry[] =>
  calls
    .filter((call) => isMutating(call) && call.receivedAtMs >= fromMs && call.receivedAtMs <= toMs)
    .flatMap(({ action, parameters, receivedAtMs, answeredAtMs, mappedAtMs, status, errorCode }) => {
      const what = `${action} ${Object.values(targetsOf(parameters)).join(' ')}`;
      return [
        { atMs: receivedAtMs, who: 'EC2', text: `receives ${what}` },
        ...(answeredAtMs === undefined
          ? []
          : [{ atMs: answeredAtMs, who: 'EC2', text: `answers ${action}: ${errorCode ?? status}` }]),
        ...(mappedAtMs === undefined
          ? []
          : [{ atMs: mappedAtMs, who: 'EC2', text: `packets follow ${action}` }]),
      ];
    });

const targetsOf = (parameters: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(parameters).filter(([key]) =>
      /^(NetworkInterfaceId|PrivateIpAddress|AllocationId)/.test(key),
    ),
  );

/** When a client lost its answers, got them again, and from whom. */
export const fromSamples = (
  who: string,
  samples: readonly Sample[],
  fromMs: number,
  toMs: number,
): Entry[] => {
  const window = between(samples, fromMs, toMs);
  return [
    ...outages(window).flatMap(({ fromMs: lostMs, toMs: backMs, lost, after }) => [
      { atMs: lostMs, who, text: 'last answer before a silence' },
      ...(backMs === null
        ? []
        : [
            {
              atMs: backMs,
              who,
              text: `answered again by ${after}, ${lost} probes lost, ${Math.round(backMs - lostMs)} ms`,
            },
          ]),
    ]),
    ...handovers(window)
      .filter(({ lost }) => lost === 0)
      .map(({ atMs, from, to }) => ({
        atMs,
        who,
        text: `answered by ${to} instead of ${from}, no probe lost`,
      })),
  ];
};

/** What `kubectl get hap` showed, whenever that changed. */
export const fromViews = (views: readonly PairView[], fromMs: number, toMs: number): Entry[] => {
  let last = '';
  const entries: Entry[] = [];
  for (const view of views) {
    const { master, holder, standby, ready, readyReason, redundant } = view;
    const text = `master=${master || '-'} holder=${holder || '-'} standby=${standby || '-'} ready=${ready || '-'} (${readyReason}) redundant=${redundant || '-'}`;
    if (text !== last && view.atMs >= fromMs && view.atMs <= toMs)
      entries.push({ atMs: view.atMs, who: 'kubectl get', text });
    last = text;
  }
  return entries;
};
