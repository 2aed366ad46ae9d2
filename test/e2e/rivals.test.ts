/** HAPairs that name the same thing: the older has it, the younger writes nothing, says why, and takes over when the older goes. */
import * as assert from 'uvu/assert';
import type { HAPairSpec } from '../../crds/types.ts';
import {
  apply,
  conditionOf,
  conditionSays,
  deletePair,
  eventTold,
  instanceOf,
  lastCallID,
  mutatingCalls,
  pairOf,
  quickPair,
  roomyVPC,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('rivals', quickPair, { vpc: roomyVPC() });

type Rival = { name: string; names: string; make(spec: HAPairSpec): void };

const RIVALS: readonly Rival[] = [
  {
    name: 'same-vip',
    names: 'VIP 10.10.10.10',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.10' }];
      spec.vrrp.virtualRouterID = 20;
    },
  },
  {
    name: 'same-eip',
    names: 'EIP eipalloc-0ccccccccccccccc3',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.30', eipAllocationID: 'eipalloc-0ccccccccccccccc3' }];
      spec.vrrp.virtualRouterID = 30;
    },
  },
  {
    name: 'same-router',
    names: 'virtualRouterID 10 on eni-0aaaaaaaaaaaaaaa1 and virtualRouterID 10 on eni-0bbbbbbbbbbbbbbb2',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.40' }];
    },
  },
];

for (const { name, names, make } of RIVALS) {
  row(`a HAPair that names ${names}, which another one has, stands back and says why`, async (stage) => {
    const [before, callID] = [await pairOf(stage), await lastCallID(stage)];
    const pair = await quickPair();
    pair.metadata.name = name;
    make(pair.spec);
    await apply(stage, pair);
    const says = `HAPair web has ${names} already`;
    const told = await conditionSays(stage, 'Accepted', 'False AddressConflict', { name, says });
    assert.is(conditionOf(told, 'Ready'), 'False NotAccepted');
    assert.is(await instanceOf(stage, 'node1', name), undefined);
    assert.equal(await mutatingCalls(stage, callID), []);
    const after = await pairOf(stage);
    assert.is(conditionOf(after, 'Accepted'), 'True Accepted');
    assert.is(after.status?.term, before.status?.term);
    await eventTold(stage, 'AddressConflict', name);
  });
}

row('the older goes: each of the others has what it named', async (stage) => {
  const callID = await lastCallID(stage);
  await deletePair(stage);
  for (const { name } of RIVALS) {
    await conditionSays(stage, 'Accepted', 'True Accepted', { name });
    await conditionSays(stage, 'Ready', 'True Serving', { name });
  }
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  for (const { name } of RIVALS) {
    const { spec, status } = await pairOf(stage, name);
    const holder = spec.nodes.find((node) => node.name === status?.holder);
    for (const { vip = '' } of spec.addresses) assert.is(routes[vip], holder?.networkInterfaceID, vip);
  }
  assert.equal(nat, { '203.0.113.10': '10.10.10.30' });
  const actions = (await mutatingCalls(stage, callID)).map(({ action }) => action);
  assert.ok(!actions.includes('UnassignPrivateIpAddresses'), 'nothing was taken away first');
});

run();
