/**
 * Version 2 with a password that the two nodes do not agree on: the key was edited in place, and one node has lost its disk
 * since. Neither believes the other's adverts, so both are Master; EC2 follows the newer one, once, and a person is told.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { between, lost } from '../../hack/lab/outage.ts';
import {
  assertSwitched,
  type Before,
  backup,
  conditionOf,
  demoPair,
  eventReasons,
  eventually,
  instanceOf,
  masterOf,
  mutatingCalls,
  now,
  otherNode,
  pairOf,
  read,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('password', demoPair);

const passwordOf = async (stage: Stage): Promise<string> => {
  const path = `/api/v1/namespaces/${stage.namespace}/secrets/hapair-vrrp`;
  const secret = await read<{ data: Record<string, string> }>(stage, path);
  return Buffer.from(secret?.data[stage.name] ?? '', 'base64').toString();
};

/** The agent starts as on a new disk, but with its own Lease and kubeconfig. */
const loseDisk = async (stage: Stage, node: string): Promise<void> => {
  await stage.lab.node(node).killService('agent');
  await stage.gone(node, 'agent');
  rmSync(join(stage.lab.node(node).dir, 'state', `${stage.namespace}.${stage.name}.pair`));
  await stage.lab.node(node).startService('agent');
};

const splitBrain = (stage: Stage, wanted: string): Promise<string> =>
  eventually(`SplitBrain should be ${wanted}`, async () => {
    const pair = await pairOf(stage);
    if (conditionOf(pair, 'SplitBrain') !== wanted) return undefined;
    return pair.status?.conditions?.find(({ type }) => type === 'SplitBrain')?.message;
  });

const renewTime = async (stage: Stage, node: string): Promise<string | undefined> => {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${stage.product.namespace}/leases/hapair-agent-${node}`;
  return (await read<{ spec: { renewTime: string } }>(stage, path))?.spec.renewTime;
};

/** The agent shows a full sign of life. */
const lives = async (stage: Stage, node: string): Promise<void> => {
  const last = await renewTime(stage, node);
  await eventually(`${node} should renew its Lease`, async () =>
    (await renewTime(stage, node)) === last ? undefined : true,
  );
};

let parted: { older: string; newer: string; before: Before; fromMs: number; passwords: string[] } | undefined;

row('both are Master; the addresses go to the newer one, and kubectl says why', async (stage) => {
  const older = await masterOf(stage);
  const newer = otherNode(older);
  const [before, fromMs] = [await now(stage), nowMs()];
  const password = randomBytes(6).toString('base64url');
  const passwords = [await passwordOf(stage), password];
  await stage.kubectl([
    ...['patch', 'secret', 'hapair-vrrp', '-n', stage.namespace, '--type=merge'],
    ...['-p', JSON.stringify({ stringData: { [stage.name]: password } })],
  ]);
  await loseDisk(stage, newer);
  const message = await splitBrain(stage, 'True TwoMasters');
  assert.match(message, `${older} still reports Master in term 1 besides ${newer}`);
  assert.match(message, 'different versions of the Secret');
  parted = { older, newer, before, fromMs, passwords };
});

row('nothing goes to and fro, and no probe is lost', async (stage) => {
  if (parted === undefined) throw new Error('They are not parted.');
  const { older, newer, before, fromMs } = parted;
  await Promise.all([lives(stage, older), lives(stage, newer)]);
  assert.is((await instanceOf(stage, older))?.status?.state, 'Master');
  await assertSwitched(stage, before, newer, { calls: 1 });
  assert.ok((await eventReasons(stage)).includes('TwoMasters'));
  const { lan, internet } = await stage.evidence();
  assert.is(lost(between(lan, fromMs, nowMs())), 0);
  assert.is(lost(between(internet, fromMs, nowMs())), 0);
});

row('each says of the other what it sends wrongly, though both are Master', async (stage) => {
  for (const node of ['node1', 'node2']) {
    const told = await eventually(`${node} should tell of its peer`, async () => {
      const conditions = (await instanceOf(stage, node))?.status?.conditions ?? [];
      const found = conditions.find(({ type }) => type === 'PeerHeard');
      return found?.reason === 'PeerMisconfigured' ? found : undefined;
    });
    assert.is(told.status, 'False');
    assert.match(told.message, 'another password');
    assert.match(told.message, stage.lab.node(otherNode(node)).instance.address);
  }
});

row('once both read the same password, the older is Backup, and nothing moves', async (stage) => {
  if (parted === undefined) throw new Error('They are not parted.');
  const { older, newer, before } = parted;
  await loseDisk(stage, older);
  await backup(stage, older);
  await splitBrain(stage, 'False OneMaster');
  assert.is(await masterOf(stage), newer);
  assert.is((await mutatingCalls(stage, before.callID)).length, 1);
});

row('the logs name the cause and no password', async ({ lab, product }) => {
  const logs = ['node1', 'node2'].map((node) => readFileSync(lab.node(node).logOf('agent'), 'utf8'));
  for (const log of logs) assert.match(log, 'PasswordMismatch');
  for (const password of parted?.passwords ?? []) {
    for (const log of [...logs, readFileSync(product.operatorLog, 'utf8')]) assert.not.match(log, password);
  }
});

run();
