/**
 * The agent's files: one per pair, in the state directory, for the owner's eyes only (mode 0600), because a VRRPv2 password
 * must outlive an outage of the API and a restart. The first line is the checksum of the second.
 */

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogReason } from '../../crds/conditions.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import { emptyRecord, type PairDisk, type PairRecord } from '../ports.ts';
import { openStateDirectory } from './state-directory.ts';

const SUFFIX = '.pair';
const MODE = 0o600;
/** So many unusable files of one pair are kept for a look; the last place is written over. */
const ASIDES = 9;

/** A namespace has no dot in its name, so no two pairs share a file. */
const fileName = ({ namespace, pairName }: PairRecord): string => `${namespace}.${pairName}${SUFFIX}`;

const checksumOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

const encode = (record: PairRecord): string => {
  const text = JSON.stringify(record);
  return `${checksumOf(text)}\n${text}\n`;
};

const decode = (content: string): PairRecord => {
  const [checksum, text = ''] = content.split('\n');
  if (checksum !== checksumOf(text)) throw new Error('its checksum does not match its content');
  const record: Partial<PairRecord> = JSON.parse(text);
  if (record.namespace === undefined || record.pairName === undefined) throw new Error('it names no pair');
  // A field that an older version did not write has the value of a pair never seen before.
  return { ...emptyRecord(record.namespace, record.pairName), ...record };
};

/** A file of the state directory: what it holds, or what is wrong with it. */
export type StateFile = { path: string } & ({ record: PairRecord } | { err: string });

/** All files of pairs in `directory`; changes nothing. @throws Error when the directory cannot be read */
export const readRecords = (directory: string): StateFile[] => recordsOf(directory, readdirSync(directory));

const recordsOf = (directory: string, names: readonly string[]): StateFile[] =>
  names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => {
      const path = join(directory, name);
      try {
        return { path, record: decode(readFileSync(path, 'utf8')) };
      } catch (error) {
        return { path, err: messageOf(error) };
      }
    });

/**
 * All records in `directory`, which is created when missing. A file that cannot be read is set aside and said, never an
 * obstacle: no safety depends on it.
 * @throws Error when the directory cannot be used at all; it says what to do
 */
export const loadRecords = (directory: string, log: Log): PairRecord[] =>
  recordsOf(directory, openStateDirectory(directory, log)).flatMap((file) => {
    if ('record' in file) {
      keepPrivate(file.path, log);
      return [file.record];
    }
    setAside(file.path, file.err, log);
    return [];
  });

const setAside = (path: string, err: string, log: Log): void => {
  const places = Array.from(
    { length: ASIDES },
    (_, index) => `${path}.corrupt${index === 0 ? '' : index + 1}`,
  );
  const aside = places.find((place) => !existsSync(place)) ?? places[ASIDES - 1] ?? '';
  const reason = 'StateFileUnreadable' satisfies LogReason;
  try {
    renameSync(path, aside);
    log.error(
      { reason, path, aside, err },
      'state file set aside; the pair starts from the API server alone',
    );
  } catch (error) {
    log.error(
      { reason, path, err, setAside: messageOf(error) },
      'state file is unusable and could not be set aside; the pair starts from the API server alone',
    );
  }
};

/** A backup that was restored, or a careless hand, may have opened it to others. What cannot be mended is said, no obstacle. */
const keepPrivate = (path: string, log: Log): void => {
  const reason = 'StateFileExposed' satisfies LogReason;
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & ~MODE) === 0) return;
    chmodSync(path, MODE);
    log.warn({ reason, path, mode: mode.toString(8) }, 'state file was open to others; closed');
  } catch (error) {
    log.error(
      { reason, path, err: messageOf(error) },
      'state file is open to others and could not be closed',
    );
  }
};

/**
 * The file of one pair. Each write is atomic: a temporary file takes the old one's place. Saves go one after
 * another; while one runs, later ones join into a single next one that writes the newest record.
 */
export const openDisk = (directory: string, first: PairRecord): PairDisk => {
  const path = join(directory, fileName(first));
  let newest = encode(first);
  let next: Promise<void> | undefined;
  let last: Promise<void> = Promise.resolve();

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
  const save = (record: PairRecord): Promise<void> => {
    newest = encode(record);
    next ??= enqueue(() => {
      next = undefined;
      return replaceFile(directory, path, newest, true);
    });
    return next;
  };
  return {
    save,
    note(record) {
      newest = encode(record);
      const noted = enqueue(() => replaceFile(directory, path, newest, false));
      // Whoever asked hears of trouble from the note itself; the next save will try again.
      save(record).catch(() => {});
      return noted;
    },
    remove: () => enqueue(() => rm(path, { force: true })),
  };
};

const replaceFile = async (
  directory: string,
  path: string,
  content: string,
  flush: boolean,
): Promise<void> => {
  const temporary = `${path}.new`;
  try {
    const file = await open(temporary, 'w', MODE);
    try {
      // One that a crash has left keeps the mode it had.
      await file.chmod(MODE);
      await file.writeFile(content);
      if (flush) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    if (!flush) return;
    const folder = await open(directory, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw new Error(
      `cannot write ${path}: ${messageOf(error)}; check the state directory's space and permissions`,
      {
        cause: error,
      },
    );
  }
};
