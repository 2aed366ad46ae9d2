/** The account's EC2 as the operator uses it: each request has its turn in the budget and is counted, and calls under way are known. */
import { isMutation } from '../ec2/actions.ts';
import type { EC2API } from '../ec2/api.ts';
import { type Budget, createBudget } from '../ec2/budget.ts';
import { createEC2, type EC2 } from '../ec2/client.ts';
import { reasonOf } from '../ec2/errors.ts';
import type { EC2Result } from '../ec2/types.ts';
import type { Key } from '../kube/types.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Metrics, RequestResult } from './metrics.ts';
import { createReachability, type Reachability } from './reachable.ts';

/** What an account needs besides itself. */
type AccountOptions = {
  api: EC2API;
  /** Where HAPairs without `spec.region` lie. */
  region: string;
  clock: Clock;
  /** Numbers in [0, 1). */
  random: () => number;
  metrics: Pick<Metrics, 'ec2Answered'>;
  /** A token is held for this pair. Must not throw. */
  onTurn: (key: Key) => void;
};

/** A DryRun is answered by the error that says it would have worked. */
const resultOf = (result: EC2Result): RequestResult =>
  result.ok || result.code === 'DryRunOperation' ? 'Success' : reasonOf(result.class);

/** Reads and calls EC2 within the account's call budget. */
export class Account implements EC2 {
  readonly budget: Budget;
  /** Whether any reading has succeeded. */
  readonly reachability: Reachability;
  readonly #ec2: EC2;
  #callsUnderWay = 0;

  constructor({ api, region, clock, random, metrics, onTurn }: AccountOptions) {
    this.budget = createBudget({ clock, onTurn, shareOf: (key) => key.slice(0, key.indexOf('/')) });
    this.#ec2 = createEC2({
      api,
      clock,
      budget: this.budget,
      onAnswer: (action, result, ms) => metrics.ec2Answered(action, resultOf(result), ms / 1000),
    });
    this.reachability = createReachability(this.#ec2, region, clock, random);
  }

  /** A call that moves addresses is under way or waits for its turn. */
  get isMoving(): boolean {
    const isWaitingForTurn = ({ action, waiting }: { action: string; waiting: number }): boolean =>
      waiting > 0 && isMutation(action);
    return this.#callsUnderWay > 0 || this.budget.levels().some(isWaitingForTurn);
  }

  async read(...request: Parameters<EC2['read']>): ReturnType<EC2['read']> {
    const result = await this.#ec2.read(...request);
    this.reachability.note(result);
    return result;
  }

  holders(...request: Parameters<EC2['holders']>): ReturnType<EC2['holders']> {
    return this.#ec2.holders(...request);
  }

  call(...request: Parameters<EC2['call']>): ReturnType<EC2['call']> {
    this.#callsUnderWay += 1;
    return this.#ec2.call(...request).finally(() => {
      this.#callsUnderWay -= 1;
    });
  }

  facts(...request: Parameters<EC2['facts']>): ReturnType<EC2['facts']> {
    return this.#ec2.facts(...request);
  }

  close(): void {
    this.#ec2.close();
  }
}
