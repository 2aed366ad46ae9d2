/** Ends of a pair, by each deletion policy and with everything that can stand in the way. Each row begins a pair anew. */
import * as assert from 'uvu/assert';
import type { HAPair } from '../../crds/types.ts';
import { PUBLIC_IP, type Stage, VIP } from '../../hack/demo/stage.ts';
import { ACCESS_KEYS } from '../../hack/lab/ec2/credentials.ts';
import {
  apply,
  backup,
  conditionOf,
  conditionSays,
  deletePair,
  eventTold,
  eventually,
  instanceOf,
  interfaceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  networkInterfaceOf,
  otherNode,
  pairOf,
  quickPair,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('deletion');

/** A running pair of that policy. Returns its master. */
const begin = async (stage: Stage, deletionPolicy: HAPair['spec']['deletionPolicy']): Promise<string> => {
  const pair = await quickPair();
  await apply(stage, { ...pair, spec: { ...pair.spec, deletionPolicy } });
  // As it is stored: what kubectl has printed may be of the pair before, which goes without a further word.
  const { status } = await conditionSays(stage, 'Ready', 'True Serving');
  const { master = '', holder } = status ?? {};
  assert.is(holder, master);
  await backup(stage, otherNode(master));
  return master;
};

/** `kubectl delete` that returns at once. */
const startDelete = (stage: Stage): Promise<string> =>
  stage.kubectl(['delete', 'hap', stage.name, '-n', stage.namespace, '--wait=false']);

const gone = async (stage: Stage): Promise<void> => {
  await stage.kubectl(['wait', '--for=delete', `hap/${stage.name}`, '-n', stage.namespace, '--timeout=90s']);
  await eventually(
    'The instances should go with it',
    async () => {
      const left = await Promise.all([instanceOf(stage, 'node1'), instanceOf(stage, 'node2')]);
      return left.every((instance) => instance === undefined) ? true : undefined;
    },
    60_000,
  );
};

/** Nothing of the pair is left in EC2. */
const assertReleased = async (stage: Stage): Promise<void> => {
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], undefined, 'the VIP is on no ENI');
  assert.equal(nat, {}, 'the EIP is associated with nothing');
};

const vipLeaves = (stage: Stage, node: string): Promise<true> =>
  eventually(`The VIP should leave the interface of ${node}`, async () =>
    (await interfaceOf(stage, node)).includes(`${VIP}/`) ? undefined : true,
  );

row('Retain: gone at once, and everything is left as it is', async (stage) => {
  const master = await masterOf(stage);
  const callID = await lastCallID(stage);
  await deletePair(stage);
  await gone(stage);
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, master));
  assert.is(nat[PUBLIC_IP], VIP);
  assert.match(await interfaceOf(stage, master), VIP);
  await stage.lan.answeredBy(master, 30_000);
  assert.equal(await mutatingCalls(stage, callID), []);
  // What lies on its ENIs a later pair would serve, but not take off: it is not that one which has placed it.
  const from = ['--network-interface-id', networkInterfaceOf(stage, master), '--private-ip-addresses', VIP];
  await stage.lab.aws(['ec2', 'unassign-private-ip-addresses', ...from]);
});

row('Unassign: off the ENIs, off the interfaces, gone', async (stage) => {
  const master = await begin(stage, 'Unassign');
  const callID = await lastCallID(stage);
  await deletePair(stage);
  await gone(stage);
  await assertReleased(stage);
  await vipLeaves(stage, master);
  const actions = (await mutatingCalls(stage, callID)).map(({ action }) => action);
  assert.equal(actions, ['UnassignPrivateIpAddresses'], 'the association of the EIP went with its address');
  await eventTold(stage, 'AddressReleased');
  await eventTold(stage, 'Deleted');
});

/** Another operator process, with the permissions of this access key. */
const restartAs = async (stage: Stage, who: 'operator' | 'readOnly'): Promise<void> => {
  await stage.product.killOperator();
  const { id, secret } = ACCESS_KEYS[who];
  await stage.product.startOperator({ env: { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } });
};

row('Unassign without the permission: said, tried again, and done once it is there', async (stage) => {
  const master = await begin(stage, 'Unassign');
  await restartAs(stage, 'readOnly');
  await startDelete(stage);
  const says = 'Taking the addresses off their ENIs fails: UnauthorizedOperation';
  const pair = await conditionSays(stage, 'AddressesConverged', 'False EC2Unauthorized', {
    says,
    timeoutMs: 60_000,
  });
  assert.is(conditionOf(pair, 'Ready'), 'False Deleting');
  await eventTold(stage, 'EC2Unauthorized');
  const { routes } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, master));
  await restartAs(stage, 'operator');
  await gone(stage);
  await assertReleased(stage);
});

row('a pair of the same name begins anew', async (stage) => {
  const master = await begin(stage, 'Retain');
  await settled(stage, master);
  assert.is((await pairOf(stage)).status?.history?.at(-1)?.reason, 'FirstElection');
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, master));
  assert.is(nat[PUBLIC_IP], VIP);
});

run();
