/** The conditions of a HAPair: each says what is wrong and what to do, and changes its time only with its status (S7). */
import { HAPAIR_CONDITIONS, type HAPairConditionType, type Reason } from '../../crds/conditions.ts';
import type { Condition, HAPair } from '../../crds/types.ts';
import { clip } from '../../runtime/plain-text.ts';
import { formatTime } from '../../runtime/time.ts';
import type { ConditionsInput } from './conditions-input.ts';
import type { Report } from './elect.ts';
import { mastersOf } from './elect.ts';
import { isLetThrough, type PreflightInput, preflight, unchecked } from './preflight.ts';
import { badFirst, conditionOf } from './problem.ts';
import { STALE_READING_MS, unreadForMs } from './reading.ts';
import { refusalsOf, tellsRefusal } from './refusals.ts';
import { isFresh, isUnobserved, troubleOf } from './signs.ts';
import { longSilenceOf } from './silence.ts';
import { redundant } from './standby.ts';
import { isBarred } from './support.ts';
import type { Fact } from './types.ts';

/** The slow facts about EC2 are together by then, unless something is wrong. */
const ASKING_MS = 10 * 60_000;

/** However much there is to tell, the status is written: the API refuses a message of more than 32,768 bytes. */
const LONGEST = 8_192;

const yes = (reason: Reason, message: string): Fact => ({ status: 'True', reason, message });
const no = (reason: Reason, message: string): Fact => ({ status: 'False', reason, message });
const unknown = (reason: Reason, message: string): Fact => ({ status: 'Unknown', reason, message });

/** Nobody has been told of a pair whose spec was never accepted. */
const UNTOLD = 'The spec is not accepted, so no agent is told of this pair: see the condition Accepted.';

const isUntold = ({ acceptance, reports }: ConditionsInput): boolean =>
  !acceptance.accepted && reports.length === 0;

const masterElected = (input: ConditionsInput): Fact => {
  const { elected, reports, pair, ec2 } = input;
  if (isUntold(input)) return no('NotAccepted', UNTOLD);
  if (elected) return yes('Elected', `${elected.node} is master in term ${elected.term}.`);
  const isFirst = (pair.status?.term ?? 0) === 0;
  // Without this, a person would look for a fault of the agents, which have been told nothing yet.
  const isUnread = ec2.view === undefined && (ec2.failure || unreadForMs(input) > STALE_READING_MS);
  if (isFirst && reports.length === 0 && isUnread) {
    const why = ec2.failure?.message ?? 'no reading of it has ended';
    return no(
      'EC2ReadFailed',
      `The first election waits until EC2 can be read, because whoever holds the addresses should win it: ${why}. It is tried again.`,
    );
  }
  if (isFirst) return no('WaitingForElection', 'No agent has reported Master yet: are both agents running?');
  const late = mastersOf(reports)[0];
  const why = late
    ? `${late.node} reports Master in term ${late.term}, which is out of date`
    : 'No agent reports Master';
  const { holder } = pair.status ?? {};
  const where = holder === undefined ? '' : `: EC2 delivers them to ${holder}`;
  return no('NoMaster', `${why}; the addresses stay where they are${where}.${faultsOf(reports)}`);
};

/** Why nobody claims, in the words of those who must not. */
const faultsOf = (reports: readonly Report[]): string =>
  reports
    .filter(({ state }) => state === 'Fault')
    .map((report) => ` ${report.node} is in Fault. ${troubleOf(report)}`)
    .join('');

/** A Backup that lives hears the adverts of a silent agent: its node serves all the same. */
const heardBy = (input: ConditionsInput, node: string): string => {
  const witness = input.reports.find((report) => report.node !== node && report.state === 'Backup');
  if (!witness || input.elected?.node !== node || !isFresh(input.life[witness.node], input.nowMs)) return '';
  const isHeard = witness.conditions?.some(({ type, status }) => type === 'PeerHeard' && status === 'True');
  return isHeard
    ? ` ${witness.node} still hears its adverts: it serves on, and only its path to the API server is broken.`
    : '';
};

const silentText = (input: ConditionsInput, silent: readonly string[]): string => {
  const told = silent.map((name) => `${name} ${longSilenceOf(input, 'AgentsReady', name)}`);
  const heard = silent.map((name) => heardBy(input, name)).join('');
  return `No sign of life from the agent on ${told.join(' and ')}: check the node and its path to the API server.${heard}`;
};

const agentsReady = (input: ConditionsInput): Fact => {
  if (input.conflict !== undefined) return no('FieldConflict', input.conflict);
  if (isUntold(input)) return no('NotAccepted', UNTOLD);
  const { reports, life, nowMs } = input;
  const nodes = input.nodes.map(({ name }) => name);
  const missing = nodes.filter((name) => !reports.some(({ node }) => node === name));
  if (nodes.length < 2 || missing.length > 0) {
    return no(
      'AgentMissing',
      `No report from ${missing.join(' and ') || 'a node'}: is hapair-agent running there?`,
    );
  }
  if (nodes.some((name) => isUnobserved(input, name))) {
    return input.stored('AgentsReady') ?? unknown('Unobserved', 'Waiting for a sign of life of each agent.');
  }
  const silent = nodes.filter((name) => !isFresh(life[name], nowMs));
  return silent.length === 0
    ? yes('AgentsReporting', 'Both agents report.')
    : no('AgentSilent', silentText(input, silent));
};

/** What a pin asks of its node and does not get; the addresses stay there all the same, for that is what a pin means. */
const pinFault = (input: ConditionsInput): Fact | undefined => {
  const { pin, elected, reports, life, nowMs } = input;
  if (pin === undefined) return undefined;
  const report = reports.find(({ node }) => node === pin);
  if (!isUnobserved(input, pin) && !isFresh(life[pin], nowMs)) {
    return no(
      'PinnedNodeDead',
      `No sign of life from ${pin} ${longSilenceOf(input, 'Ready', pin)}, and spec.pinnedNode keeps the addresses there: bring it back, or remove or change the pin.`,
    );
  }
  if (report?.state === 'Master') return undefined;
  const rest = elected && elected.node !== pin ? ` ${elected.node} still reports Master.` : '';
  return no('NoMaster', `${pin} is pinned and reports ${report?.state ?? 'nothing'}, not Master yet.${rest}`);
};

const ready = (input: ConditionsInput, elected: Fact, agents: Fact): Fact => {
  const { acceptance, convergence, life, nowMs, pin } = input;
  if (!acceptance.accepted && (input.nodes.length === 0 || isBarred(acceptance)))
    return no('NotAccepted', acceptance.message);
  const fault = pinFault(input);
  if (fault) return fault;
  const master = pin === undefined ? input.elected : { node: pin };
  if (!master) return no(elected.reason, elected.message);
  if (convergence.status === 'Unknown') return unknown(convergence.reason, convergence.message);
  if (convergence.status === 'False')
    return no(SAID_AS_IS.has(convergence.reason) ? convergence.reason : 'NotConverged', convergence.message);
  if (!isUnobserved(input, master.node) && !isFresh(life[master.node], nowMs))
    return unknown('AgentSilent', agents.message);
  const stored = input.stored('Ready');
  if (!input.isConfirmed && stored?.status !== 'True') {
    return stored ?? unknown('WaitingForRead', 'EC2 has not been read yet.');
  }
  return yes('Serving', `${master.node} serves all addresses.`);
};

/** Causes of not being converged that are their own reason for not being ready. */
const SAID_AS_IS: ReadonlySet<Reason> = new Set([
  'Moving',
  'HeldDown',
  'WaitingForBudget',
  'WaitingForAgent',
  'AddressHeldElsewhere',
  'NotPermitted',
]);

const preferredNodeActive = ({ pair, elected, failback }: ConditionsInput): Fact => {
  const { preferredNode, pinnedNode } = pair.spec;
  if (preferredNode === undefined) return unknown('NoPreference', 'spec.preferredNode is not set.');
  if (!elected) return unknown('NoMaster', 'There is no master.');
  if (elected.node === preferredNode) return yes('PreferredNodeIsMaster', `${preferredNode} is master.`);
  const { pendingSince, yieldTerm = 0, reason } = failback ?? {};
  const way = (): string => {
    if (pinnedNode !== undefined)
      return `spec.pinnedNode is ${pinnedNode}: remove it before you order a switch to ${preferredNode}`;
    if (pendingSince === undefined) return `set spec.failback.requestedAt to switch to ${preferredNode}`;
    return yieldTerm > 0
      ? `the order of ${pendingSince} to switch to ${preferredNode} is being carried out`
      : `the order of ${pendingSince} to switch to ${preferredNode} waits (${reason})`;
  };
  return no('PreferredNodeIsStandby', `${elected.node} is master; ${way()}.`);
};

const preflightInput = ({
  nowMs,
  nodes,
  addresses,
  reports,
  ec2,
  held,
}: ConditionsInput): PreflightInput => ({
  nowMs,
  held,
  nodes,
  addresses,
  reports,
  view: ec2.view,
  facts: ec2.facts,
});

/** A superseded Master counts only once it has lived a full sign of life past the newer report. */
const splitBrain = (input: ConditionsInput): Fact => {
  const { reports, elected, authority, life, nowMs } = input;
  const rival = mastersOf(reports).find(
    ({ node }) =>
      elected !== undefined &&
      authority !== undefined &&
      node !== elected.node &&
      isFresh(life[node], nowMs) &&
      (life[node]?.previousMs ?? Number.NEGATIVE_INFINITY) > authority.termReadAtMs,
  );
  if (!rival) return no('OneMaster', 'At most one live agent reports Master.');
  const master = reports.find(({ node }) => node === elected?.node);
  const keeper = input.convergence.reason === 'HeldDown' ? rival : elected;
  const hints = [
    isLetThrough(preflightInput(input)) &&
      'The security groups let it through: look at network ACLs, routes and the firewalls of the nodes.',
    rival.secretResourceVersion !== master?.secretResourceVersion &&
      'The two have read their password from different versions of the Secret: a key that is edited in place parts them.',
    `The addresses stay with ${keeper?.node}.`,
  ].filter((hint) => hint !== false);
  return yes(
    'TwoMasters',
    `${rival.node} still reports Master in term ${rival.term} besides ${elected?.node}: check IP protocol 112 between the nodes in both directions. ${hints.join(' ')}`,
  );
};

const paused = ({ pair, withheld }: ConditionsInput): Fact =>
  pair.spec.paused
    ? yes('PausedBySpec', `No EC2 write is made. ${withheld ?? 'None would be.'}`)
    : no('NotPaused', 'The operator writes to EC2.');

const pinned = ({ pair, pin }: ConditionsInput): Fact => {
  const { pinnedNode, paused } = pair.spec;
  if (pin !== undefined)
    return yes('PinnedBySpec', `The addresses go to ${pin} and stay there, whatever the election says.`);
  if (pinnedNode === undefined) return no('NotPinned', 'No node is pinned.');
  const why = paused
    ? 'spec.paused holds it back'
    : 'that node does not take part yet, or the spec is not accepted';
  return no('PinWithheld', `spec.pinnedNode names ${pinnedNode}, and ${why}.`);
};

/** A process that has just started asks again what was known before it; what was found then stands meanwhile. */
const preflightPassed = (input: ConditionsInput): Fact => {
  const { ec2, nowMs, firstSeenMs, nodes } = input;
  const stored = input.stored('PreflightPassed');
  const refusals = refusalsOf(input, stored?.message);
  if (nodes.length > 0 && unreadForMs(input) > STALE_READING_MS) {
    const why = ec2.failure?.message ?? 'no reading of it has ended';
    const text = `EC2 cannot be read, and what was found before may hold no longer: ${why}.`;
    return unchecked('EC2ReadFailed', text, refusals);
  }
  const fact = preflight({ ...preflightInput(input), refusals });
  const isAsking = fact.status === 'Unknown' && nowMs - firstSeenMs < ASKING_MS;
  const wasKnown = stored?.status !== 'Unknown' || ec2.view === undefined;
  return isAsking && stored && wasKnown && !tellsRefusal(stored.message) ? stored : fact;
};

const storedIn =
  ({ status }: HAPair) =>
  (type: HAPairConditionType): Fact | undefined => {
    const stored = conditionOf(status, type);
    return stored && { status: stored.status, reason: stored.reason as Reason, message: stored.message };
  };

/** All conditions, those that are not good first and else in the table's order, set from the first visit on. */
export const conditionsOf = (facing: Omit<ConditionsInput, 'stored'>): Condition[] => {
  const input = { ...facing, stored: storedIn(facing.pair) };
  const { acceptance } = input;
  const split = splitBrain(input);
  const elected = masterElected(input);
  const agents = agentsReady(input);
  const facts: Record<HAPairConditionType, Fact> = {
    Ready: ready(input, elected, agents),
    Redundant: redundant(input, split),
    Accepted: {
      status: acceptance.accepted ? 'True' : 'False',
      reason: acceptance.reason,
      message: acceptance.message,
    },
    MasterElected: elected,
    AgentsReady: agents,
    AddressesConverged: input.convergence,
    PreflightPassed: preflightPassed(input),
    PreferredNodeActive: preferredNodeActive(input),
    SplitBrain: split,
    Paused: paused(input),
    Pinned: pinned(input),
  };
  const conditions = HAPAIR_CONDITIONS.map((type): Condition => {
    const fact = facts[type];
    const before = conditionOf(input.pair.status, type);
    const lastTransitionTime =
      before?.status === fact.status ? before.lastTransitionTime : formatTime(input.wallMs);
    const { generation } = input.pair.metadata;
    return {
      type,
      ...fact,
      message: clip(fact.message, LONGEST),
      lastTransitionTime,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  });
  return badFirst(conditions);
};
