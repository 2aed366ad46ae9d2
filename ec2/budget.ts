/**
 * The call budget of the account: no call is sent that EC2 would refuse for its rate, and what there is goes to failovers
 * first. The estimate of a bucket is bucket.ts, the order of the waiting line.ts; this file gives them time and callers.
 *
 * A pair does not wait inside a call: it asks, and if it is not its turn, it is told when it is. Then it plans afresh, as
 * the world may have changed, and asks again; the token is held for it meanwhile.
 */

import type { EC2Action } from './actions.ts';
import {
  type Bucket,
  filled,
  fullBucket,
  hasToken,
  ownSize,
  refused,
  served,
  without,
  withReturned,
} from './bucket.ts';
import {
  emptyLine,
  enter,
  floorOf,
  isWaitedFor,
  type Line,
  leave,
  msUntilTurn,
  serve,
  turnIn,
  waitingIn,
} from './line.ts';
import type { CallPurpose, EC2Result } from './types.ts';

/** What the budget needs of time. */
type BudgetClock = {
  /** Monotonic milliseconds. */
  now(): number;
  setTimer(delayMs: number, fire: () => void): () => void;
};

type BudgetOptions = {
  clock: BudgetClock;
  /** A token is held for this key; it should ask again within `HELD_MS`. Must not throw. */
  onTurn: (key: string) => void;
  /** Keys of one share take turns with those of the others, whatever their number. Default: all are of one. */
  shareOf?: ((key: string) => string) | undefined;
};

/** One bucket, for metrics. */
type BudgetLevel = {
  region: string;
  action: EC2Action;
  /** Left for us now, held ones not among them. */
  tokens: number;
  /** The present estimate. */
  refillPerSecond: number;
  /** Requests in line. */
  waiting: number;
};

export type Budget = {
  /**
   * Takes a token for one call of `key`, which the caller then makes at once. False: `key` waits in line, once, and
   * `onTurn` tells when to ask again. A key waits for one action at a time; asking for another one gives up the first.
   */
  admit(key: string, region: string, action: EC2Action, purpose: CallPurpose): boolean;
  /** The key wants no call any more: its place or its token goes to the next. */
  withdraw(key: string): void;
  /** EC2 answered a call; a refusal for its rate corrects the estimate. */
  answered(region: string, action: EC2Action, result: EC2Result): void;
  /** Resolves with a token taken; rejects with the signal's reason when it aborts first. */
  take(region: string, action: EC2Action, purpose: CallPurpose, signal: AbortSignal): Promise<void>;
  /** Every bucket that was ever used. */
  levels(): BudgetLevel[];
};

/**
 * A token that its key does not take goes to the next after this long, and the key stands in no line until it asks again: longer
 * than a busy operator takes to come to it. A key that wants no call any more gives the token back at once.
 */
export const HELD_MS = 5_000;

type Account = {
  region: string;
  action: EC2Action;
  bucket: Bucket;
  line: Line;
  cancel?: (() => void) | undefined;
};
type Held = { account: Account; cancel: () => void };

class AccountBudget implements Budget {
  readonly #clock: BudgetClock;
  readonly #onTurn: BudgetOptions['onTurn'];
  readonly #shareOf: (key: string) => string;
  readonly #accounts = new Map<string, Account>();
  /** Where each key waits; one place per key. */
  readonly #places = new Map<string, { account: Account; share: string }>();
  readonly #held = new Map<string, Held>();
  /** Waiting callers of `take`, by a key of their own. */
  readonly #takers = new Map<string, () => void>();
  #takersSoFar = 0;

  constructor({ clock, onTurn, shareOf = () => '' }: BudgetOptions) {
    this.#clock = clock;
    this.#onTurn = onTurn;
    this.#shareOf = shareOf;
  }

  #accountOf(region: string, action: EC2Action): Account {
    const name = `${region} ${action}`;
    let account = this.#accounts.get(name);
    if (!account) {
      account = { region, action, bucket: fullBucket(ownSize(action), this.#clock.now()), line: emptyLine() };
      this.#accounts.set(name, account);
    }
    account.bucket = filled(account.bucket, this.#clock.now());
    return account;
  }

  #giveUpPlace(key: string): void {
    const place = this.#places.get(key);
    if (!place) return;
    this.#places.delete(key);
    leave(place.account.line, { key, share: place.share });
  }

  #giveBack(key: string): void {
    const token = this.#held.get(key);
    if (!token) return;
    this.#held.delete(key);
    token.cancel();
    token.account.bucket = withReturned(filled(token.account.bucket, this.#clock.now()));
    this.#serve(token.account);
  }

  #hold(key: string, account: Account): void {
    const take = this.#takers.get(key);
    if (take) {
      this.#takers.delete(key);
      take();
      return;
    }
    this.#held.set(key, { account, cancel: this.#clock.setTimer(HELD_MS, () => this.#giveBack(key)) });
    this.#onTurn(key);
  }

  /** Hands out what there is, in order, and wakes up when there may be more. */
  #serve(account: Account): void {
    const { line, action } = account;
    for (;;) {
      account.bucket = filled(account.bucket, this.#clock.now());
      const next = turnIn(line, action, account.bucket, this.#clock.now());
      if (!next) break;
      serve(line, next);
      this.#places.delete(next.key);
      account.bucket = without(account.bucket);
      this.#hold(next.key, account);
    }
    account.cancel?.();
    const delayMs = msUntilTurn(line, action, account.bucket, this.#clock.now());
    account.cancel =
      delayMs === undefined ? undefined : this.#clock.setTimer(delayMs, () => this.#serve(account));
  }

  /** @returns false: the line is full */
  #wait(key: string, account: Account, purpose: CallPurpose): boolean {
    if (this.#places.get(key)?.account !== account) this.#giveUpPlace(key);
    const share = this.#takers.has(key) ? '' : this.#shareOf(key);
    if (!enter(account.line, { key, share, purpose }, this.#clock.now())) return false;
    this.#places.set(key, { account, share });
    this.#serve(account);
    return true;
  }

  /** Nobody is passed by: whoever waits with the same or a more urgent purpose comes first. */
  #isFree(account: Account, purpose: CallPurpose): boolean {
    const { bucket, line, action } = account;
    const next = turnIn(line, action, bucket, this.#clock.now());
    if (next || !hasToken(bucket, floorOf(action, purpose, bucket))) return false;
    return !isWaitedFor(line, purpose);
  }

  admit(key: string, region: string, action: EC2Action, purpose: CallPurpose): boolean {
    const account = this.#accountOf(region, action);
    const token = this.#held.get(key);
    if (token?.account === account) {
      this.#held.delete(key);
      token.cancel();
      return true;
    }
    this.#giveBack(key);
    if (this.#isFree(account, purpose)) {
      this.#giveUpPlace(key);
      account.bucket = without(account.bucket);
      return true;
    }
    this.#wait(key, account, purpose);
    // It may have been served at once: then it holds a token, and was told.
    return false;
  }

  withdraw(key: string): void {
    this.#giveUpPlace(key);
    this.#giveBack(key);
  }

  answered(region: string, action: EC2Action, result: EC2Result): void {
    const account = this.#accountOf(region, action);
    if (!result.ok && result.class === 'Throttled')
      account.bucket = refused(account.bucket, this.#clock.now());
    else if (result.ok) account.bucket = served(account.bucket, this.#clock.now());
    this.#serve(account);
  }

  take(region: string, action: EC2Action, purpose: CallPurpose, signal: AbortSignal): Promise<void> {
    const account = this.#accountOf(region, action);
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#isFree(account, purpose)) {
      account.bucket = without(account.bucket);
      return Promise.resolve();
    }
    const key = `take ${++this.#takersSoFar}`;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#takers.delete(key);
        this.#giveUpPlace(key);
        reject(signal.reason);
      };
      this.#takers.set(key, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      signal.addEventListener('abort', abort, { once: true });
      if (this.#wait(key, account, purpose)) return;
      this.#takers.delete(key);
      signal.removeEventListener('abort', abort);
      reject(new Error(`too many requests wait for their turn to call ${action} in ${region}`));
    });
  }

  levels(): BudgetLevel[] {
    return [...this.#accounts.values()].map(({ region, action, bucket, line }) => {
      const { tokens, refillPerSecond } = filled(bucket, this.#clock.now());
      return { region, action, tokens, refillPerSecond, waiting: waitingIn(line) };
    });
  }
}

export const createBudget = (options: BudgetOptions): Budget => new AccountBudget(options);
