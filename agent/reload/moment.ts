/** The moment at which an agent that is to be replaced writes down what its successor goes on from. */
import { type Clock, sleep } from '../../runtime/clock.ts';
import type { AgentHandover } from '../pair/handover.ts';
import { isTimely } from './record.ts';

/** How long a good moment is waited for; then any will do. */
const MOMENT_MS = 1_000;
const MOMENT_POLL_MS = 5;

export type MomentOptions = {
  clock: Pick<Clock, 'now' | 'setTimer'>;
  /** How many commands the worker has been given so far. */
  commands: () => number;
  /** What there is to hand over, as the worker answers now. */
  take: () => Promise<AgentHandover>;
};

/**
 * What is to be handed over, taken just after the Masters' adverts and while no command is under way: what the worker does by
 * one that it got after it had answered, such as to resign, the record would not know.
 */
export const takeInGoodMoment = async ({ clock, commands, take }: MomentOptions): Promise<AgentHandover> => {
  for (const deadlineMs = clock.now() + MOMENT_MS; ; await sleep(clock, MOMENT_POLL_MS)) {
    const before = commands();
    const handover = await take();
    const isGood = commands() === before && isTimely(handover.pairs, clock.now());
    if (isGood || clock.now() >= deadlineMs) return handover;
  }
};
