/** Which reading of EC2 a pair waits for, besides what the delivery of its addresses asks for itself. */
import { itemsOf, rightness } from '../../delivery/items.ts';
import type { Item } from '../../delivery/movable.ts';
import type { Release } from '../../delivery/release.ts';
import { canonical } from '../../runtime/json.ts';
import { paceReading } from './pace.ts';
import type { Situation } from './situation.ts';
import type { EC2Reading, PairMemory, ReadingMemory } from './types.ts';

/** A reading of EC2 older than this proves nothing about the present. */
export const STALE_READING_MS = 120_000;

/** How long EC2 has told nothing, in milliseconds: since the newest reading, or since this process first saw the pair. */
export const unreadForMs = ({
  ec2,
  nowMs,
  firstSeenMs,
}: {
  ec2: EC2Reading;
  nowMs: number;
  firstSeenMs: number;
}): number => nowMs - Math.max(ec2.view?.readAtMs ?? Number.NEGATIVE_INFINITY, firstSeenMs);

/** Nothing was asked of a reading yet. */
export const NO_QUESTION: ReadingMemory = { question: undefined };

/**
 * Remembers what a reading should answer besides where the master's addresses are; a change of it asks for one more reading, in its
 * time: an agent may change its report as often as it likes.
 */
export const withQuestion = ({
  input: { ec2, nowMs },
  wish,
  reports,
  memory,
}: Situation): Pick<PairMemory, 'reading' | 'pace'> => {
  const { reading, pace } = memory;
  const { view } = ec2;
  const isUnread = (item: Item): boolean =>
    view === undefined ||
    item.movable.whereabouts(view, item) === undefined ||
    wish.nodes.some((node) => rightness(view, item, node) === 'Unknown');
  const unread = itemsOf(wish.addresses).filter(isUnread);
  const delivered = reports.map(({ node, vipsDelivered }) => [node, vipsDelivered]);
  const text = canonical([unread.map(({ key }) => key), delivered]);
  const { question } = reading;
  if (question?.text === text) return { reading, pace };
  // One that is still to come answers this one too.
  if (question !== undefined && question.sinceMs > nowMs)
    return { reading: { question: { ...question, text } }, pace };
  const { atMs: sinceMs, memory: paced } = paceReading(pace, nowMs);
  return { reading: { question: { text, sinceMs } }, pace: paced };
};

/** A reading that is wanted now; absent while a call is unanswered, for no reading could then be believed. */
export const wantedReading = (
  { input, convergence, memory, wish }: Situation,
  freeing: Release | undefined,
  calls: boolean,
): number | undefined => {
  if (memory.calls.unanswered || calls || wish.nodes.length === 0) return undefined;
  const asked = [memory.reading.question?.sinceMs, convergence?.readSinceMs, freeing?.readSinceMs].filter(
    (sinceMs): sinceMs is number => sinceMs !== undefined,
  );
  const due = asked.filter(
    (sinceMs) => sinceMs <= input.nowMs && (input.ec2.view?.readAtMs ?? Number.NEGATIVE_INFINITY) < sinceMs,
  );
  return due.length === 0 ? undefined : Math.max(...due);
};
