/**
 * A server on an instance: answers probes on each of its addresses with the instance's name, from the address that was
 * probed. Usage: `responder.ts NAME ADDRESS…`. An address need not be on the interface yet (net.ipv4.ip_nonlocal_bind).
 */
import { createSocket } from 'node:dgram';

/** UDP port of the probes. */
export const PROBE_PORT = 7007;

const serve = (name: string, address: string): void => {
  const socket = createSocket('udp4');
  const suffix = Buffer.from(name);
  socket.on('message', (packet, client) => {
    // An answer that cannot leave (no route, no address) is a lost probe.
    socket.send(Buffer.concat([packet.subarray(0, 8), suffix]), client.port, client.address, () => undefined);
  });
  socket.bind(PROBE_PORT, address);
};

if (import.meta.main) {
  const [name = '', ...addresses] = process.argv.slice(2);
  for (const address of addresses) serve(name, address);
}
