/** The order of the folders, and what breaks it: each may import from itself and from those before it. */
import { dirname, normalize } from 'node:path/posix';

/** A row of README's table: one folder, or a few that tell one story. */
export type Layer = {
  /** A file belongs to the longest of all that it begins with. */
  paths: readonly string[];
  story: string;
};

/** The lowest first: the order in which the code is read. */
export const LAYERS: readonly Layer[] = [
  {
    paths: ['crds/'],
    story: 'the API: manifests with CEL rules, types, every condition and reason in one table, the validator',
  },
  {
    paths: ['runtime/'],
    story:
      'what any program needs: clock, backoff, log, names, time, JSON equality, IPv4, health, HTTP server. No Kubernetes, no EC2',
  },
  {
    paths: ['kube/'],
    story: 'the Kubernetes API without a word of HAPair: client, watcher, Lease and elector, queue, Events',
  },
  {
    paths: ['ec2/'],
    story:
      "EC2's API: a row for each action (`actions.ts`), the SDK behind a port, deadlines, error classes, the call budget, readings",
  },
  {
    paths: ['delivery/'],
    story:
      'which call brings a VIP or an EIP to a node, or takes it away: a movable (`movable.ts`), converge, release. Pure, below agent and operator',
  },
  {
    paths: ['agent/vrrp/'],
    story:
      "the election's heart: packets and state machine, no clock and no socket; its cases are data in `cases/`",
  },
  {
    paths: ['agent/rules/'],
    story:
      "hapair's own rules on top, pure as well: terms, signs of life, which VIP belongs on the interface, the report",
  },
  { paths: ['agent/sys/'], story: 'a few calls of libc, and the capabilities' },
  {
    paths: ['agent/worker/'],
    story:
      'the election at work, in a thread of its own: sockets of IP protocol 112, timers, the loop (`worker-loop.ts`)',
  },
  {
    paths: ['agent/ports.ts'],
    story: 'what a pair knows, remembers, and asks of its surroundings',
  },
  {
    paths: ['agent/node/'],
    story: 'what the agent has of its machine: interfaces, IMDS, its records on disk, the lock, children',
  },
  {
    paths: ['agent/checks/', 'agent/config.ts'],
    story: "health checks: when each runs, and what asks by HTTP, TCP and command; the agent's configuration",
  },
  {
    paths: ['agent/api/'],
    story: 'the API server as the agent uses it: its few calls, watches, the contact',
  },
  {
    paths: ['agent/pair/'],
    story:
      'one serial actor for each pair (`pair.ts`): what it loads, keeps up, reads and reports, by a lane each (`lanes/`)',
  },
  {
    paths: ['agent/reload/', 'agent/metrics/'],
    story: 'the replacement of the program in place; metrics and health',
  },
  { paths: ['agent/'], story: 'what connects all this (`agent.ts`, `start.ts`), and its local socket' },
  {
    paths: ['agent/cli/', 'agent/main.ts'],
    story: 'what a person says to it on the node: run, status, reload, claim, check',
  },
  {
    paths: ['operator/plan.ts', 'operator/plan/'],
    story: "the operator's heart: (pair, reports, EC2 view, now) -> next action, status, Events. Pure",
  },
  {
    paths: ['operator/'],
    story: 'around it: gather, plan, act, report (`reconcile.ts`), readings of EC2 for all pairs, wiring',
  },
  {
    paths: ['charts/'],
    story: 'the chart: CRDs, RBAC, an admission policy that lets each agent speak for itself alone',
  },
  { paths: ['hack/build/'], story: 'agent and operator as folders that run on Node alone' },
  {
    paths: ['hack/controlplane/', 'hack/setup/', 'hack/model.ts'],
    story: 'the real control plane, and what a bare machine lacks',
  },
  {
    paths: ['hack/lab/'],
    story:
      'a VPC in network namespaces with an EC2 API and IMDS, a product of its own that shares no code with this one: [README](hack/lab/README.md)',
  },
  { paths: ['hack/demo/'], story: 'the story as a table of events, and its measures' },
  {
    paths: ['hack/bench/'],
    story: 'keepalived and hapair, the recipe and hapair side by side; the operator with ten thousand pairs',
  },
  {
    paths: ['hack/lint/', 'hack/test/', 'hack/plant/'],
    story:
      'what is checked of the text: order of the folders, pure hearts, owners of state, citations; the runner of the tests; how a fault is planted into a program',
  },
  {
    paths: ['sim/'],
    story:
      'agents, operator, API server, EC2 and network in one thread and virtual time: every trace that broke a rule, by name, and random schedules, with the invariants checked after every step. `sim/model/`: the rules of [what comes later](docs/design/TAKEOVER.md), visited state by state (`make model`)',
  },
  { paths: ['hack/storm/'], story: 'pairs under a random schedule of everything that the lab can break' },
  {
    paths: ['hack/mutants/'],
    story: 'small faults planted into the hearts, and which of them no test notices (`make mutants`)',
  },
  {
    paths: ['test/'],
    story:
      "what needs several parts; a unit's tests stand beside it. `test/interop/`: hapair and keepalived 2.2.7 as the two ends of one pair, 85 rows",
  },
];

/** No part of the product: these may import the aids of a folder's tests. */
const HARNESSES = /^(?:hack|sim|test)\//;

/** Whether a file serves the tests of its folder alone: it may import from everywhere, and no product file from it. */
const isForTests = (path: string): boolean => /\.test\.ts$|\/testing\b/.test(path);

/** The place of a file in {@link LAYERS}; -1: nowhere. */
const placeOf = (path: string): number => {
  const lengths = LAYERS.map(({ paths }) =>
    Math.max(0, ...paths.filter((each) => path.startsWith(each)).map(({ length }) => length)),
  );
  const longest = Math.max(...lengths);
  return longest === 0 ? -1 : lengths.indexOf(longest);
};

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*'(\.\.?\/[^']+\.ts)'/g;

/** Which of the tree's own files each file imports, by path. */
export type Imports = ReadonlyMap<string, readonly string[]>;

/** Reads the imports of files; the texts are by path. */
export const importsOf = (texts: ReadonlyMap<string, string>): Imports =>
  new Map(
    [...texts].map(([path, text]) => [
      path,
      [...text.matchAll(IMPORT)]
        .map(([, target = '']) => normalize(`${dirname(path)}/${target}`))
        .filter((target) => texts.has(target)),
    ]),
  );

/** Imports against the order, `from -> to` each; and files that belong to no layer. */
export const breachesOf = (imports: Imports): string[] => {
  const homeless = [...imports.keys()].filter((path) => placeOf(path) < 0);
  const wrong = [...imports]
    .filter(([path]) => !isForTests(path))
    .flatMap(([path, targets]) =>
      targets
        .filter((target) => placeOf(target) > placeOf(path) || (isForTests(target) && !HARNESSES.test(path)))
        .map((target) => `${path} -> ${target}`),
    );
  return [...homeless, ...wrong];
};

/** The circles of files: each as its files in order of name. */
export const circlesOf = (imports: Imports): string[] => {
  const reachable = new Map([...imports.keys()].map((path) => [path, reachableFrom(path, imports)]));
  const circles = [...imports.keys()]
    .filter((path) => reachable.get(path)?.has(path))
    .map((path) =>
      [...imports.keys()]
        .filter((other) => isMutual(path, other, reachable))
        .sort()
        .join(' <-> '),
    );
  return [...new Set(circles)];
};

const isMutual = (a: string, b: string, reachable: ReadonlyMap<string, ReadonlySet<string>>): boolean =>
  reachable.get(a)?.has(b) === true && reachable.get(b)?.has(a) === true;

/** Every file that importing `start` loads. */
const reachableFrom = (start: string, imports: Imports): Set<string> => {
  const found = new Set<string>();
  const open = [...(imports.get(start) ?? [])];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    open.push(...(imports.get(path) ?? []));
  }
  return found;
};

/** README's table. */
export const tableOf = (layers: readonly Layer[]): string =>
  ['| folder | its story |', '| --- | --- |']
    .concat(
      layers.map(({ paths, story }) => `| ${paths.map((path) => `\`${path}\``).join(', ')} | ${story} |`),
    )
    .join('\n');
