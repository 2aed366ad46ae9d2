/** A strict reader of Prometheus' text format, and a way to ask an agent on its own instance. For tests only. */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';

/** Series by their name and labels as they stand in the text. */
export type Series = ReadonlyMap<string, number>;

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`;
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{(${LABEL}(?:,${LABEL})*)\})? (\S+)$`);
const HEAD = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);
const TYPES = ['counter', 'gauge', 'histogram', 'summary'];
const SUFFIXES: Record<string, readonly string[]> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Reads an exposition. @throws AssertionError at the first line that is not as the format wants it: a sample outside its family,
 * a family twice, a series twice, a counter without `_total`, a histogram that is not cumulative.
 */
export function readExposition(text: string): Series {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  let helped = '';
  let family = '';
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const [, word, name = '', rest = ''] = HEAD.exec(line) ?? [];
    if (word === 'HELP') helped = name;
    else if (word === 'TYPE') {
      assert.is(name, helped, `${name} has its HELP first`);
      assert.not(types.has(name), `${name} is one family`);
      assert.ok(TYPES.includes(rest), line);
      if (rest === 'counter' && name.startsWith('hapair_')) assert.match(name, /_total$/);
      types.set(name, rest);
      family = name;
    } else {
      const [, sample = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      const allowed = SUFFIXES[types.get(family) ?? ''] ?? [];
      assert.ok(
        allowed.some((suffix) => sample === `${family}${suffix}`),
        `${line} is no sample of ${family}`,
      );
      const key = labels === '' ? sample : `${sample}{${labels}}`;
      assert.not(series.has(key), `${key} is there once`);
      series.set(key, numberIn(value, line));
    }
  }
  for (const [name, type] of types) if (type === 'histogram') assertCumulative(series, name);
  return series;
}

/** Go's ParseFloat reads these; prom-client writes `Nan` for what it has not measured yet. */
function numberIn(text: string, line: string): number {
  const isNumber = /^(?:[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|Inf)|NaN|Nan)$/i.test(text);
  assert.ok(isNumber, line);
  return Number(text.replace(/Inf$/, 'Infinity'));
}

/** The series of one family that has no labels but `le`. */
function assertCumulative(series: Series, name: string): void {
  if (!series.has(`${name}_count`)) return;
  const buckets = [...series].filter(([key]) => key.startsWith(`${name}_bucket{le=`));
  let before = 0;
  for (const [key, count] of buckets) {
    assert.ok(count >= before, `${key} is not below the bucket before it`);
    before = count;
  }
  assert.is(buckets.at(-1)?.[0], `${name}_bucket{le="+Inf"}`);
  assert.is(before, series.get(`${name}_count`));
}

/** Where the agents of the lab listen. */
export const AGENT_PORT = 8112;
const ASK = `fetch(process.argv[1], { signal: AbortSignal.timeout(5_000) })
  .then(async (answer) => console.log(JSON.stringify({ status: answer.status, body: await answer.text() })));`;

/** An answer of a node's agent to a request on its loopback; undefined: nobody answers. */
export async function ask(
  stage: Stage,
  node: string,
  path: string,
): Promise<{ status: number; body: string } | undefined> {
  const argv = [process.execPath, '--eval', ASK, `http://127.0.0.1:${AGENT_PORT}${path}`];
  const { code, stdout } = await stage.lab.node(node).exec(argv);
  return code === 0 ? JSON.parse(stdout) : undefined;
}

/** One scrape of a node's agent; undefined: nobody answers. */
export async function scrape(stage: Stage, node: string): Promise<Series | undefined> {
  const answer = await ask(stage, node, '/metrics');
  if (answer === undefined) return undefined;
  assert.is(answer.status, 200);
  return readExposition(answer.body);
}
