/**
 * Prometheus' text format, version 0.0.4: what is known at the moment of a scrape in, text out. The client library keeps series
 * until somebody removes them; here a pair that is gone is not in what is known, so its series are gone.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

export type Labels = Readonly<Record<string, string>>;

export type Sample = { labels?: Labels; value: number };

/** Counts in buckets that stand apart: `counts[i]` of what is at most `bounds[i]`; the last count is beyond all bounds. */
export type Buckets = { bounds: readonly number[]; counts: readonly number[]; sum: number };

/** A metric and its series. Units stand in the name. */
export type Family = { name: string; help: string } & (
  | { type: 'gauge' | 'counter'; samples: readonly Sample[] }
  | { type: 'histogram'; buckets: Buckets }
);

/** One text of all families, in their order. */
export const expose = (families: readonly Family[]): string =>
  families.map((family) => `${headOf(family)}${linesOf(family).join('')}`).join('');

const headOf = ({ name, help, type }: Family): string =>
  `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;

const linesOf = (family: Family): string[] =>
  family.type === 'histogram'
    ? histogramLines(family.name, family.buckets)
    : family.samples.map(({ labels = {}, value }) => line(family.name, labels, value));

/** Buckets are cumulative in this format. */
const histogramLines = (name: string, { bounds, counts, sum }: Buckets): string[] => {
  let count = 0;
  const buckets = [...bounds, Number.POSITIVE_INFINITY].map((bound, index) => {
    count += counts[index] ?? 0;
    return line(`${name}_bucket`, { le: numberText(bound) }, count);
  });
  return [...buckets, line(`${name}_sum`, {}, sum), line(`${name}_count`, {}, count)];
};

const line = (name: string, labels: Labels, value: number): string => {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}\n`;
};

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

const numberText = (value: number): string => {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
};
