/** What the tests of this folder share. For tests only. */
import type { Server } from 'node:net';

/** Where a server listens. @throws Error when it does not */
export const portOf = (server: Server): number => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on TCP');
  return address.port;
};
