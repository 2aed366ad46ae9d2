/**
 * `kube/` against a real API server that misbehaves. In every row objects are changed, deleted and recreated behind the
 * trouble; afterwards the store equals a fresh list, the queue has delivered every change, and the leader still leads.
 */
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { callAPI } from '../hack/controlplane/api.ts';
import type { Mischief } from '../hack/controlplane/chaos-proxy.ts';
import { writePrivately } from '../hack/controlplane/kubeconfig.ts';
import { issueCertificate, keyPairIn } from '../hack/controlplane/pki.ts';
import { createToken } from '../hack/controlplane/tokens.ts';
import { isKubeError } from '../kube/client.ts';
import type { KubeObject, Resource } from '../kube/types.ts';
import {
  Bench,
  type BenchOptions,
  type ChaosWorld,
  CONFIG_MAPS,
  startCandidate,
  startChaosWorld,
  until,
} from './kube-bench.ts';

const chaos = suite('kube: chaos');
let world: ChaosWorld;

chaos.before(async () => {
  world = await startChaosWorld();
});

chaos.after(() => world?.stop());

const failure = (code: number, reason: string) => ({
  ...{ apiVersion: 'v1', kind: 'Status', status: 'Failure', code, reason },
  message: 'the proxy says so',
});

/** Runs a row and closes what it used, whatever comes of it. */
const row = (
  title: string,
  name: string,
  run: (bench: Bench) => Promise<void>,
  options: BenchOptions = {},
): void => {
  chaos(title, async () => {
    const bench = await Bench.start(world, name, options);
    try {
      await run(bench);
    } finally {
      await bench.stop();
    }
  });
};

/** The leader led all the time, and leads. */
const keptLeading = async (bench: Bench): Promise<void> => {
  await bench.renewed();
  assert.ok(bench.candidate.isLeader());
  assert.is(bench.candidate.lost(), 0);
  assert.is((await bench.lease()).spec?.leaseTransitions, 0);
};

const ROWS: [title: string, name: string, mischief: Mischief, hits: number, options?: BenchOptions][] = [
  ['500', 'status500', { do: 'answer', status: 500, body: failure(500, 'InternalError') }, 3],
  ['connections that are cut before the API server hears', 'cut', { do: 'cut' }, 3],
  ['answers that are lost after the API server did its work', 'swallow', { do: 'swallow' }, 2],
  [
    'half-open connections: nothing comes any more',
    'stall',
    { do: 'stall' },
    1,
    { silenceMs: 2_000, answerMs: 1_000, deadlineMs: 1_000 },
  ],
  ['answers and events cut off in the middle of a line', 'truncate', { do: 'truncate' }, 2],
  ['slow answers in small pieces', 'slow', { do: 'slow', delayMs: 10, pieceBytes: 61 }, 1],
];

for (const [title, name, mischief, hits, options] of ROWS) {
  row(
    title,
    name,
    async (bench) => {
      await bench.suffer(mischief, hits, async () => {
        const open = mischief.do === 'stall' || mischief.do === 'truncate' ? mischief.do : 'cut';
        assert.ok(world.proxy.streams(open) > 0);
        await bench.churn();
      });
      await bench.settled();
      await keptLeading(bench);
    },
    options,
  );
}

row('429 with Retry-After: nobody comes back earlier', 'status429', async (bench) => {
  const body = failure(429, 'TooManyRequests');
  await bench.suffer({ do: 'answer', status: 429, body, headers: { 'retry-after': '1' } }, 2, async () => {
    world.proxy.streams('cut');
    await bench.churn();
  });
  await bench.settled();
  await keptLeading(bench);
  const throttled = bench.retries.filter(({ error }) => isKubeError(error, 'Throttled'));
  assert.ok(throttled.length > 0);
  for (const { retryInMs } of throttled) assert.ok(retryInMs >= 1_000, `comes back in ${retryInMs} ms`);
});

row('410 as an HTTP status: everything is listed anew', 'gone', async (bench) => {
  const { relists } = bench.store.stats();
  const isWatch = (query: URLSearchParams) => query.has('watch') && query.get('labelSelector') === 'row=gone';
  const rule = world.proxy.rule({
    ...{ do: 'answer', status: 410, body: failure(410, 'Expired'), times: 1 },
    match: ({ query }) => isWatch(query),
  });
  world.proxy.streams('cut');
  await bench.churn();
  await bench.settled();
  assert.is(rule.hits(), 1);
  assert.ok(bench.store.stats().relists > relists);
  rule.remove();
});

/** Both forms of 410 come of a compaction that a client slept through: of the watch in its stream, of a page by HTTP. */
row(
  'etcd is compacted while the watch is half-open',
  'compact',
  async (bench) => {
    const { relists } = bench.store.stats();
    const stalled = world.proxy.rule({ do: 'stall', match: ({ query }) => query.has('labelSelector') });
    world.proxy.streams('stall');
    const path = '/api/v1/namespaces/default/configmaps?limit=1';
    const firstPage = await callAPI(world.plane.kubeconfig, 'GET', path);
    const token = (firstPage.body as { metadata: { continue: string } }).metadata.continue;
    await bench.churn();
    const { resourceVersion } = await world.admin.list(CONFIG_MAPS, { namespace: 'default' });
    await compact(world.dir, resourceVersion);
    // The API server's own cache still knows what etcd has forgotten; a new one does not.
    await world.plane.kill('kube-apiserver');
    world.plane.start('kube-apiserver');
    await apiServerAnswers();
    const page = await world.admin
      .listPage(CONFIG_MAPS, { namespace: 'default' }, token)
      .catch((error: unknown) => error);
    assert.ok(isKubeError(page, 'Gone') && page.status === 410, String(page));
    stalled.remove();
    world.proxy.streams('cut');
    await bench.settled();
    assert.ok(bench.store.stats().relists > relists, 'the old position was refused');
    await until('somebody leads', () => bench.candidate.isLeader());
  },
  { silenceMs: 5_000, answerMs: 2_000 },
);

const REVIEWS: Resource = {
  ...{
    group: 'authentication.k8s.io',
    version: 'v1',
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
  },
};

chaos('a client certificate is renewed on disk: calls go on, as the new user', async () => {
  const file = await writeCertificateKubeconfig('rotating-1');
  const bench = await Bench.start(world, 'certificate', { kubeconfigPath: file, deadlineMs: 30_000 });
  try {
    const whoAmI = async () => {
      const review = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'SelfSubjectReview',
        metadata: { name: '' },
      };
      const answer = await bench.client.create<KubeObject>(REVIEWS, review);
      return (answer as KubeObject & { status?: { userInfo?: { username?: string } } }).status?.userInfo
        ?.username;
    };
    assert.is(await whoAmI(), 'rotating-1');
    await writeCertificateKubeconfig('rotating-2');
    assert.is(await whoAmI(), 'rotating-2');
    await bench.churn();
    await bench.settled();
    await keptLeading(bench);
    assert.equal(bench.retries, []);
  } finally {
    await bench.stop();
  }
});

row(
  'a token is refused until its file holds another: nobody loses more than the wait',
  'token',
  async (bench) => {
    const tokenFile = join(world.dir, 'token.kubeconfig.token');
    const old = (await readFile(tokenFile, 'utf8')).trim();
    const refused = world.proxy.rule({
      ...{ do: 'answer', status: 401, body: failure(401, 'Unauthorized') },
      match: ({ token }) => token === old,
    });
    world.proxy.streams('cut');
    await bench.churn();
    await until('the watch is refused', () => {
      const error = bench.store.error();
      return isKubeError(error, 'Unauthorized');
    });
    await writePrivately(tokenFile, await createToken(world.plane.kubeconfig, 'default', 'bench', 1_200));
    await bench.settled();
    await keptLeading(bench);
    assert.ok(refused.hits() > 0);
    refused.remove();
  },
);

for (const program of ['kube-apiserver', 'etcd'] as const) {
  row(`${program} is killed and started again`, `restart-${program}`, async (bench) => {
    await world.plane.kill(program);
    bench.touch();
    await until('calls fail', () => bench.retries.length > 0);
    world.plane.start(program);
    await apiServerAnswers();
    await bench.churn();
    await bench.settled();
    // How long the restart took decides whether the leader had to give up; it may, and then it is elected again.
    await until('somebody leads', () => bench.candidate.isLeader());
    await bench.renewed();
    const { spec } = await bench.lease();
    assert.is(spec?.leaseTransitions, bench.candidate.lost());
  });
}

row(
  'a leader cut off loses by its own deadline, a rival follows, never both; then it is elected again',
  'cutoff',
  async (bench) => {
    const key = 'default/leader-of-two';
    const times = { leaseDurationMs: 5_000, renewDeadlineMs: 3_500, retryPeriodMs: 200 };
    const one = startCandidate(bench.client, key, times, bench.signal);
    await until('the first leads', () => one.isLeader());
    const two = startCandidate(world.admin, key, times, bench.signal);
    const overlaps = countOverlaps(one, two);
    const cutOff = world.proxy.rule({ do: 'stall', match: ({ path }) => path.endsWith('/leader-of-two') });
    await until('the second leads', () => two.isLeader());
    assert.not(one.isLeader());
    assert.ok(one.lost() > 0);
    cutOff.remove();
    await two.release();
    one.nudge();
    await until('the first leads again', () => one.isLeader());
    assert.is(overlaps.stop(), 0);
  },
);

/** Asks every few milliseconds whether both lead. */
const countOverlaps = (one: { isLeader(): boolean }, two: { isLeader(): boolean }) => {
  let overlaps = 0;
  const sampler = setInterval(() => {
    if (one.isLeader() && two.isLeader()) overlaps += 1;
  }, 5);
  return {
    stop: () => {
      clearInterval(sampler);
      return overlaps;
    },
  };
};

const apiServerAnswers = (): Promise<void> =>
  until('the API server is ready', () =>
    callAPI(world.plane.kubeconfig, 'GET', '/readyz', { timeoutMs: 2_000 }).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );

/** A kubeconfig of an admin that names its certificate's files, so that they can be renewed in place. */
const writeCertificateKubeconfig = async (user: string): Promise<string> => {
  const { dir, plane } = world;
  const issuer = keyPairIn(dir, 'client-ca');
  await issueCertificate(dir, 'rotating', { commonName: user, organizations: ['system:masters'], issuer });
  const file = join(dir, 'rotating.kubeconfig');
  await writePrivately(
    file,
    `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "${plane.server}", certificate-authority: "${plane.caFile}"}}]
users: [{name: u, user: {client-certificate: rotating.crt, client-key: rotating.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
  return file;
};

/** Makes etcd forget all before this revision, by the HTTP form of its API on its socket. */
const compact = (dir: string, revision: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const options = { socketPath: join(dir, 'etcd:2379'), path: '/v3/kv/compaction', method: 'POST' };
    const call = request(options, async (response) => {
      const answer = await json(response).catch((error: unknown) => String(error));
      if (response.statusCode === 200) resolve();
      else reject(new Error(`etcd's compaction: ${response.statusCode} ${JSON.stringify(answer)}`));
    });
    call.on('error', reject);
    call.end(JSON.stringify({ revision, physical: true }));
  });

chaos.run();
