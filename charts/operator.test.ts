/** The chart starts what `make build` makes, where README says that an image has it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

test("the operator's container starts the folder of `make build`, as README places it in an image", () => {
  const [, folder] =
    /`\.out\/build\/operator` of\s+`make build`\s+at\s+`([^`]+)`/.exec(read('README.md')) ?? [];
  const [, command] =
    /^ +command: \[node, (.+)\]$/m.exec(read('charts/hapair/templates/operator.yaml')) ?? [];
  assert.ok(folder !== undefined, 'README.md, "Install"');
  assert.is(command, `${folder}/main.js`);
});

test.run();
