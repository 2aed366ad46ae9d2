/** Tests of the agent's files: each has a directory of its own, and what was logged. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import type { Log } from '../../runtime/log.ts';

/** A suite in which every test finds an empty directory, gone afterwards, and an empty list. */
export const stateSuite = (name: string) => {
  const test = suite<{ directory: string; told: string[] }>(name);
  test.before.each((context) => {
    context.directory = mkdtempSync(join(tmpdir(), 'hapair-state-'));
    context.told = [];
  });
  test.after.each(({ directory }) => rmSync(directory, { recursive: true }));
  return test;
};

/** Writes the fields of each line to `told`, as JSON; a message is for people, no test goes by it. */
export const logTo = (told: string[]): Log => {
  const note = (fields: object) => void told.push(JSON.stringify(fields));
  return { info: note, warn: note, error: note };
};
