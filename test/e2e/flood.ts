/**
 * Sends VRRP messages that must be rejected, as fast as the machine does. Runs on an instance of the lab.
 * Usage: `flood.ts SOURCE DESTINATION COUNT MESSAGE`, the message in hexadecimal digits without its IP header.
 */
import { setImmediate as breath } from 'node:timers/promises';
import { openVRRPSocket } from '../../agent/worker/socket.ts';

/** Between two breaths. */
const BURST = 100;

const [source = '', destination = '', count = '0', message = ''] = process.argv.slice(2);
const bytes = new Uint8Array(Buffer.from(message, 'hex'));
const socket = openVRRPSocket(source, 'eth0');
let sent = 0;
while (sent < Number(count)) {
  for (let packet = 0; packet < BURST; packet += 1) if (socket.send(destination, bytes).ok) sent += 1;
  await breath();
}
socket.close();
