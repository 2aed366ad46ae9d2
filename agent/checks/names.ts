/** Looks up host names. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** The first address of a host. @throws Error when the name is not known, or the resolver does not answer. */
export type Resolve = (host: string) => Promise<string>;

/**
 * A lookup cannot be cut short, and a resolver that is away holds it for many seconds: whoever asks for the same name meanwhile
 * waits for the same answer, so that there are never more of them than names.
 */
export const createResolver = (find: Resolve = async (host) => (await lookup(host)).address): Resolve => {
  const pending = new Map<string, Promise<string>>();
  return (host) => {
    if (isIP(host) !== 0) return Promise.resolve(host);
    const known = pending.get(host) ?? find(host).finally(() => pending.delete(host));
    pending.set(host, known);
    return known;
  };
};
