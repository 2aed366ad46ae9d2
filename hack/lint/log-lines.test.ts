/** Each line that the product logs has a reason of the tables, and the log's own reasons stand in the documentation. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LOG_REASONS, REASONS } from '../../crds/conditions.ts';
import { logLinesIn, reasonsIn } from './log-lines.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const PRODUCT = '{agent,delivery,ec2,kube,operator,runtime}/**/*.ts';
const OTHER = [
  // Tests and their aids.
  /\.test\.ts$|\/testing\//,
  // It hands on what others log.
  /^runtime\/calm-log\.ts$/,
];

const paths = globSync(PRODUCT, { cwd: ROOT }).filter((path) => !OTHER.some((other) => other.test(path)));
const lines = paths.flatMap((path) => logLinesIn(path, read(path)));
const inWords = ({ path, line, fields }: (typeof lines)[number]): string => `${path}:${line}: ${fields}`;

test('each form of a line is found, with what it gives as its reason', () => {
  const text = `
    this.#log.info({ reason: 'AgentStopped' }, 'x');
    log?.warn({ pair: key({ a: [1, 2] }), reason }, 'x');
    log[ok ? 'info' : 'warn'](
      { ...fields, reason: is === 'ok' ? 'Converged' : 'Moving', pair }, 'x');
    lines.fatal({ err }, 'x');
    logged(1);`;
  const found = logLinesIn('a.ts', text);
  assert.equal(
    found.map(({ line }) => line),
    [2, 3, 4, 6],
  );
  assert.equal(
    found.map(({ fields }) => reasonsIn(fields)),
    [['AgentStopped'], [], ['Converged', 'Moving'], undefined],
  );
});

test('each line of the product has a reason', () => {
  assert.ok(lines.length > 40, 'fewer would mean that the forms are not recognised any more');
  assert.equal(lines.filter(({ fields }) => reasonsIn(fields) === undefined).map(inWords), []);
});

test('each reason that a line names is a word of the tables', () => {
  const known = { ...REASONS, ...LOG_REASONS };
  assert.equal(
    lines.filter(({ fields }) => reasonsIn(fields)?.some((word) => !(word in known))).map(inWords),
    [],
  );
});

test('each of the log’s own reasons is given somewhere, and is none of the API', () => {
  const text = globSync(PRODUCT, { cwd: ROOT }).map(read).join('\n');
  for (const word of Object.keys(LOG_REASONS)) {
    assert.ok(text.includes(`'${word}'`) || text.includes(`${word}: '`), `${word} is given nowhere`);
    assert.not.ok(word in REASONS, `${word} is in both tables`);
  }
});

test('docs/debugging.md explains them, in the order and the words of the table', () => {
  const [, section = ''] = read('docs/debugging.md').split("### The log's own reasons\n");
  const rows = section.split('\n**')[0]?.matchAll(/^\| `(\w+)` \| (.*) \|$/gm) ?? [];
  const table = Object.entries(LOG_REASONS).map(
    ([word, sentence]) => `${word}: ${sentence.replace(/\.$/, '')}`,
  );
  assert.equal(
    [...rows].map(([, word, sentence]) => `${word}: ${sentence}`),
    table,
  );
});

test.run();
