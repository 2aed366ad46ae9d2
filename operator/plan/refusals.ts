/**
 * What EC2 has refused to the operator's role, until a call of the same action works. Nothing else shows it while nothing is to be
 * moved, and the next failover would be refused in the same way. The condition PreflightPassed keeps it across restarts.
 */
import type { HAPair } from '../../crds/types.ts';
import type { EC2Action, EC2Call } from '../../ec2/actions.ts';
import type { EC2Result } from '../../ec2/types.ts';
import { formatTime } from '../../runtime/time.ts';
import type { CallsMemory, Verdicts } from './types.ts';

/** An action that was refused, and when that was told first. */
export type Refusal = { action: EC2Action; since: string };

/** Learns from an answer whether the role may call this action; most failures say nothing about that. */
export const withVerdict = (verdicts: Verdicts, { action }: EC2Call, result: EC2Result): Verdicts => {
  if (result.ok) return { ...verdicts, [action]: 'Permitted' };
  return result.class === 'Unauthorized' ? { ...verdicts, [action]: 'Refused' } : verdicts;
};

/** The line of a check that fails; `refusalsOf` reads it back. */
export const REFUSED = {
  what: ({ action }: Refusal): string => `permission for ${action}`,
  found: ({ since }: Refusal): string => `EC2 has refused it since ${since}`,
  todo: ({ action }: Refusal): string =>
    `allow ec2:${action} in the policy of the operator's role (iam-policy.json); this line goes once such a call works, in a failover or in a switch that you order`,
};

const TOLD = /^FAIL {2}permission for (\w+): EC2 has refused it since (\S+Z);/gm;

/** The message tells of a refusal. */
export const tellsRefusal = (message: string): boolean => message.search(TOLD) >= 0;

/** The actions that the next calls for this pair may need. */
const neededBy = ({ spec: { addresses, deletionPolicy } }: HAPair): EC2Action[] => {
  const releases = deletionPolicy === 'Unassign';
  const needed: [EC2Action, boolean][] = [
    ['AssignPrivateIpAddresses', addresses.some(({ vip }) => vip !== undefined)],
    ['AssociateAddress', addresses.some(({ eipAllocationID }) => eipAllocationID !== undefined)],
    ['UnassignPrivateIpAddresses', releases && addresses.some(({ vip }) => vip !== undefined)],
    [
      'DisassociateAddress',
      releases && addresses.some(({ eipAllocationID }) => eipAllocationID !== undefined),
    ],
  ];
  return needed.flatMap(([action, isNeeded]) => (isNeeded ? [action] : []));
};

/** What the refusals of a pair depend on. */
type RefusalsInput = {
  pair: HAPair;
  wallMs: number;
  calls: Pick<CallsMemory, 'verdicts'>;
};

/**
 * What is refused, as far as this pair needs it: by the calls of this process, and where it made none, by what was told before.
 * @param told the stored message of PreflightPassed
 */
export const refusalsOf = ({ pair, wallMs, calls }: RefusalsInput, told: string | undefined): Refusal[] => {
  const since = new Map(Array.from((told ?? '').matchAll(TOLD), ([, action, time]) => [action, time]));
  return neededBy(pair).flatMap((action) => {
    const verdict = calls.verdicts[action] ?? (since.has(action) ? 'Refused' : 'Permitted');
    return verdict === 'Refused' ? [{ action, since: since.get(action) ?? formatTime(wallMs) }] : [];
  });
};
