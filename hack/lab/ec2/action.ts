/** What an action of the EC2 API is: a row of the table in actions.ts. */
import type { Parameters } from './parameters.ts';
import type { State } from './state.ts';
import type { XMLMembers } from './xml.ts';

/** The state after a call, and its answer. */
export type Outcome = { state: State; answer: XMLMembers };

/** A token bucket: how much it holds and how much flows in per second (EC2 Developer Guide, "Request throttling"). */
export type BucketSize = { capacity: number; refillPerSecond: number };

/** An action of the API. */
export type Action = {
  mutating: boolean;
  /** Names of the parameters that it accepts; a list counts by its base name. */
  parameters: readonly string[];
  bucket: BucketSize;
  /** A Describe call without ids, filters and MaxResults drinks from this one, where EC2 has one. */
  unfilteredBucket?: BucketSize;
  /** @throws EC2Error as EC2 refuses it; the state is then as it was. */
  run: (state: State, parameters: Parameters) => Outcome;
};
