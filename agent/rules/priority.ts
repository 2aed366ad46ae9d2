/** The priority an agent advertises (DESIGN.md, "Who is master"; traces T9, T10). */

/** Without API contact for so long, an agent no longer trusts the priority in its spec. */
export const CONTACT_MS = 40_000;

/** What an agent advertises when its spec may be out of date: that of a node that EC2 does not deliver to. */
export const CAUTIOUS_PRIORITY = 100;

/** How this process stands with the API server. */
export type Contact = {
  /** Monotonic time of the last answer; null: none since the process started. */
  lastContactMs: number | null;
  /** The spec was read since the process started, and again after every silence of `CONTACT_MS`. */
  specRead: boolean;
};

/** A process that has read no spec yet, or that was cut off, may hold a priority that has moved to the peer. */
export const isCutOff = ({ lastContactMs }: Contact, nowMs: number): boolean =>
  lastContactMs === null || nowMs - lastContactMs >= CONTACT_MS;

/**
 * `spec.priority`, or 100 after 40 s without API contact until the spec has been read again. A spec that came from disk
 * counts as not read: how long ago it was true is unknown. Never more than the spec says.
 */
export const advertisedPriority = (specPriority: number, contact: Contact, nowMs: number): number =>
  contact.specRead && !isCutOff(contact, nowMs) ? specPriority : Math.min(specPriority, CAUTIOUS_PRIORITY);
