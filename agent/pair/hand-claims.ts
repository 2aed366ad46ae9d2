/** Claims by hand (`hapair-agent claim`) on their way to the worker and back. */
import type { Clock } from '../../runtime/clock.ts';
import type { FromWorker, ToWorker } from '../worker/messages.ts';

/** The worker answers within an instant, or its loop hangs. */
const ANSWER_MS = 2_000;

export type HandClaims = {
  /** Resolves with why the worker refuses; null: it is Master. @throws Error when it does not answer in time */
  ask(pair: string): Promise<string | null>;
  /** The worker's answer. */
  answered(message: Extract<FromWorker, { type: 'claimByHand' }>): void;
};

export const createHandClaims = (
  send: (message: ToWorker) => void,
  clock: Pick<Clock, 'setTimer'>,
): HandClaims => {
  const asked = new Map<number, PromiseWithResolvers<string | null>>();
  let lastID = 0;
  return {
    async ask(pair) {
      const id = ++lastID;
      const answer = Promise.withResolvers<string | null>();
      asked.set(id, answer);
      const late = new Error(`the VRRP worker did not answer within ${ANSWER_MS} ms; its loop hangs`);
      const cancel = clock.setTimer(ANSWER_MS, () => answer.reject(late));
      send({ type: 'claimByHand', pair, id });
      try {
        return await answer.promise;
      } finally {
        cancel();
        asked.delete(id);
      }
    },
    answered: ({ id, refused }) => asked.get(id)?.resolve(refused),
  };
};
