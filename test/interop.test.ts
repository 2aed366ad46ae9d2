/**
 * hapair and Debian's keepalived as the two ends of one pair, with real packets: every row of a table of what two
 * keepalived nodes should do, and what a third host can do to them. The rows play in namespaces of their own, several at a
 * time; at the end the table is printed.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findDebianPrograms, KEEPALIVED } from '../hack/setup/debian.ts';
import { rows } from './interop/rows.ts';
import type { Outcome, Row } from './interop/scene.ts';

const WORLD = '--map-root-user --user --net --mount --pid --fork --kill-child --mount-proc'.split(' ');
const ALL_MS = 5 * 60_000;

const table = rows();
assert.is(new Set(table.map(({ name }) => name)).size, table.length, 'every row has a name of its own');
const outcomes = new Map(table.map(({ name }) => [name, Promise.withResolvers<Outcome>()]));
for (const { promise } of outcomes.values()) promise.catch(() => undefined); // each is awaited by its row

test.before(async () => {
  const { keepalived } = await findDebianPrograms(KEEPALIVED);
  const program = join(import.meta.dirname, 'interop', 'main.ts');
  const world = spawn('unshare', [...WORLD, process.execPath, program, keepalived], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: ALL_MS,
    killSignal: 'SIGKILL',
  });
  createInterface({ input: world.stdout }).on('line', (line) => {
    const outcome: Outcome = JSON.parse(line);
    outcomes.get(outcome.name)?.resolve(outcome);
  });
  world.on('close', (code, signal) => {
    const end = new Error(`the world of the rows ended with ${signal ?? code} before this row`);
    for (const { reject } of outcomes.values()) reject(end);
  });
});

const played: { row: Row; outcome: Outcome }[] = [];

for (const row of table) {
  test(row.name, async () => {
    const outcome = await outcomes.get(row.name)?.promise;
    if (outcome === undefined) throw new Error('two rows have this name');
    played.push({ row, outcome });
    assert.is(
      outcome.seen,
      outcome.expected,
      `theory:   ${row.theory}\nexpected: ${outcome.expected}\nseen:     ${outcome.seen}\n${outcome.log}`,
    );
  });
}

test.after(() => {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  const lines = played.map(({ row, outcome: { expected, seen } }) =>
    line([row.name, row.theory, expected, seen === expected ? 'as expected' : seen]),
  );
  console.log(
    ['', line(['row', 'theory', 'expected', 'seen']), line(['-', '-', '-', '-']), ...lines].join('\n'),
  );
});

test.run();
