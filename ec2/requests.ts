/** What the requests of the SDK take and answer, by the name of the action. Types alone: nothing of the SDK is loaded. */
import type * as SDK from '@aws-sdk/client-ec2';

/** Not `InstanceType`, for which the compiler compares all of the SDK. */
type Made<Name> = Name extends keyof typeof SDK
  ? (typeof SDK)[Name] extends new (
      ...given: never
    ) => infer Command
    ? Command
    : never
  : never;

/** What an action takes. */
export type InputOf<A extends string> = Made<`${A}Command`> extends { input: infer Input } ? Input : never;

/** What an action answers. */
export type OutputOf<A extends string> =
  Made<`${A}Command`> extends {
    resolveMiddleware(...given: never): (...given: never) => Promise<{ output: infer Output }>;
  }
    ? Omit<Output, '$metadata'>
    : never;
