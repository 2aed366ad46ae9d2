import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { footprintOf, partsOf, type Sample, sampleOf } from './footprint.ts';

const SMAPS = `5590-5600 r-xp 00000000 fe:00 12 /usr/bin/node
Size:               9000 kB
Rss:                1024 kB
7000-7100 rw-p 00000000 00:00 0 [heap]
Rss:                2048 kB
7100-7200 rw-p 00000000 00:00 0 
Rss:                3072 kB
7200-7300 rwxp 00000000 00:00 0 [anon:v8]
Rss:                1024 kB
7300-7400 r--p 00000000 fe:00 13 /usr/lib/hapair/agent/koffi.node
Rss:                 512 kB
7400-7500 r--p 00000000 fe:00 14 /usr/lib/libc.so.6
Rss:                 512 kB
`;

test('resident memory by what it is for', () => {
  assert.equal(partsOf(SMAPS), { node: 1, malloc: 2, heaps: 4, libraries: 1 });
});

test('the parts of a real process are all of it', () => {
  const parts = partsOf(readFileSync('/proc/self/smaps', 'utf8'));
  for (const [name, megabytes] of Object.entries(parts)) assert.ok(megabytes > 0, name);
});

test('a reading, whatever the process is called', () => {
  const stat = '42 (a ) b) S 1 1 1 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 11 0';
  assert.equal(sampleOf(7, stat, 'Name:\ta\nVmRSS:\t   2048 kB\n'), {
    atMs: 7,
    rssMB: 2,
    cpuSeconds: 2,
    childCPUSeconds: 0.5,
  });
  assert.throws(() => sampleOf(7, stat, 'Name:\ta\nState:\tZ (zombie)\n'), 'the process has ended');
});

const samples = (sizes: readonly number[]): Sample[] =>
  sizes.map((rssMB, minute) => ({
    atMs: minute * 60_000,
    rssMB,
    cpuSeconds: 0.6 * minute,
    childCPUSeconds: 0.3 * minute,
  }));

test('median and largest size, growth by the hour, percent of a processor', () => {
  const { rss, growth, cpu } = footprintOf(samples([80, 81, 82, 83, 84, 85, 86]));
  assert.equal(rss, { median: 83, max: 86 });
  assert.ok(Math.abs(growth.perHour - 60) < 1e-9);
  assert.ok(growth.error < 1e-6);
  assert.ok(Math.abs(cpu.own - 1) < 1e-9);
  assert.ok(Math.abs(cpu.children - 0.5) < 1e-9);
});

test('what only swings does not grow, and the error says how sure that is', () => {
  const { growth } = footprintOf(samples([80, 82, 80, 82, 80, 82, 80, 82, 80, 82]));
  assert.ok(Math.abs(growth.perHour) < growth.error);
});

test('what is taken at first and kept is no growth', () => {
  assert.ok(Math.abs(footprintOf(samples([60, 70, 80, 80, 80, 80, 80])).growth.perHour) < 1e-9);
});

test('five samples show no growth', () => {
  assert.throws(() => footprintOf(samples([80, 81, 80, 81, 80])), /5 samples show no growth/);
});

test.run();
