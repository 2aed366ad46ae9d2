/**
 * EC2's API as far as hapair uses it: the one door through which every request leaves. Behind it is the SDK (sdk.ts), or EC2 in
 * virtual time; before it are the turns, deadlines and readings, which are the same for both.
 */
import type { EC2Action } from './actions.ts';
import type { InputOf, OutputOf } from './requests.ts';

/** What each action takes and answers, by the SDK's types. The answer of a mutating one is read back, not believed. */
export type EC2Requests = { [A in EC2Action]: { input: InputOf<A>; output: OutputOf<A> } };

/** What an action takes. */
export type EC2Input<A extends keyof EC2Requests> = EC2Requests[A]['input'];
/** What an action answers. */
export type EC2Output<A extends keyof EC2Requests> = EC2Requests[A]['output'];

/** Bounds of one request. */
export type RequestBounds = {
  /** Milliseconds until it is given up, opening a connection apart. */
  timeoutMs: number;
  /** Gives it up before. */
  signal: AbortSignal;
};

/** EC2, one request at a time. */
export type EC2API = {
  /**
   * Makes one request in one attempt, bounded as `bounds` say.
   * @throws Error with EC2's code as its name, as the SDK has it; with code `NotLeading` in place of a mutating request that must
   * not be sent (S4)
   */
  send<A extends keyof EC2Requests>(
    region: string,
    action: A,
    input: EC2Input<A>,
    bounds: RequestBounds,
  ): Promise<EC2Output<A>>;
  close(): void;
};

/** What the caller of EC2 gives to whoever connects it. */
export type EC2Connection = {
  /**
   * Asked as the last step before a mutating request leaves this process (S4); a connection that must be opened first may still take
   * some seconds. Default: always.
   */
  mayWrite?: () => boolean;
};
