/**
 * A server on an instance: answers probes on each of its addresses with the instance's name, from the address that was
 * probed. Usage: `responder.ts NAME ADDRESS…`. An address need not be on the interface yet: as soon as the kernel says that an
 * address has come, those that could not be bound are tried again, as a server does that listens for changes. With
 * `net.ipv4.ip_nonlocal_bind` off, as the default is, nobody can bind an address that is not there.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';

/** UDP port of the probes. */
export const PROBE_PORT = 7007;

/** Binds, or rejects with why that cannot be. */
const serve = (name: string, address: string): Promise<void> => {
  const socket = createSocket('udp4');
  const suffix = Buffer.from(name);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', (error) => {
    socket.close();
    reject(error);
  });
  socket.on('message', (packet, client) => {
    // An answer that cannot leave (no route, no address) is a lost probe.
    socket.send(Buffer.concat([packet.subarray(0, 8), suffix]), client.port, client.address, () => undefined);
  });
  socket.bind(PROBE_PORT, address, resolve);
  return promise;
};

const main = (name: string, addresses: readonly string[]): void => {
  const waiting = new Set(addresses);
  const bind = (address: string): void => {
    waiting.delete(address);
    serve(name, address).catch(() => waiting.add(address));
  };
  const monitor = spawn('ip', ['-o', 'monitor', 'address'], { stdio: ['ignore', 'pipe', 'inherit'] });
  monitor.stdout.on('data', () => [...waiting].forEach(bind));
  monitor.once('exit', () => process.exit(1));
  process.once('SIGTERM', () => process.exit(0));
  process.once('exit', () => monitor.kill());
  for (const address of addresses) bind(address);
};

if (import.meta.main) {
  const [name = '', ...addresses] = process.argv.slice(2);
  main(name, addresses);
}
