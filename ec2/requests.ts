/** What the requests of the SDK take and answer, by the name of the action. Types alone: nothing of the SDK is loaded. */
import type * as SDK from '@aws-sdk/client-ec2';

type CommandOf<A extends string> = `${A}Command` extends keyof typeof SDK
  ? InstanceType<(typeof SDK)[`${A}Command`]>
  : never;

/** What an action takes. */
export type InputOf<A extends string> = CommandOf<A> extends { input: infer Input } ? Input : never;

/** What an action answers. */
export type OutputOf<A extends string> =
  CommandOf<A> extends {
    resolveMiddleware(...given: never): (...given: never) => Promise<{ output: infer Output }>;
  }
    ? Omit<Output, '$metadata'>
    : never;
