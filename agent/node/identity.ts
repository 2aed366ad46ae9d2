/** Tells two agents of one node name apart: the holder of this node's Lease. */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';

const ID_BYTES = 5;
const ID = /^[0-9a-f]{10}$/;

/**
 * `<node>_<id>`, with an id that is drawn once and kept in the state directory, so that an agent knows its own Lease again
 * after a restart. Without the disk it is a new one, and the agent waits until the old one's Lease has run out. (A machine
 * that is cloned together with its state directory cannot be told from its model: leave that directory out of images.)
 *
 * @param inForce the one that this process holds the Lease by, as the program before has handed it over; the disk may lack it
 */
export const holderIdentity = (directory: string, nodeName: string, log: Log, inForce?: string): string => {
  const path = join(directory, 'identity');
  const known = readID(path);
  const id = inForce?.slice(nodeName.length + 1) ?? known ?? randomBytes(ID_BYTES).toString('hex');
  if (id === known) return `${nodeName}_${id}`;
  try {
    writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600, flush: true });
    renameSync(`${path}.new`, path);
  } catch (error) {
    const err = messageOf(error);
    log.warn(
      { reason: 'IdentityNotStored', path, err },
      'the identity is not on disk; the next start waits for the Lease to run out',
    );
  }
  return `${nodeName}_${id}`;
};

const readID = (path: string): string | undefined => {
  try {
    const id = readFileSync(path, 'utf8').trim();
    return ID.test(id) ? id : undefined;
  } catch {
    return undefined;
  }
};
