/** What is found of a pair: why something does not work, and the conditions before they are reported. */
import type { Reason } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/types.ts';

/** A cause with the sentence that says what is wrong and what to do. */
export type Problem = { reason: Reason; message: string };

/** A condition before it is compared with the one reported last. */
export type Finding = {
  type: string;
  status: Condition['status'];
  reason: Reason;
  message: string;
};
