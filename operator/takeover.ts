/** What a new leader finds, and which of it cannot wait. */
import type { HAPair } from '../crds/types.ts';

/**
 * A failover that nobody led through: an election that the status does not know of, or addresses that had not arrived. A pair
 * that was never elected is in no hurry.
 * @param terms as the agents of the pair report them
 */
export const isFailoverOpen = ({ status }: Pick<HAPair, 'status'>, terms: readonly number[]): boolean => {
  const { term = 0, conditions = [] } = status ?? {};
  if (term === 0) return false;
  const hasArrived = conditions.some((each) => each.type === 'AddressesConverged' && each.status === 'True');
  return !hasArrived || terms.some((reported) => reported > term);
};
