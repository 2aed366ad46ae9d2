/**
 * The last door before a mutating request leaves this process (S4). Fetching credentials, signing and waiting for a turn
 * may take long, and leadership may end meanwhile; so the question is asked after all of them, by the SDK's innermost
 * middleware.
 */
import type { EC2Client } from '@aws-sdk/client-ec2';
import { isMutation } from './actions.ts';

/** Thrown in place of a request that must not be sent. */
export class NotLeadingError extends Error {
  readonly code = 'NotLeading';
  constructor() {
    super('This process no longer leads; the call was not sent.');
    this.name = 'NotLeading';
  }
}

/** Has `client` send mutating requests only while `mayWrite` says so. */
export const guard = (client: EC2Client, mayWrite: () => boolean): void => {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const isDryRun = 'DryRun' in args.input && args.input.DryRun === true;
      const action = context.commandName?.replace(/Command$/, '') ?? '';
      if (isMutation(action) && !isDryRun && !mayWrite()) throw new NotLeadingError();
      return next(args);
    },
    // `deserialize` comes after signing (`finalizeRequest`); low priority is nearest to the socket.
    { step: 'deserialize', priority: 'low', name: 'hapairGuard' },
  );
};
