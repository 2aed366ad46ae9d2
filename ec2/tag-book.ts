/**
 * EIPs as the ENIs show them. An ENI shows each association with everything but the EIP's tags, which change seldom; those
 * are remembered from DescribeAddresses and read again by turns, a chunk with each reading, so that ten thousand EIPs cost
 * one call and not fifty.
 */
import type { ElasticIP, NetworkInterface } from './types.ts';

/** EIPs whose tags are read again with each reading: one call. */
const AGAIN = 200;

export type TagBook = {
  /** Remembers tags that were read; forgets an EIP that is gone. */
  learn(found: Readonly<Record<string, ElasticIP | null>>): void;
  /** Absent: not read yet. */
  of(allocationID: string): Record<string, string> | undefined;
  /** Those of `allocationIDs` that were read longest ago: the next to be read again. */
  oldest(allocationIDs: readonly string[]): readonly string[];
};

export const createTagBook = (): TagBook => {
  /** In the order of the last reading. */
  const known = new Map<string, Record<string, string>>();
  return {
    learn(found) {
      for (const [id, elasticIP] of Object.entries(found)) {
        known.delete(id);
        if (elasticIP) known.set(id, elasticIP.tags);
      }
    },
    of: (allocationID) => known.get(allocationID),
    oldest(allocationIDs) {
      const wanted = new Set(allocationIDs);
      const chosen: string[] = [];
      for (const id of known.keys()) {
        if (wanted.has(id)) chosen.push(id);
        else known.delete(id);
        if (chosen.length >= AGAIN) break;
      }
      return chosen;
    },
  };
};

/** The EIPs that these ENIs show, by allocation; those whose tags are not known are left out. */
export const elasticIPsOn = (
  networkInterfaces: readonly (NetworkInterface | null)[],
  tags: Pick<TagBook, 'of'>,
): Map<string, ElasticIP> => {
  const shown = new Map<string, ElasticIP>();
  for (const each of networkInterfaces) {
    for (const { privateIPAddress, association } of each?.privateIPAddresses ?? []) {
      const { allocationID, associationID, publicIP } = association ?? {};
      const known = allocationID === undefined ? undefined : tags.of(allocationID);
      if (!each || allocationID === undefined || publicIP === undefined || !known) continue;
      shown.set(allocationID, {
        allocationID,
        publicIP,
        ...(associationID !== undefined && { associationID }),
        networkInterfaceID: each.networkInterfaceID,
        privateIPAddress,
        tags: known,
      });
    }
  }
  return shown;
};
