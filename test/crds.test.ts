/** The table of `crds/cases/` against the oracle: a real API server has the verdict, path and defaults that the validator has. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { type Case, loadCases } from '../crds/cases.ts';
import { collectRules } from '../crds/rules.ts';
import { isObject, type Json, type JsonObject, type Kind, manifestURL, readSchema } from '../crds/schema.ts';
import { type Problem, validateHAPair, validateVRRPInstance } from '../crds/validate.ts';
import { type Answer, callAPI } from '../hack/controlplane/api.ts';
import { type ControlPlane, startControlPlane } from '../hack/controlplane/controlplane.ts';

const KINDS: Kind[] = ['HAPair', 'VRRPInstance'];
const validators = { HAPair: validateHAPair, VRRPInstance: validateVRRPInstance };
const ESTABLISHED_MS = 30_000;
const CONCURRENCY = 8;

/** What the API server said: the stored object, or what is wrong with the one that was sent. */
type Verdict = { object: JsonObject } | { problems: Problem[] };

const cases = loadCases();
const verdicts = new Map<Case, Verdict>();
let dir = '';
let plane: ControlPlane | undefined;

const call = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: Json): Promise<Answer> => {
  if (plane === undefined) throw new Error('the control plane does not run');
  return callAPI(plane.kubeconfig, method, path, body === undefined ? {} : { body });
};

const collection = (kind: Kind, namespace: string): string =>
  `/apis/hapair.io/v1alpha1/namespaces/${namespace}/${kind.toLowerCase()}s`;

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hapair-crds-'));
  plane = await startControlPlane({ dir });
  await Promise.all(KINDS.map(install));
  await createNamespace('dry-run');
  const queue = [...cases.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, row] = next;
      verdicts.set(row, await ask(row, `case-${index}`));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
});

test.after(async () => {
  await plane?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Creates a CRD and waits until its kind is served. */
const install = async (kind: Kind): Promise<void> => {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const created = await call('POST', path, parse(await readFile(manifestURL(kind), 'utf8')));
  assert.is(created.status, 201, JSON.stringify(created.body));
  const deadline = Date.now() + ESTABLISHED_MS;
  while ((await call('GET', collection(kind, 'default'))).status !== 200) {
    assert.ok(Date.now() < deadline, `${kind} is not served after ${ESTABLISHED_MS} ms`);
    await sleep(50);
  }
};

const createNamespace = async (name: string): Promise<void> => {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  assert.is((await call('POST', '/api/v1/namespaces', namespace)).status, 201);
};

/** A new object is tried without storing it; an update needs a stored object, so it gets a namespace of its own. */
const ask = async ({ kind, object, old, isStatus }: Case, namespace: string): Promise<Verdict> => {
  if (old === undefined) {
    const path = `${collection(kind, 'dry-run')}?dryRun=All`;
    return toVerdict(await call('POST', path, withMetadata(object, { namespace: 'dry-run' })));
  }
  await createNamespace(namespace);
  const stored = await call('POST', collection(kind, namespace), withMetadata(old, { namespace }));
  assert.is(stored.status, 201, JSON.stringify(stored.body));
  const { name, resourceVersion } = metadataOf(stored.body as JsonObject);
  const path = `${collection(kind, namespace)}/${name}${isStatus ? '/status' : ''}`;
  return toVerdict(
    await call('PUT', path, withMetadata(object, { namespace, resourceVersion: `${resourceVersion}` })),
  );
};

const metadataOf = ({ metadata }: JsonObject): JsonObject => (isObject(metadata) ? metadata : {});

const withMetadata = (object: JsonObject, extra: JsonObject): JsonObject => ({
  ...object,
  metadata: { ...metadataOf(object), ...extra },
});

type Status = { message?: string; details?: { causes?: { field?: string; message?: string }[] } };

/** What the API server adds, without a path, to a cause that it has named: no rule was run; the width of an integer. */
const REPETITION = /some validation rules were not checked|Checked value must be of type integer with format/;

const toVerdict = ({ status, body }: Answer): Verdict => {
  if (status < 300) return { object: body as JsonObject };
  assert.is(status, 422, JSON.stringify(body));
  const causes = (body as Status).details?.causes ?? [];
  return {
    problems: causes
      .filter(({ message = '' }) => !REPETITION.test(message))
      .map(({ field = '', message = '' }) => ({ path: field === '<nil>' ? '' : field, message })),
  };
};

const ruleMessages = new Set(
  KINDS.flatMap((kind) => collectRules(readSchema(kind))).map(({ message }) => message),
);

const pathsOf = (problems: Problem[]): string[] => [...new Set(problems.map(({ path }) => path))].sort();

for (const row of cases) {
  test(row.name, () => {
    const verdict = verdicts.get(row) ?? { problems: [{ path: '', message: 'was not asked' }] };
    const own = validators[row.kind](row.object, row.old);
    if (row.paths.length === 0) {
      assert.ok('object' in verdict && own.ok, JSON.stringify(verdict));
      const [theirs, ours]: JsonObject[] = [verdict.object, JSON.parse(JSON.stringify(own.value))];
      assert.equal(ours?.spec, theirs?.spec);
      if (row.isStatus) assert.equal(ours?.status, theirs?.status);
      return;
    }
    assert.ok('problems' in verdict, 'the API server accepts it');
    assert.equal(pathsOf(verdict.problems), row.paths, JSON.stringify(verdict.problems));
    for (const { path, message } of own.ok ? [] : own.errors) {
      if (!ruleMessages.has(message)) continue;
      const isSaid = verdict.problems.some(
        (problem) => problem.path === path && problem.message.endsWith(message),
      );
      assert.ok(isSaid, `the API server does not say of "${path}": ${message}`);
    }
  });
}

/** Values that some field or other has no room for; a null takes the field away. */
const ODD_VALUES: Json[] = [
  null,
  true,
  -1,
  1.5,
  10,
  'x',
  '',
  'é',
  '10.10.10.12',
  '240.0.0.1',
  '10.0.0.1\n',
  [],
  {},
  ['x'],
];

/** Every object that differs from `object` in one value, at any depth below `spec`. */
function* spoiled(object: JsonObject): Generator<JsonObject> {
  for (const way of waysInto(object.spec ?? null)) {
    for (const odd of ODD_VALUES) yield { ...object, spec: replaced(object.spec ?? null, way, odd) };
  }
}

const waysInto = (value: Json): string[][] => {
  if (typeof value !== 'object' || value === null) return [[]];
  const below = Object.entries(value).flatMap(([key, child]) => waysInto(child).map((way) => [key, ...way]));
  return [[], ...below];
};

const replaced = (value: Json, [key, ...rest]: string[], by: Json): Json => {
  if (key === undefined) return by;
  if (Array.isArray(value)) {
    return value.map((item, index) => (String(index) === key ? replaced(item, rest, by) : item));
  }
  return isObject(value) ? { ...value, [key]: replaced(value[key] ?? null, rest, by) } : value;
};

test('an empty list of addresses in a report is stored as that: nothing is not unknown', async () => {
  const base = cases.find((row) => row.name === 'VRRPInstance: the base');
  if (base === undefined || plane === undefined) throw new Error('there is no base');
  await createNamespace('reports');
  const path = collection('VRRPInstance', 'reports');
  const created = await call('POST', path, withMetadata(base.object, { namespace: 'reports' }));
  const { name = '' } = metadataOf(created.body as JsonObject) as { name?: string };
  const { apiVersion = '', kind = '' } = base.object;
  for (const vipsDelivered of [[], ['10.10.10.10'], []]) {
    const status = { state: 'Backup', term: 1, since: '2026-11-22T10:00:00Z', vipsDelivered };
    const answer = await callAPI(
      plane.kubeconfig,
      'PATCH',
      `${path}/${name}/status?fieldManager=agent&force=true`,
      {
        body: { apiVersion, kind, metadata: { name, namespace: 'reports' }, status },
        contentType: 'application/apply-patch+yaml',
      },
    );
    assert.is(answer.status, 200, JSON.stringify(answer.body));
    assert.equal((answer.body as { status: JsonObject }).status.vipsDelivered, vipsDelivered);
  }
});

test('conditions are stored in the order in which they are applied, another time too: what is not good comes first', async () => {
  const base = cases.find((row) => row.name === 'HAPair: the base');
  if (base === undefined || plane === undefined) throw new Error('there is no base');
  await createNamespace('conditions');
  const path = collection('HAPair', 'conditions');
  const created = await call('POST', path, withMetadata(base.object, { namespace: 'conditions' }));
  const { name = '' } = metadataOf(created.body as JsonObject) as { name?: string };
  const { apiVersion = '', kind = '' } = base.object;
  const orders = [
    ['Ready', 'Redundant', 'Paused'],
    ['Paused', 'Ready', 'Redundant'],
    ['Redundant', 'Ready', 'Paused'],
  ];
  for (const order of orders) {
    const conditions = order.map((type) => ({
      ...{ type, status: 'True', reason: 'Serving', message: '' },
      lastTransitionTime: '2026-11-22T10:00:00Z',
    }));
    const answer = await callAPI(
      plane.kubeconfig,
      'PATCH',
      `${path}/${name}/status?fieldManager=operator&force=true`,
      {
        body: { apiVersion, kind, metadata: { name, namespace: 'conditions' }, status: { conditions } },
        contentType: 'application/apply-patch+yaml',
      },
    );
    assert.is(answer.status, 200, JSON.stringify(answer.body));
    const stored = (answer.body as { status: { conditions: { type: string }[] } }).status.conditions;
    assert.equal(
      stored.map(({ type }) => type),
      order,
    );
  }
});

test('an odd value in any field of the base has the same verdict and paths', async () => {
  const bases = KINDS.flatMap((kind) => cases.filter((row) => row.name === `${kind}: the base`));
  assert.is(bases.length, KINDS.length);
  const queue = bases.flatMap((row) => [...spoiled(row.object)].map((object) => ({ ...row, object })));
  const differences: string[] = [];
  const worker = async (): Promise<void> => {
    for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
      const verdict = await ask(row, 'dry-run');
      const own = validators[row.kind](row.object);
      const theirs = 'problems' in verdict ? pathsOf(verdict.problems) : [];
      const ours = own.ok ? [] : pathsOf(own.errors);
      if (JSON.stringify(theirs) === JSON.stringify(ours)) continue;
      differences.push(`${JSON.stringify(row.object.spec)}: the API server ${theirs}, the validator ${ours}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  assert.equal(differences, []);
});

test.run();
