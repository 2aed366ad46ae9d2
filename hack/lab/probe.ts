/**
 * A client: sends a numbered UDP packet to one address every ten milliseconds, whatever becomes of earlier ones, and
 * appends each probe's fate to a file, one JSON object per line. Usage: `probe.ts TARGET FILE [INTERVAL_MS]`. SIGTERM
 * stops the sending; it ends when the last probe is decided.
 */
import { createSocket } from 'node:dgram';
import { openSync, writeSync } from 'node:fs';
import { nowMs } from './clock.ts';
import type { Sample } from './outage.ts';
import { PROBE_PORT } from './responder.ts';

/** A probe without an answer for this long is lost. */
const LOST_MS = 2_500;
const WRITE_MS = 50;

const main = (target: string, file: string, intervalMs: number): void => {
  const socket = createSocket('udp4');
  const log = openSync(file, 'a', 0o600);
  const pending = new Map<number, Sample>();
  const decided: Sample[] = [];
  const startMs = nowMs();
  let seq = 0;
  let isStopping = false;

  // Each probe has its own place on the time line: a late timer sends what is due and moves nothing.
  const send = (): void => {
    while (!isStopping && startMs + seq * intervalMs <= nowMs()) {
      seq += 1;
      const packet = Buffer.alloc(8);
      packet.writeBigUInt64BE(BigInt(seq));
      pending.set(seq, { seq, sentAtMs: nowMs() });
      socket.send(packet, PROBE_PORT, target, () => undefined); // an error is a lost probe
    }
    if (!isStopping) setTimeout(send, Math.max(0, startMs + seq * intervalMs - nowMs()));
  };

  socket.on('message', (answer) => {
    const answered = Number(answer.readBigUInt64BE(0));
    const sample = pending.get(answered);
    if (sample === undefined) return;
    pending.delete(answered);
    decided.push({ ...sample, answeredAtMs: nowMs(), by: answer.toString('utf8', 8) });
  });

  const write = (): void => {
    for (const sample of pending.values()) {
      if (nowMs() - sample.sentAtMs < LOST_MS) break;
      pending.delete(sample.seq);
      decided.push(sample);
    }
    const lines = decided.splice(0).map((sample) => `${JSON.stringify(sample)}\n`);
    if (lines.length > 0) writeSync(log, lines.join(''));
    if (isStopping && pending.size === 0) process.exit(0);
  };

  socket.bind(0, () => {
    send();
    setInterval(write, WRITE_MS);
  });
  process.on('SIGTERM', () => {
    isStopping = true;
  });
};

const [target = '', file = '', intervalMs = '10'] = process.argv.slice(2);
main(target, file, Number(intervalMs));
