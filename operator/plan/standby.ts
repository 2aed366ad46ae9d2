/** The condition `Redundant`: whether the standby could take over this second, and if not, what is known of it. */
import type { ConditionsInput } from './conditions-input.ts';
import type { Report } from './elect.ts';
import { isFresh, isHealthyBackup, isUnobserved, troubleOf } from './signs.ts';
import { longSilenceOf, silenceOf } from './silence.ts';
import type { Fact } from './types.ts';

const no = (reason: Fact['reason'], message: string): Fact => ({ status: 'False', reason, message });

/** A superseded Master that has neither answered the newer election nor been silent for long: nothing more is known. */
const unheard = (input: ConditionsInput, standby: string, split: Fact): Fact => {
  if (split.status === 'True') return no(split.reason, split.message);
  const silence = silenceOf(input, 'Redundant', standby);
  const rest = silence === undefined ? '' : ` No sign of life from ${standby} ${silence}.`;
  return no(
    'StandbyUnheard',
    `${standby} was Master before ${input.elected?.node} and has not answered the election.${rest}`,
  );
};

const notReady = (report: Report): string => {
  const trouble = troubleOf(report);
  switch (report.state) {
    case 'Fault':
      return `${report.node} is in Fault. ${trouble}`.trimEnd();
    case 'Init':
      return `${report.node} has not begun the election. ${trouble}`.trimEnd();
    default:
      return `${report.node} could not take over: ${trouble}`;
  }
};

/** @param split the condition SplitBrain */
export const redundant = (input: ConditionsInput, split: Fact): Fact => {
  const { elected, nodes, reports, life, nowMs, pin, stored } = input;
  const standby = nodes.find(({ name }) => name !== elected?.node)?.name;
  if (!elected || standby === undefined)
    return { status: 'Unknown', reason: 'NoMaster', message: 'Without a master there is no standby.' };
  const report = reports.find(({ node }) => node === standby);
  if (!report) return no('StandbyMissing', `${standby} has not reported: is hapair-agent running there?`);
  const isSeen = !isUnobserved(input, standby);
  if (isSeen && !isFresh(life[standby], nowMs)) {
    const silence = longSilenceOf(input, 'Redundant', standby);
    return no(
      'StandbySilent',
      `No sign of life from ${standby} ${silence}: check the node and its path to the API server.`,
    );
  }
  if (report.state === 'Master') return unheard(input, standby, split);
  if (!isHealthyBackup(report)) return no('StandbyNotBackup', notReady(report));
  if (!isSeen) {
    const waiting = `Waiting for a sign of life of ${standby}.`;
    return stored('Redundant') ?? { status: 'Unknown', reason: 'Unobserved', message: waiting };
  }
  const message =
    pin === undefined
      ? `${standby} is ready to take over.`
      : `${standby} is a healthy Backup, but spec.pinnedNode keeps the addresses on ${pin}, come what may.`;
  return { status: 'True', reason: 'StandbyReady', message };
};
