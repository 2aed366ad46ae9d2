/** Whose turn a call is in the account's call budget: a failover comes before whatever somebody asked for. */
import type { Reason } from '../../crds/conditions.ts';
import type { HAPairStatus } from '../../crds/types.ts';
import type { PlannedCall } from '../../delivery/types.ts';
import type { CallPurpose } from '../../ec2/types.ts';
import type { AuthorityMemory } from './types.ts';

/** The purpose of a call as the budget ranks it. @param status as it is wanted: its history begins with the present master */
export const turnOf = (
  { purpose, node }: Pick<PlannedCall, 'purpose' | 'node'>,
  { pin }: Pick<AuthorityMemory, 'pin'>,
  { history: [newest] = [] }: Pick<HAPairStatus, 'history'>,
): CallPurpose => {
  if (purpose !== 'Move') return purpose;
  if (pin) return pin.isRepeated ? 'Order' : 'Pin';
  const isFailover =
    newest?.to === node &&
    newest.reason === ('Failover' satisfies Reason) &&
    // Once it has arrived, what is still to be moved comes of an edit.
    newest.confirmMilliseconds === undefined;
  return isFailover ? 'Move' : 'Order';
};
