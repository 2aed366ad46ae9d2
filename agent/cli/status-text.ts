/** What `hapair-agent status` prints for people. */
import { vipsOf } from '../../crds/types.ts';
import { formatTime, parseTimeMs } from '../../runtime/time.ts';
import type { AgentConfig } from '../config.ts';
import type { AgentStatus } from '../control.ts';
import type { StateFile } from '../node/disk.ts';
import type { PairView } from '../pair/view.ts';

/** A running agent. */
export const statusText = (agent: AgentStatus): string => {
  const { nodeName, version, pid, startedAt, reloads, reloadFailure, realtime, pairs } = agent;
  return lines([
    `${nodeName}: hapair-agent ${version} runs as pid ${pid} since ${startedAt}, reloaded ${reloads} times`,
    `API server: ${apiText(agent.api)}`,
    `real-time scheduling: ${realtime === null ? 'unknown: the VRRP worker does not answer' : realtime ? 'yes' : 'no'}`,
    ...(reloadFailure === null ? [] : [`the last reload failed: ${reloadFailure}`]),
    '',
    ...(pairs.length === 0 ? ['no pair is served here'] : table([HEADINGS, ...pairs.map(rowOf)])),
    ...pairs.flatMap((pair) => ['', ...detailsOf(pair)]),
  ]);
};

/** An agent that does not run: what it would go on with. */
export const diskText = (
  { nodeName, stateDir }: Pick<AgentConfig, 'nodeName' | 'stateDir'>,
  files: readonly StateFile[],
): string =>
  lines([
    `${nodeName}: the agent does not run; on disk in ${stateDir}:`,
    ...(files.length === 0 ? ['no pair'] : []),
    ...files.flatMap((file) => ('record' in file ? recordLines(file.record) : [`${file.path}: ${file.err}`])),
  ]);

const recordLines = (record: Extract<StateFile, { record: unknown }>['record']): string[] => {
  const {
    namespace,
    pairName,
    spec,
    highestTerm,
    generation,
    added,
    interface: name,
    lastAdvertAtMs,
  } = record;
  return [
    `${namespace}/${pairName}`,
    `  spec           ${spec === null ? 'none' : `generation ${generation}: priority ${spec.priority}, claim ${spec.claim}, VIPs ${vipsOf(spec).join(', ')}`}`,
    `  highest term   ${highestTerm}`,
    `  last advert    ${lastAdvertAtMs === null ? 'never' : formatTime(lastAdvertAtMs)}`,
    `  VIPs put up    ${added.length === 0 ? 'none' : `${added.join(', ')} on ${name}`}`,
  ];
};

const apiText = ({ answers, error, lastContactMilliseconds: lastMs }: AgentStatus['api']): string => {
  const ago = lastMs === null ? 'has not answered yet' : `last answer ${(lastMs / 1000).toFixed(1)} s ago`;
  const why = error === null ? '' : `: ${error}`;
  return answers === false ? `away; ${ago}; the election goes on from disk${why}` : `${ago}${why}`;
};

const HEADINGS = ['PAIR', 'STATE', 'TERM', 'SINCE', 'PRIORITY', 'PEER', 'VIPS UP/HERE/ALL', 'REPORTED'];

const rowOf = ({ pair, state, term, since, priority, peer, vips, reported }: PairView): string[] => [
  pair,
  state,
  term === null ? '-' : String(term),
  formatTime(parseTimeMs(since)),
  priority === null ? '-' : String(priority),
  peer.heard === null ? '-' : peer.heard ? 'heard' : 'silent',
  [vips.filter(({ onInterface }) => onInterface), vips.filter(({ delivered }) => delivered), vips]
    .map(({ length }) => length)
    .join('/'),
  reported ? 'yes' : 'no',
];

/** A detail; one that is not as it should be begins with `!`. */
const detail = (isWrong: boolean, label: string, text: string): string =>
  `${isWrong ? '!' : ' '} ${label.padEnd(14)} ${text}`;

/** A Master must have it and get its traffic; whoever gets traffic must have it. */
const isVIPWrong = (
  state: PairView['state'],
  { onInterface, delivered }: PairView['vips'][number],
): boolean => (state === 'Master' ? !onInterface || delivered === false : delivered === true && !onInterface);

const detailsOf = (pair: PairView): string[] => {
  const { conditions, checks, vips, transitions, peer, claim, advertisementIntervalMilliseconds } = pair;
  return [
    pair.pair,
    detail(
      false,
      'adverts',
      `${advertisementIntervalMilliseconds === null ? 'none' : `every ${advertisementIntervalMilliseconds} ms`} on ${pair.interface ?? 'no interface'}, claim ${claim ?? 'unknown'}`,
    ),
    detail(false, 'peer', `${peer.node ?? 'unknown'} at ${peer.address ?? 'unknown'}`),
    ...vips.map((vip) =>
      detail(
        isVIPWrong(pair.state, vip),
        'VIP',
        `${vip.address}: ${vip.onInterface ? 'on the interface' : 'not on the interface'}, ${vip.delivered === null ? 'unknown whether EC2 delivers it here' : vip.delivered ? 'EC2 delivers it here' : 'EC2 delivers it elsewhere'}`,
      ),
    ),
    ...checks.map(({ name, healthy, message }) =>
      detail(
        !healthy,
        'check',
        `${name}: ${healthy ? 'healthy' : 'failing'}${message === undefined ? '' : `: ${message}`}`,
      ),
    ),
    ...conditions.map(({ type, status, reason, message }) =>
      detail(status === 'False', type, `${status} ${reason}: ${message}`),
    ),
    ...transitions.map(
      ({ state, reason, time }) => `  ${formatTime(parseTimeMs(time))} became ${state}: ${reason}`,
    ),
  ];
};

/** Columns as wide as their widest cell. */
const table = (rows: readonly string[][]): string[] => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};

const lines = (all: readonly string[]): string => `${all.join('\n')}\n`;
