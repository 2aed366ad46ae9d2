/** Addresses of a running pair that come, change and go: a new one is up before the old one goes, and what stays is not touched. */
import * as assert from 'uvu/assert';
import { type PairAddress, vipsOf } from '../../crds/types.ts';
import { PUBLIC_IP, type Stage, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { between, lost } from '../../hack/lab/outage.ts';
import {
  assertNothingLost,
  conditionSays,
  edit,
  eventTold,
  eventually,
  failOver,
  instanceOf,
  interfaceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  networkInterfaceOf,
  pairOf,
  quickPair,
  roomyVPC,
  SPARE_EIPS,
  storyOf,
} from './support.ts';

const [SECOND, INNER, SUCCESSOR] = ['10.10.10.20', '10.10.10.30', '10.10.10.40'] as const;
const [SECOND_IP, OUTER_IP] = ['203.0.113.20', '203.0.113.30'] as const;
const EIP = 'eipalloc-0ccccccccccccccc3';

const { row, run } = storyOf('addresses', quickPair, {
  vpc: roomyVPC(),
  vips: [VIP, SECOND, INNER, SUCCESSOR],
});

const main: PairAddress = { name: 'main', vip: VIP, eipAllocationID: EIP };
const second: PairAddress = { name: 'second', vip: SECOND, eipAllocationID: SPARE_EIPS[SECOND_IP] };
const inner: PairAddress = { name: 'inner', vip: INNER };
const outer: PairAddress = { name: 'outer', eipAllocationID: SPARE_EIPS[OUTER_IP] };

/** The newest spec is in force, and these addresses, no other, are recorded and at `node`. */
const served = (stage: Stage, addresses: readonly PairAddress[], node: string) =>
  eventually(`${addresses.map(({ name }) => name)} should be served by ${node}`, async () => {
    const { metadata, status } = await pairOf(stage);
    const held = (status?.addresses ?? []).map(({ name, vip, eipAllocationID, holder }) =>
      [name, vip, eipAllocationID, holder].join(),
    );
    const wanted = addresses.map(({ name, vip, eipAllocationID }) =>
      [name, vip, eipAllocationID, node].join(),
    );
    const isSeen = status?.observedGeneration === metadata.generation && status?.holder === node;
    return isSeen && held.join(' ') === wanted.join(' ') ? status : undefined;
  });

const primaryOf = (stage: Stage, node: string): string => stage.lab.node(node).instance.address;

/** What a call did to which addresses, in words. */
const inWords = async (stage: Stage, sinceID: number): Promise<string[]> =>
  (await mutatingCalls(stage, sinceID)).map(({ action, parameters }) => {
    const addresses = Object.entries(parameters).flatMap(([name, value]) =>
      name.startsWith('PrivateIpAddress') ? [value] : [],
    );
    return [action, ...addresses.sort()].join(' ');
  });

row('an address with a VIP and an EIP is added', async (stage) => {
  const [fromMs, callID, master] = [nowMs(), await lastCallID(stage), await masterOf(stage)];
  await edit(stage, { addresses: [main, second] });
  await served(stage, [main, second], master);
  await conditionSays(stage, 'Ready', 'True Serving');
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[SECOND], networkInterfaceOf(stage, master));
  assert.equal(nat, { [PUBLIC_IP]: VIP, [SECOND_IP]: SECOND });
  assert.equal(await inWords(stage, callID), [
    `AssignPrivateIpAddresses ${SECOND}`,
    `AssociateAddress ${SECOND}`,
  ]);
  assert.match(await interfaceOf(stage, master), SECOND);
  await assertNothingLost(stage, fromMs);
});

row('a VIP alone and an EIP alone are added', async (stage) => {
  const [fromMs, master] = [nowMs(), await masterOf(stage)];
  await edit(stage, { addresses: [main, second, inner, outer] });
  await served(stage, [main, second, inner, outer], master);
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[INNER], networkInterfaceOf(stage, master));
  assert.is(nat[OUTER_IP], primaryOf(stage, master));
  await assertNothingLost(stage, fromMs);
});

row(
  'a failover moves all VIPs with one call, their EIPs with them, and the EIP alone with another',
  async (stage) => {
    const callID = await lastCallID(stage);
    const to = await failOver(stage);
    await served(stage, [main, second, inner, outer], to);
    const { routes, nat } = await stage.lab.ec2.settledMapping();
    for (const vip of [VIP, SECOND, INNER]) assert.is(routes[vip], networkInterfaceOf(stage, to), vip);
    assert.equal(nat, { [PUBLIC_IP]: VIP, [SECOND_IP]: SECOND, [OUTER_IP]: primaryOf(stage, to) });
    assert.equal(await inWords(stage, callID), [
      `AssignPrivateIpAddresses ${VIP} ${SECOND} ${INNER}`,
      `AssociateAddress ${primaryOf(stage, to)}`,
    ]);
  },
);

row('Retain: a dropped VIP is left where it is, and said so', async (stage) => {
  const [fromMs, callID, master] = [nowMs(), await lastCallID(stage), await masterOf(stage)];
  await edit(stage, { addresses: [main, second, outer] });
  await served(stage, [main, second, outer], master);
  await eventTold(stage, 'AddressReleased');
  const { routes } = await stage.lab.ec2.settledMapping();
  assert.is(routes[INNER], networkInterfaceOf(stage, master));
  assert.equal(await inWords(stage, callID), []);
  await assertNothingLost(stage, fromMs);
});

row('Unassign: a dropped EIP is disassociated, its VIP stays', async (stage) => {
  const [fromMs, callID, master] = [nowMs(), await lastCallID(stage), await masterOf(stage)];
  const bare: PairAddress = { name: second.name, vip: SECOND };
  await edit(stage, { deletionPolicy: 'Unassign', addresses: [main, bare, outer] });
  await served(stage, [main, bare, outer], master);
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[SECOND], networkInterfaceOf(stage, master));
  assert.equal(nat, { [PUBLIC_IP]: VIP, [OUTER_IP]: primaryOf(stage, master) });
  assert.equal(await inWords(stage, callID), ['DisassociateAddress']);
  await assertNothingLost(stage, fromMs);
});

row(
  'Unassign: a VIP changes: the new one is up before the old one goes, and both are served until then',
  async (stage) => {
    const [fromMs, callID, master] = [nowMs(), await lastCallID(stage), await masterOf(stage)];
    const changed: PairAddress = { ...main, vip: SUCCESSOR };
    const client = await stage.lab.probe({ name: 'lan-successor', from: 'lan', target: SUCCESSOR });
    await eventually('The client should send', async () =>
      (await client.samples()).length > 0 ? true : undefined,
    );
    await edit(stage, { addresses: [changed, outer] });
    await served(stage, [changed, outer], master);
    const calls = await mutatingCalls(stage, callID);
    const assigned = calls.find(({ action }) => action === 'AssignPrivateIpAddresses');
    const unassigned = calls.filter(({ action }) => action === 'UnassignPrivateIpAddresses');
    const firstGoneMs = Math.min(...unassigned.map(({ receivedAtMs }) => receivedAtMs));
    const mappedMs = assigned?.mappedAtMs ?? Number.POSITIVE_INFINITY;
    await client.answeredBy(master, 30_000);
    assert.ok(mappedMs < firstGoneMs, 'assigned before');
    const meanwhile = between(await client.samples(), mappedMs, firstGoneMs);
    assert.is(lost(meanwhile), 0, 'up already when EC2 delivers it, and so before the old one went');
    const { lan } = await stage.evidence();
    assert.is(lost(between(lan, fromMs, firstGoneMs)), 0, 'the old VIP was served until it went');

    const { routes, nat } = await stage.lab.ec2.settledMapping();
    assert.is(routes[SUCCESSOR], networkInterfaceOf(stage, master));
    assert.is(routes[VIP], undefined);
    assert.is(routes[SECOND], undefined);
    assert.equal(nat, { [PUBLIC_IP]: SUCCESSOR, [OUTER_IP]: primaryOf(stage, master) });
    await eventually('The old VIPs should leave the interface', async () => {
      const text = await interfaceOf(stage, master);
      return [VIP, SECOND].some((vip) => text.includes(`${vip}/`)) ? undefined : true;
    });
    assert.equal(vipsOf((await instanceOf(stage, master))?.spec ?? {}), [SUCCESSOR]);
  },
);

row('an EIP changes: the other one takes its place in one call', async (stage) => {
  const [callID, master] = [await lastCallID(stage), await masterOf(stage)];
  const changed: PairAddress = { name: 'main', vip: SUCCESSOR, eipAllocationID: SPARE_EIPS[SECOND_IP] };
  await edit(stage, { addresses: [changed, outer] });
  await served(stage, [changed, outer], master);
  await conditionSays(stage, 'Ready', 'True Serving');
  const { nat } = await stage.lab.ec2.settledMapping();
  assert.equal(nat, { [SECOND_IP]: SUCCESSOR, [OUTER_IP]: primaryOf(stage, master) });
  assert.equal(await inWords(stage, callID), [`AssociateAddress ${SUCCESSOR}`]);
});

row('an EIP alone is all that is left', async (stage) => {
  const master = await masterOf(stage);
  await edit(stage, { addresses: [outer] });
  await served(stage, [outer], master);
  const to = await failOver(stage);
  await served(stage, [outer], to);
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[SUCCESSOR], undefined);
  assert.equal(nat, { [OUTER_IP]: primaryOf(stage, to) });
});

run();
