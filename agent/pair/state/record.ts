/** Part of a pair's state: what is on disk of it, or on its way there. Written here alone. */
import type { PairRecord } from '../../ports.ts';
import type { Seen } from './seen.ts';

type Part = {
  /** What is on disk, or on its way there. */
  record: PairRecord;
  /** The record holds something that no save has been started for. */
  dirty: boolean;
};

export type RecordState = Seen<Part>;

export const initialRecord = (record: PairRecord): RecordState => ({ record, dirty: false });

/** Changes the record; the change rides with the next save, or the caller saves it. */
export const changeRecord = (state: Part, change: Partial<PairRecord>): void => {
  state.record = { ...state.record, ...change };
};

/** Changes the record, and asks for a save. */
export const noteInRecord = (state: Part, change: Partial<PairRecord>): void => {
  changeRecord(state, change);
  state.dirty = true;
};

/** Takes note of a term that somebody holds or saw. */
export const observeTerm = (state: Part, term: number): void => {
  if (term > state.record.highestTerm) noteInRecord(state, { highestTerm: term });
};

/** What the disk says is beyond every term that can have been held: it counts no more. */
export const refuseTerm = (state: Part, limit: number): void => noteInRecord(state, { highestTerm: limit });

/** A save of all that the record holds is started. */
export const beginSave = (state: Part): PairRecord => {
  state.dirty = false;
  return state.record;
};
