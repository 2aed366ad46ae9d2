/**
 * EIPs as the ENIs show them. An ENI shows each association with everything but the EIP's tags, which change seldom; those
 * are remembered from DescribeAddresses and read again by turns, a chunk now and then, so that ten thousand EIPs cost one
 * call and not fifty.
 */
import type { ElasticIP, NetworkInterface } from './types.ts';

/** EIPs whose tags are read again: one call, at most once in this time. */
const AGAIN = { most: 200, everyMs: 25_000 };
/** One that nobody has asked for so long is forgotten. */
const FORGOTTEN_MS = 600_000;

export type TagBook = {
  /** Remembers tags that were read; forgets an EIP that is gone. */
  learn(found: Readonly<Record<string, ElasticIP | null>>, nowMs: number): void;
  /** Absent: not read yet. */
  of(allocationID: string, nowMs: number): Record<string, string> | undefined;
  /** Those that were read longest ago, if it is time to read some again. */
  due(nowMs: number): readonly string[];
};

export const createTagBook = (): TagBook => {
  /** In the order of the last reading. */
  const known = new Map<string, { tags: Record<string, string>; askedAtMs: number }>();
  let againAtMs = Number.NEGATIVE_INFINITY;
  return {
    learn(found, nowMs) {
      for (const [id, elasticIP] of Object.entries(found)) {
        const askedAtMs = known.get(id)?.askedAtMs ?? nowMs;
        known.delete(id);
        if (elasticIP) known.set(id, { tags: elasticIP.tags, askedAtMs });
      }
    },
    of(allocationID, nowMs) {
      const found = known.get(allocationID);
      if (found) found.askedAtMs = nowMs;
      return found?.tags;
    },
    due(nowMs) {
      if (nowMs < againAtMs) return [];
      againAtMs = nowMs + AGAIN.everyMs;
      const chosen: string[] = [];
      for (const [id, { askedAtMs }] of known) {
        if (nowMs - askedAtMs > FORGOTTEN_MS) known.delete(id);
        else chosen.push(id);
        if (chosen.length >= AGAIN.most) break;
      }
      return chosen;
    },
  };
};

/** The EIPs that these ENIs show, by allocation; those whose tags are not known are left out. */
export const elasticIPsOn = (
  networkInterfaces: readonly (NetworkInterface | null)[],
  tagsOf: (allocationID: string) => Record<string, string> | undefined,
): Map<string, ElasticIP> => {
  const shown = new Map<string, ElasticIP>();
  for (const each of networkInterfaces) {
    for (const { privateIPAddress, association } of each?.privateIPAddresses ?? []) {
      const { allocationID, associationID, publicIP } = association ?? {};
      const known = allocationID === undefined ? undefined : tagsOf(allocationID);
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
