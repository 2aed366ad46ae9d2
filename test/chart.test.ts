/** The chart on a real control plane: what it installs, and who may do what then. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { type Answer, callAPI } from '../hack/controlplane/api.ts';
import { findKubeClients } from '../hack/controlplane/clients.ts';
import { type ControlPlane, startControlPlane } from '../hack/controlplane/controlplane.ts';
import { writeServiceAccountKubeconfig } from '../hack/controlplane/tokens.ts';
import { run } from '../hack/setup/run.ts';

const CHART = join(import.meta.dirname, '..', 'charts', 'hapair');
const SYSTEM = 'hapair-system';
const HAPAIRS = '/apis/hapair.io/v1alpha1/namespaces/prod/hapairs';
const INSTANCES = '/apis/hapair.io/v1alpha1/namespaces/prod/vrrpinstances';
const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases`;
const APPLY = { contentType: 'application/apply-patch+yaml' };

type Manifest = { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } };

/** Emptied first; a killed run leaves it inside the work tree. */
const dir = join(import.meta.dirname, '..', '.out', 'chart-test');
const clients = await findKubeClients();

let plane: ControlPlane;
/** Kubeconfigs of those the chart tells apart. */
let who: Record<'admin' | 'node1' | 'node2' | 'operator' | 'developer', string>;

/** What the clients cache stays in the test's folder. */
const clientEnvironment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  KUBECONFIG: plane.kubeconfig,
  KUBECACHEDIR: join(dir, 'kube-cache'),
  HELM_CACHE_HOME: join(dir, 'helm', 'cache'),
  HELM_CONFIG_HOME: join(dir, 'helm', 'config'),
  HELM_DATA_HOME: join(dir, 'helm', 'data'),
});

const helm = async (...args: string[]): Promise<string> =>
  (await run(clients.helm, args, { env: clientEnvironment(), timeoutMs: 120_000 })).stdout;

const settings = [
  '--namespace',
  SYSTEM,
  '--set',
  'agents.nodes={node1,node2},agents.namespaces={prod},operator.region=ap-northeast-1',
];

const accept = ({ status, body }: Answer): Answer => {
  assert.ok(status === 200 || status === 201, `HTTP ${status} ${JSON.stringify(body)}`);
  return { status, body };
};

/** Refused, for a reason that names `by`. */
const refuse = ({ status, body }: Answer, by: RegExp): void => {
  assert.is(status, 403, JSON.stringify(body));
  assert.match((body as { message: string }).message, by);
};

const RBAC = /^\S+ "?.*"? ?is forbidden: User "/;
const POLICY = /ValidatingAdmissionPolicy 'hapair-(agents|reports)'/;

/** uvu keeps the reason of a failed `before` to itself. */
test.before(() =>
  setUp().catch((error: unknown) => {
    console.error(error);
    throw error;
  }),
);

const setUp = async (): Promise<void> => {
  await rm(dir, { recursive: true, force: true });
  plane = await startControlPlane({ dir: join(dir, 'plane') });
  const admin = plane.kubeconfig;
  accept(await callAPI(admin, 'POST', '/api/v1/namespaces', { body: { metadata: { name: 'prod' } } }));
  await helm('install', 'hapair', CHART, '--create-namespace', ...settings);
  const login = (serviceAccount: string): Promise<string> =>
    writeServiceAccountKubeconfig({
      adminKubeconfig: admin,
      namespace: SYSTEM,
      serviceAccount,
      file: join(dir, `${serviceAccount}.kubeconfig`),
      server: plane.server,
      caFile: plane.caFile,
    });
  who = {
    admin,
    node1: await login('hapair-agent-node1'),
    node2: await login('hapair-agent-node2'),
    operator: await login('hapair-operator'),
    developer: await plane.writeUserKubeconfig('developer'),
  };
  await untilPolicyHolds();
};

test.after(async () => {
  await plane?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** The API server takes up a new policy within a second or so; a dry run shows when. */
const untilPolicyHolds = async (): Promise<void> => {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const probe = await callAPI(who.node1, 'POST', `${LEASES}?dryRun=All`, {
      body: lease('hapair-agent-node2'),
    });
    if (probe.status === 403) return;
    if (performance.now() > deadline) throw new Error(`The policy does not hold: ${JSON.stringify(probe)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

const lease = (name: string) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, namespace: SYSTEM },
  spec: { holderIdentity: name },
});

const instance = (node: string) => {
  const set = {
    version: 3,
    virtualRouterID: 10,
    advertisementIntervalMilliseconds: 1000,
    checksum: 'Pseudoheader',
  };
  return {
    apiVersion: 'hapair.io/v1alpha1',
    kind: 'VRRPInstance',
    metadata: {
      name: `web.${node}`,
      namespace: 'prod',
      labels: { 'hapair.io/pair': 'web', 'hapair.io/node': node },
    },
    spec: {
      pairName: 'web',
      nodeName: node,
      agentUsername: `system:serviceaccount:${SYSTEM}:hapair-agent-${node}`,
      networkInterfaceID: 'eni-0aaaaaaaaaaaaaaa1',
      sourceAddress: '10.10.10.11',
      peerAddress: '10.10.10.12',
      priority: 100,
      claim: 'Normal',
      termFloor: 0,
      yieldTerm: 0,
      probe: 0,
      onDelete: 'Keep',
      addresses: [{ name: 'main', vip: '10.10.10.10' }],
      vrrp: { send: set, accept: [set] },
    },
  };
};

const report = (node: string, spec?: object) => ({
  apiVersion: 'hapair.io/v1alpha1',
  kind: 'VRRPInstance',
  metadata: { name: `web.${node}`, namespace: 'prod' },
  ...(spec === undefined ? {} : { spec }),
  status: { state: 'Backup', term: 1, since: '2026-11-22T10:00:00.000000Z' },
});

const applyReport = (as: string, node: string, body = report(node)): Promise<Answer> =>
  callAPI(as, 'PATCH', `${INSTANCES}/web.${node}/status?fieldManager=hapair-agent&force=true`, {
    ...APPLY,
    body,
  });

test('lints strictly and refuses a value it does not know', async () => {
  await helm('lint', '--strict', CHART);
  for (const wrong of [
    'operator.replica=1',
    'operator.replicas=-1',
    'operator.leaderElection.leaseDurationSeconds=1.5',
    'operator.metrics.port=0',
    'operator.metrics.serviceMonitor.every=1s',
    'operator.networkPolicy.egressPorts={http}',
    'agents.nodes={Node_1}',
  ]) {
    const refused = await helm('template', 'hapair', CHART, '--set', wrong).then(
      () => undefined,
      (error: Error) => error.message,
    );
    assert.match(refused ?? `${wrong} was accepted`, /values don't meet the specifications/);
  }
});

const render = async (...set: string[]): Promise<Manifest[]> =>
  parseAllDocuments(
    await helm('template', 'hapair', CHART, ...settings, ...set.flatMap((one) => ['--set', one])),
  )
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);

const named = (manifests: Manifest[], kind: string, name: string): unknown => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  assert.ok(found, `there is no ${kind} ${name}`);
  return found;
};

test('times of an election that do not fit together are refused before anything is installed', async () => {
  const refused = await render('operator.leaderElection.renewDeadlineSeconds=15').catch(
    (error: Error) => error,
  );
  assert.match(String(refused), 'leaseDurationSeconds must exceed renewDeadlineSeconds');
});

test('two replicas that are replaced one by one, probed and apart', async () => {
  type Container = {
    args: string[];
    ports: { name: string; containerPort: number }[];
    livenessProbe: { httpGet: { path: string; port: string } };
    readinessProbe: { httpGet: { path: string; port: string } };
    env: { name: string; valueFrom?: unknown }[];
  };
  type Deployment = {
    spec: {
      replicas: number;
      strategy: { rollingUpdate: object };
      template: { spec: { affinity: object; topologySpreadConstraints: object[]; containers: Container[] } };
    };
  };
  const manifests = await render('operator.metrics.port=9000');
  const { spec } = named(manifests, 'Deployment', 'hapair-operator') as Deployment;
  assert.is(spec.replicas, 2);
  assert.equal(spec.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  const pod = spec.template.spec;
  assert.is(pod.topologySpreadConstraints.length, 1);
  assert.ok('podAntiAffinity' in pod.affinity);
  const [container] = pod.containers;
  if (container === undefined) throw new Error('The pod has no container.');
  assert.ok(container.args.includes('--lease-duration-seconds=15'));
  assert.ok(container.args.includes('--port=9000'));
  assert.equal(container.ports, [{ name: 'http', containerPort: 9000 }]);
  assert.equal(container.livenessProbe.httpGet, { path: '/healthz', port: 'http' });
  assert.equal(container.readinessProbe.httpGet, { path: '/readyz', port: 'http' });
  assert.equal(container.env[0], {
    name: 'POD_NAME',
    valueFrom: { fieldRef: { fieldPath: 'metadata.name' } },
  });
  const budget = named(manifests, 'PodDisruptionBudget', 'hapair-operator') as { spec: object };
  assert.ok('maxUnavailable' in budget.spec);
});

test('leadership, signs of life and failovers do not wait at the API server in line with what there is much of', async () => {
  type Flow = { spec: { priorityLevelConfiguration: { name: string }; rules: { subjects: object[] }[] } };
  const api = '/apis/flowcontrol.apiserver.k8s.io/v1';
  const subjects = ['hapair-operator', 'hapair-agent-node1', 'hapair-agent-node2'].map((name) => ({
    kind: 'ServiceAccount',
    serviceAccount: { name, namespace: SYSTEM },
  }));
  for (const [name, level] of [
    ['hapair-leases', 'leader-election'],
    ['hapair', 'workload-high'],
  ]) {
    const flow = accept(await callAPI(who.admin, 'GET', `${api}/flowschemas/${name}`)).body as Flow;
    assert.is(flow.spec.priorityLevelConfiguration.name, level);
    assert.equal(flow.spec.rules[0]?.subjects, subjects);
    accept(await callAPI(who.admin, 'GET', `${api}/prioritylevelconfigurations/${level}`));
  }
});

test('monitoring and the network policy are there when asked for, and not before', async () => {
  const optional = ['ServiceMonitor', 'PrometheusRule', 'NetworkPolicy'];
  const kinds = new Set((await render()).map(({ kind }) => kind));
  assert.equal(
    optional.filter((kind) => kinds.has(kind)),
    [],
  );
  const manifests = await render(
    'operator.metrics.serviceMonitor.enabled=true',
    'operator.metrics.serviceMonitor.labels.release=prometheus',
    'operator.metrics.prometheusRule.enabled=true',
    'operator.networkPolicy.enabled=true',
  );
  type Monitor = {
    metadata: { labels: Record<string, string> };
    spec: { selector: { matchLabels: object }; endpoints: { port: string; honorLabels: boolean }[] };
  };
  const monitor = named(manifests, 'ServiceMonitor', 'hapair-operator') as Monitor;
  assert.is(monitor.metadata.labels.release, 'prometheus');
  assert.ok(monitor.spec.endpoints[0]?.honorLabels, 'a pair keeps its own namespace');
  type Service = { metadata: { labels: object }; spec: { ports: { name: string }[] } };
  const service = named(manifests, 'Service', 'hapair-operator-metrics') as Service;
  assert.is(monitor.spec.endpoints[0]?.port, service.spec.ports[0]?.name);
  for (const label of Object.entries(monitor.spec.selector.matchLabels))
    assert.ok(
      Object.entries(service.metadata.labels).some(([key, value]) => key === label[0] && value === label[1]),
      `the Service has the label ${label}`,
    );
  named(manifests, 'NetworkPolicy', 'hapair-operator');
});

test('each alert has a summary, says what to do, and asks for metrics that docs/metrics.md explains', async () => {
  type Rule = {
    alert: string;
    expr: string;
    labels: { severity: string };
    annotations: { summary: string; description: string };
  };
  type PrometheusRule = { spec: { groups: { rules: Rule[] }[] } };
  const manifests = await render('operator.metrics.prometheusRule.enabled=true');
  const { spec } = named(manifests, 'PrometheusRule', 'hapair') as PrometheusRule;
  const rules = spec.groups.flatMap(({ rules: each }) => each);
  const explained = await readFile(join(CHART, '..', '..', 'docs', 'metrics.md'), 'utf8');
  assert.is(rules.length, 18);
  for (const { alert, expr, labels, annotations } of rules) {
    assert.match(labels.severity, /^(critical|warning)$/);
    assert.ok(annotations.summary.length > 20 && annotations.description.length > 80, alert);
    assert.match(explained, `| \`${alert}\` |`);
    const names = expr.match(/hapair_[a-z0-9_]+/g) ?? [];
    assert.ok(names.length > 0, expr);
    for (const name of names) assert.match(explained, `| \`${name}\` |`);
  }
});

test('installs every object that it renders', async () => {
  const rendered = parseAllDocuments(await helm('get', 'manifest', 'hapair', '--namespace', SYSTEM))
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
  assert.ok(rendered.length > 20, `${rendered.length} objects`);
  for (const { kind, metadata } of rendered) {
    const place = metadata.namespace === undefined ? [] : ['--namespace', metadata.namespace];
    await run(clients.kubectl, ['get', kind, metadata.name, ...place], { env: clientEnvironment() });
  }
});

test('the CRDs reach the API server as crds/ has them', async () => {
  for (const [file, name] of [
    ['hapair', 'hapairs'],
    ['vrrpinstance', 'vrrpinstances'],
  ]) {
    const manifest = await readFile(join(CHART, 'files', 'crds', `${file}.yaml`), 'utf8');
    const [document] = parseAllDocuments(manifest);
    const wanted = document?.toJS() as { spec: object };
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}.hapair.io`;
    // A dry-run apply of the source over what the chart installed changes nothing of the spec.
    const stored = accept(await callAPI(who.admin, 'GET', path)).body as { spec: object };
    const applied = accept(
      await callAPI(who.admin, 'PATCH', `${path}?dryRun=All&fieldManager=test&force=true`, {
        ...APPLY,
        body: wanted,
      }),
    ).body as { spec: object };
    assert.equal(stored.spec, applied.spec);
  }
});

test('the operator creates instances and writes the status and finalizer of a HAPair', async () => {
  for (const node of ['node1', 'node2']) {
    accept(
      await callAPI(who.operator, 'PATCH', `${INSTANCES}/web.${node}?fieldManager=hapair-operator`, {
        ...APPLY,
        body: instance(node),
      }),
    );
  }
  accept(await callAPI(who.admin, 'POST', HAPAIRS, { body: hapair('web') }));
  const finalizers = [{ op: 'add', path: '/metadata/finalizers', value: ['hapair.io/addresses'] }];
  const contentType = 'application/json-patch+json';
  accept(await callAPI(who.operator, 'PATCH', `${HAPAIRS}/web`, { contentType, body: finalizers }));
  const status = {
    apiVersion: 'hapair.io/v1alpha1',
    kind: 'HAPair',
    metadata: { name: 'web', namespace: 'prod' },
    status: { term: 1 },
  };
  accept(
    await callAPI(who.operator, 'PATCH', `${HAPAIRS}/web/status?fieldManager=hapair-operator`, {
      ...APPLY,
      body: status,
    }),
  );
  accept(
    await callAPI(who.operator, 'PATCH', `${LEASES}/hapair-operator?fieldManager=hapair-operator`, {
      ...APPLY,
      body: lease('hapair-operator'),
    }),
  );
  const event = {
    metadata: { generateName: 'web-', namespace: 'prod' },
    reason: 'Test',
    action: 'Test',
    type: 'Normal',
    note: 'x',
    eventTime: '2026-11-22T10:00:00.000000Z',
    reportingController: 'hapair.io/operator',
    reportingInstance: 'test',
    regarding: { kind: 'HAPair', name: 'web', namespace: 'prod' },
  };
  accept(
    await callAPI(who.operator, 'POST', '/apis/events.k8s.io/v1/namespaces/prod/events', { body: event }),
  );
});

test("the operator reads no Secret and writes neither a report, nor an agent's Lease, nor a HAPair of its own", async () => {
  refuse(await callAPI(who.operator, 'GET', '/api/v1/namespaces/prod/secrets/hapair-vrrp'), RBAC);
  refuse(await callAPI(who.operator, 'GET', '/api/v1/secrets'), RBAC);
  refuse(await applyReport(who.operator, 'node1'), RBAC);
  refuse(
    await callAPI(who.operator, 'PATCH', `${LEASES}/hapair-agent-node1?fieldManager=x`, {
      ...APPLY,
      body: lease('hapair-agent-node1'),
    }),
    RBAC,
  );
  refuse(await callAPI(who.operator, 'POST', HAPAIRS, { body: hapair('other') }), RBAC);
});

test('an agent reads the instances and reports on its own', async () => {
  accept(await callAPI(who.node1, 'GET', INSTANCES));
  accept(await applyReport(who.node1, 'node1'));
  accept(await applyReport(who.node1, 'node1', report('node1')));
});

test('an agent cannot report for its peer, not even by a forged spec in the request, nor change a spec', async () => {
  refuse(await applyReport(who.node1, 'node2'), POLICY);
  const { agentUsername } = instance('node1').spec;
  refuse(
    await applyReport(who.node1, 'node2', report('node2', { ...instance('node2').spec, agentUsername })),
    POLICY,
  );
  refuse(
    await callAPI(who.node1, 'PATCH', `${INSTANCES}/web.node1?fieldManager=x`, {
      ...APPLY,
      body: instance('node1'),
    }),
    RBAC,
  );
  refuse(await callAPI(who.node1, 'DELETE', `${INSTANCES}/web.node2`), RBAC);
  refuse(await callAPI(who.node1, 'GET', HAPAIRS), RBAC);
});

test("an agent renews its own Lease, reads its peer's, and writes no other, existing or not", async () => {
  for (const node of ['node1', 'node2'] as const) {
    const name = `hapair-agent-${node}`;
    accept(
      await callAPI(who[node], 'PATCH', `${LEASES}/${name}?fieldManager=hapair-agent&force=true`, {
        ...APPLY,
        body: lease(name),
      }),
    );
  }
  accept(await callAPI(who.node1, 'GET', `${LEASES}/hapair-agent-node2`));
  refuse(
    await callAPI(who.node1, 'PATCH', `${LEASES}/hapair-agent-node2?fieldManager=x&force=true`, {
      ...APPLY,
      body: lease('hapair-agent-node2'),
    }),
    RBAC,
  );
  refuse(
    await callAPI(who.node1, 'PATCH', `${LEASES}/hapair-operator?fieldManager=x&force=true`, {
      ...APPLY,
      body: lease('hapair-operator'),
    }),
    RBAC,
  );
  refuse(await callAPI(who.node1, 'POST', LEASES, { body: lease('hapair-agent-node3') }), POLICY);
  refuse(await callAPI(who.node1, 'DELETE', `${LEASES}/hapair-agent-node1`), RBAC);
});

test('an agent reads the Secrets the chart names, in the namespaces it serves, and no other', async () => {
  for (const namespace of ['prod', 'default']) {
    for (const name of ['hapair-vrrp', 'other']) {
      const path = `/api/v1/namespaces/${namespace}/secrets`;
      accept(
        await callAPI(who.admin, 'POST', path, { body: { metadata: { name }, stringData: { web: 'pass' } } }),
      );
      const read = await callAPI(who.node1, 'GET', `${path}/${name}`);
      if (namespace === 'prod' && name === 'hapair-vrrp') accept(read);
      else refuse(read, RBAC);
    }
    refuse(await callAPI(who.node1, 'GET', `/api/v1/namespaces/${namespace}/secrets`), RBAC);
  }
});

test('who may edit a namespace may look at HAPairs but not write them; hapair-editor may', async () => {
  const bind = async (role: string): Promise<void> => {
    const body = {
      metadata: { name: role },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'developer' }],
    };
    accept(
      await callAPI(who.admin, 'POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/prod/rolebindings', {
        body,
      }),
    );
  };
  await bind('edit');
  await plane.startControllerManager(); // aggregates hapair-viewer into view, edit and admin
  await until(async () => (await callAPI(who.developer, 'GET', HAPAIRS)).status === 200);
  refuse(await callAPI(who.developer, 'POST', HAPAIRS, { body: hapair('mine') }), RBAC);
  refuse(await callAPI(who.developer, 'DELETE', `${HAPAIRS}/web`), RBAC);
  await bind('hapair-editor');
  await until(
    async () => (await callAPI(who.developer, 'POST', HAPAIRS, { body: hapair('mine') })).status === 201,
  );
  refuse(
    await callAPI(who.developer, 'PATCH', `${HAPAIRS}/mine/status?fieldManager=x`, {
      ...APPLY,
      body: { apiVersion: 'hapair.io/v1alpha1', kind: 'HAPair', status: { term: 9 } },
    }),
    RBAC,
  );
});

test("O16: nobody but a node's own agent writes its report, whatever roles he is bound to", async () => {
  const roles = '/apis/rbac.authorization.k8s.io/v1';
  const name = 'impostor';
  accept(
    await callAPI(who.admin, 'POST', `${roles}/namespaces/prod/rolebindings`, {
      body: {
        ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name } },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'hapair-agent' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'developer' }],
      },
    }),
  );
  const words = /only system:serviceaccount:hapair-system:hapair-agent-node1 may write the status/;
  await until(async () => words.test(JSON.stringify((await applyReport(who.developer, 'node1')).body)));
  refuse(await applyReport(who.developer, 'node1'), words);
  refuse(await applyReport(who.admin, 'node1'), words);
  accept(await applyReport(who.node1, 'node1'));
  accept(await callAPI(who.admin, 'DELETE', `${roles}/namespaces/prod/rolebindings/${name}`));
});

/** Refused by the chart, with these words. */
const refused = async (words: RegExp, ...args: string[]): Promise<void> =>
  assert.match(String(await helm(...args).catch((error: Error) => error)), words);

test('O7: an upgrade that forgets the agents is refused and changes nothing; agents.none means it', async () => {
  const account = `/api/v1/namespaces/${SYSTEM}/serviceaccounts/hapair-agent-node1`;
  const uid = async (): Promise<string> =>
    (accept(await callAPI(who.admin, 'GET', account)).body as { metadata: { uid: string } }).metadata.uid;
  const before = await uid();
  const upgrade = ['upgrade', 'hapair', CHART, '--namespace', SYSTEM];
  const region = ['--set', 'operator.region=ap-northeast-1'];
  const words =
    /hapair-agent-node1 is an agent of this installation.*--reset-then-reuse-values.*agents\.none/s;
  await refused(words, ...upgrade, ...region, '--set', 'operator.replicas=1');
  await refused(
    /serve namespace prod.*--reset-then-reuse-values/s,
    ...[...upgrade, ...region, '--set', 'agents.nodes={node1,node2}'],
  );
  assert.is(await uid(), before);
  await helm(...upgrade, '--reset-then-reuse-values', '--set', 'operator.replicas=1');
  assert.is(await uid(), before, 'the agents keep their accounts');
  await helm(...upgrade, ...region, '--set', 'agents.none=true');
  assert.is((await callAPI(who.admin, 'GET', account)).status, 404);
  await helm('upgrade', 'hapair', CHART, ...settings);
});

test('O15: a second installation in the cluster is refused by name', async () => {
  const words = /installed in this cluster already, as release hapair in namespace hapair-system/;
  await refused(words, 'install', 'other', CHART, '--namespace', SYSTEM, '--take-ownership');
  await refused(words, 'install', 'hapair', CHART, '--namespace', 'elsewhere', '--create-namespace');
});

test('uninstalling keeps the CRDs and the HAPairs, and a new installation takes them over', async () => {
  await helm('uninstall', 'hapair', '--namespace', SYSTEM);
  accept(await callAPI(who.admin, 'GET', `${HAPAIRS}/web`));
  assert.is(
    (await callAPI(who.admin, 'GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles/hapair-operator'))
      .status,
    404,
  );
  await helm('install', 'hapair', CHART, ...settings);
  accept(await callAPI(who.admin, 'GET', `${HAPAIRS}/web`));
});

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not within 30 s: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

const hapair = (name: string) => ({
  apiVersion: 'hapair.io/v1alpha1',
  kind: 'HAPair',
  metadata: { name, namespace: 'prod' },
  spec: {
    nodes: [
      { name: 'node1', address: '10.10.10.11', networkInterfaceID: 'eni-0aaaaaaaaaaaaaaa1' },
      { name: 'node2', address: '10.10.10.12', networkInterfaceID: 'eni-0bbbbbbbbbbbbbbb2' },
    ],
    addresses: [{ name: 'main', vip: '10.10.10.10' }],
    vrrp: { virtualRouterID: 10 },
  },
});

test.run();
