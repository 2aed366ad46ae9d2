/** VRRP parameters of a running pair: passwords, and changes in three steps that the agent acknowledges (traces T6, T26). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VRRPInstanceSpec, VRRPParameters } from '../../crds/types.ts';
import { createBench } from '../testing/pair-bench.ts';

const set = (key: string, seconds = 1): VRRPParameters => ({
  version: 2,
  virtualRouterID: 10,
  advertisementIntervalMilliseconds: seconds * 1000,
  authentication: { secretRef: { name: 'hapair-vrrp', key } },
});
const [OLD, NEW] = [set('old'), set('new', 3)];
const one = (only: VRRPParameters): VRRPInstanceSpec['vrrp'] => ({ send: only, accept: [only] });
const ACCEPT_BOTH = { send: OLD, accept: [OLD, NEW] };
const SEND_NEW = { send: NEW, accept: [OLD, NEW] };

type Bench = ReturnType<typeof createBench>;
/** What the worker runs: the set it sends and those it accepts, each as `password seconds`. */
const running = ({ told }: Bench) => {
  const config = told('set').at(-1)?.config;
  const text = (parameters: { password?: Uint8Array; advertisementIntervalMs: number }) =>
    `${new TextDecoder().decode(parameters.password)} ${parameters.advertisementIntervalMs / 1000}`;
  return config && { send: text(config), accept: (config.accept ?? []).map(text) };
};

/** A Backup that speaks the old set, with both keys in the Secret. */
const createOld = async () => {
  const bench = createBench();
  bench.setSecret('old', 's3cret', '7');
  bench.setSecret('new', 'fresh', '7');
  await bench.look();
  await bench.apply({ vrrp: one(OLD) });
  await bench.enter('Backup', 'AgentStarted');
  return bench;
};

test('a password that cannot be read is said, and the spec not loaded', async () => {
  const bench = createBench();
  await bench.look();
  await bench.apply({ vrrp: one(set('web')) });
  assert.is(bench.condition('SecretResolved'), 'False SecretUnreadable');
  assert.is(bench.report?.observedGeneration, undefined);
  bench.setSecret('web', 's3cret', '7');
  await bench.pass(10_000);
  await bench.enter('Backup', 'AgentStarted');
  assert.is(bench.condition('SecretResolved'), 'True SecretRead');
  assert.is(bench.report?.secretResourceVersion, '7');
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  assert.not(JSON.stringify(bench.world.reports).includes('s3cret'));
  assert.not(bench.story.some((line) => line.includes('s3cret')));
});

test('the password outlives the API and a restart; edited in place it is not followed', async () => {
  const bench = await createOld();
  bench.world.apiUp = false;
  await bench.crash();
  await bench.look();
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  bench.world.apiUp = true;
  bench.setSecret('old', 'other', '8');
  await bench.apply({ priority: 150 });
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  assert.is(bench.report?.secretResourceVersion, '7');
});

test('three steps: accept both, send new, accept new only; each acknowledged, each known after a restart without the API', async () => {
  const bench = await createOld();
  const steps = [
    { vrrp: ACCEPT_BOTH, runs: { send: 's3cret 1', accept: ['s3cret 1', 'fresh 3'] } },
    { vrrp: SEND_NEW, runs: { send: 'fresh 3', accept: ['s3cret 1', 'fresh 3'] } },
    { vrrp: one(NEW), runs: { send: 'fresh 3', accept: ['fresh 3'] } },
  ];
  for (const { vrrp, runs } of steps) {
    await bench.apply({ vrrp });
    assert.is(bench.report?.observedGeneration, bench.own().metadata.generation);
    assert.equal(running(bench), runs);
    bench.world.apiUp = false;
    await bench.crash();
    await bench.look();
    assert.equal(running(bench), runs, 'from disk');
    bench.world.apiUp = true;
    await bench.seconds(10);
    await bench.enter('Backup', 'AgentStarted');
  }
  assert.equal(
    bench.world.disk?.secrets.map(({ ref }) => ref.key),
    ['new'],
    'a password that nothing names is not kept',
  );
});

test('T6: cut off from the API in the middle of a change, a node goes on with what it acknowledged last', async () => {
  const bench = await createOld();
  bench.world.apiUp = false;
  await bench.apply({ vrrp: ACCEPT_BOTH });
  await bench.seconds(120);
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  assert.is(bench.report?.observedGeneration, 1, 'so the operator waits, and the peer sends the old set');
  await bench.crash();
  await bench.look();
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
});

test('T6: accepting both is acknowledged only once the password of each can be read', async () => {
  const bench = await createOld();
  bench.world.secrets.delete('new');
  await bench.apply({ vrrp: ACCEPT_BOTH });
  assert.is(bench.report?.observedGeneration, 1);
  assert.is(bench.condition('SecretResolved'), 'False SecretUnreadable');
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  bench.setSecret('new', 'fresh', '8');
  await bench.pass(10_000);
  assert.is(bench.report?.observedGeneration, 2);
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1', 'fresh 3'] });
});

test('T26: what is not on disk is not acknowledged, and a crash then loses nothing that was', async () => {
  const bench = await createOld();
  bench.world.diskUp = false;
  await bench.apply({ vrrp: ACCEPT_BOTH });
  await bench.seconds(10);
  assert.is(bench.report?.observedGeneration, 1);
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  bench.world.apiUp = false;
  await bench.crash();
  await bench.look();
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
});

test('T26: acknowledged, crashed, restarted before the API answers: both are accepted', async () => {
  const bench = await createOld();
  await bench.apply({ vrrp: ACCEPT_BOTH });
  assert.is(bench.report?.observedGeneration, 2);
  bench.world.apiUp = false;
  await bench.crash();
  await bench.look();
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1', 'fresh 3'] });
});

test('a change withdrawn before anybody sent it leaves the old set alone', async () => {
  const bench = await createOld();
  await bench.apply({ vrrp: ACCEPT_BOTH });
  await bench.apply({ vrrp: one(OLD) });
  assert.equal(running(bench), { send: 's3cret 1', accept: ['s3cret 1'] });
  assert.is(bench.report?.observedGeneration, 3);
});

test('a set whose password is not on disk is neither sent nor accepted without it', async () => {
  const bench = await createOld();
  const disk = bench.world.disk;
  if (disk === null) throw new Error('nothing was saved');
  bench.world.apiUp = false;
  await bench.crash({ ...disk, secrets: [] });
  await bench.look();
  assert.equal(bench.told('set'), []);
});

test('sets of another version or virtual router are refused', async () => {
  const bench = await createOld();
  await bench.apply({ vrrp: { send: OLD, accept: [OLD, { ...OLD, virtualRouterID: 11 }] } });
  assert.is(bench.condition('Ready'), 'False NotSupportedYet');
  assert.is(bench.report?.observedGeneration, 1);
});

test('what is beyond the limits of the node is refused and said, and the spec before goes on', async () => {
  const bench = await createOld();
  bench.world.beyondLimits = 'node node1 runs as many pairs as it may';
  await bench.apply({ priority: 7 });
  assert.is(bench.condition('Ready'), 'False BeyondLimits');
  assert.is(bench.report?.observedGeneration, 1);
});

test.run();
