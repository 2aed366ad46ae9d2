/**
 * Addresses of ours whose pair is gone: deleted with `onDelete: Keep`, or vanished without an order. They stay on the
 * interface while EC2 delivers them here, as the VIP rule says for every state. Once EC2 does not, they would only keep this
 * node from reaching whoever has them now.
 */

import type { Key } from '../../kube/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import type { IMDSReading, InterfaceReading, PairAddresses, PairDisk, PairRecord } from '../ports.ts';
import { ARRIVAL_MS, isForeignForm } from '../rules/vip.ts';

/** What is done with them. */
export type LeftBehindOptions = {
  addresses: Pick<PairAddresses, 'remove'>;
  openDisk(record: PairRecord): Pick<PairDisk, 'save' | 'remove'>;
  /** A pair that runs has this address now, as a VIP or as one that it added: it alone decides on it. */
  isTaken(address: string): boolean;
  clock: Pick<Clock, 'now'>;
  log: Log;
};

type Entry = {
  record: PairRecord;
  /** Monotonic: since when every reading of IMDS has shown the ENI without the address. */
  absentSinceMs: Map<string, number>;
  /** A removal is under way. */
  busy: boolean;
};

export class LeftBehind {
  readonly #options: LeftBehindOptions;
  readonly #entries = new Map<Key, Entry>();
  #interfaces: InterfaceReading | null = null;

  constructor(options: LeftBehindOptions) {
    this.#options = options;
  }

  /** The record of a pair that is gone but for `added`. */
  keep(record: PairRecord): void {
    this.#entries.set(keyOf(record), { record, absentSinceMs: new Map(), busy: false });
  }

  /** What is known of a pair that has come back; undefined: nothing is left of it. */
  take(key: Key): PairRecord | undefined {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    return entry?.record;
  }

  /** A reading of the machine's interfaces; without one nothing is taken off. */
  interfaces(reading: InterfaceReading): void {
    this.#interfaces = reading;
  }

  /** A reading of IMDS; null, or one without the ENI: unknown, and no proof of anything. */
  imds(reading: IMDSReading | null): void {
    const nowMs = this.#options.clock.now();
    for (const [key, entry] of this.#entries) {
      const { verifiedNetworkInterfaceID, added } = entry.record;
      const delivered = reading?.networkInterfaces.find(
        ({ networkInterfaceID }) => networkInterfaceID === verifiedNetworkInterfaceID,
      )?.addresses;
      for (const address of added) {
        if (delivered === undefined || delivered === null || delivered.includes(address))
          entry.absentSinceMs.delete(address);
        else if (!entry.absentSinceMs.has(address)) entry.absentSinceMs.set(address, nowMs);
      }
      if (entry.busy) continue;
      // The next reading brings the next address, or the next try.
      const lost = added.find((address) => this.#isLost(entry.record, address));
      const [due] = [...entry.absentSinceMs].find(([, sinceMs]) => nowMs - sinceMs >= ARRIVAL_MS) ?? [];
      if (lost !== undefined) void this.#letGo(key, entry, lost, false);
      else if (due !== undefined && this.#interfaces !== null) void this.#letGo(key, entry, due, true);
    }
  }

  /** It is somebody else's now: a pair's, or of whoever has put it up in another form since. */
  #isLost({ interface: name }: PairRecord, address: string): boolean {
    if (this.#options.isTaken(address)) return true;
    const carrier = this.#interfaces?.interfaces.find((entry) => entry.name === name);
    const found = carrier?.addresses.filter((entry) => entry.address === address) ?? [];
    return found.length > 0 && found.every(isForeignForm);
  }

  /** @param isOurs it is taken off the interface; else it stays there */
  async #letGo(key: Key, entry: Entry, address: string, isOurs: boolean): Promise<void> {
    const { addresses, openDisk, log } = this.#options;
    const { record } = entry;
    const about = { pair: key, vip: address, interface: record.interface };
    entry.busy = true;
    try {
      if (isOurs && record.interface !== null) await addresses.remove(record.interface, address);
      entry.record = { ...record, added: record.added.filter((other) => other !== address) };
      entry.absentSinceMs.delete(address);
      if (isOurs) log.info({ ...about, reason: 'VIPRemoved' }, 'VIP of a former pair removed');
      else log.info({ ...about, reason: 'VIPLeft' }, 'VIP of a former pair is somebody else’s now: it stays');
      // The pair may have come back meanwhile: the file is its own then.
      if (this.#entries.get(key) !== entry) return;
      if (entry.record.added.length > 0) return await openDisk(entry.record).save(entry.record);
      this.#entries.delete(key);
      await openDisk(entry.record).remove();
    } catch (error) {
      log.warn(
        { pair: key, reason: 'StepFailed', vip: address, err: messageOf(error) },
        'VIP of a former pair not removed yet',
      );
    } finally {
      entry.busy = false;
    }
  }
}

const keyOf = ({ namespace, pairName }: PairRecord): Key => `${namespace}/${pairName}`;
