/**
 * What an incumbent suffers under keepalived, and does not under hapair: it is preempted although nobody should preempt, it
 * loses when a partition heals, and a mastership of a moment leaves the addresses on the wrong node. The rows of
 * test/interop show the same faults of keepalived itself.
 */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { PUBLIC_IP, type Stage, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { within } from '../../hack/lab/handles.ts';
import {
  assertNothingLost,
  assertSwitched,
  backup,
  conditionSays,
  demoPair,
  eventually,
  failOver,
  instanceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  networkInterfaceOf,
  now,
  otherNode,
  PATIENCE_MS,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('keepalived-faults', demoPair);

const FORGER = join(import.meta.dirname, '..', '..', 'hack', 'bench', 'failover', 'forger.ts');
const FLAPS = 4;
/** On a busy machine the true Master's next advert may come before the false resignation is believed. */
const MOST_TURNS = 3 * FLAPS;

const addressOf = (stage: Stage, node: string): string => stage.lab.node(node).instance.address;

/** Adverts that a node has sent as Master, oldest first. */
const advertsOf = (stage: Stage, node: string) =>
  stage.adverts.filter(({ source, priority }) => source === addressOf(stage, node) && priority > 0);

/** Waits for five more adverts of the Master: more than a Backup waits for before it claims. */
const masterGoesOn = async (stage: Stage, node: string): Promise<void> => {
  const goal = advertsOf(stage, node).length + 5;
  await eventually(`${node} should go on advertising`, async () =>
    advertsOf(stage, node).length >= goal ? true : undefined,
  );
};

/** EC2 delivers both addresses to this node, and it alone is Master. */
const assertServes = async (stage: Stage, node: string): Promise<void> => {
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, node), 'the VIP goes to the Master');
  assert.is(nat[PUBLIC_IP], VIP);
  assert.is((await instanceOf(stage, node))?.status?.state, 'Master');
  assert.is((await instanceOf(stage, otherNode(node)))?.status?.state, 'Backup');
};

/** EC2's holder has the higher priority, in spec and on the wire. */
const incumbent = async (stage: Stage): Promise<string> => {
  const node = await masterOf(stage);
  await eventually(`${node} should advertise the priority of a holder`, async () => {
    const other = await instanceOf(stage, otherNode(node));
    return advertsOf(stage, node).at(-1)?.priority === 200 && other?.spec.priority === 100 ? true : undefined;
  });
  return node;
};

row(
  'the incumbent stays when a partition heals: the one that took over in it (VRRP-FACTS 2.4, row 6)',
  async (stage) => {
    const old = await incumbent(stage);
    const heir = otherNode(old);
    const before = await now(stage);
    await stage.lab.cut(`${old}-${heir}`);
    await settled(stage, heir);
    assert.is(await incumbent(stage), heir);
    const [healedMs, claims] = [nowMs(), advertsOf(stage, old).length];
    await stage.lab.heal(`${old}-${heir}`);
    await backup(stage, old);
    await masterGoesOn(stage, heir);
    await assertSwitched(stage, before, heir, { calls: 1 });
    await assertServes(stage, heir);
    await assertNothingLost(stage, healedMs);
    assert.ok(claims > 0, 'both were Master while the link was cut');
  },
);

row(
  'the incumbent stays when a partition heals: the one that was there before (VRRP-FACTS 2.4, row 5)',
  async (stage) => {
    const stays = await incumbent(stage);
    const claimant = otherNode(stays);
    const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
    await stage.lab.cut(`${stays}-${claimant}`);
    // Soon after a switch the addresses stay with an incumbent that proves itself alive.
    await conditionSays(stage, 'AddressesConverged', 'False HeldDown');
    await stage.lab.heal(`${stays}-${claimant}`);
    await settled(stage, stays);
    await backup(stage, claimant);
    await masterGoesOn(stage, stays);
    assert.equal(await mutatingCalls(stage, callID), []);
    await assertServes(stage, stays);
    await assertNothingLost(stage, fromMs);
  },
);

row(
  'nobody is preempted: the preferred node returns as Backup and stays it (VRRP-FACTS 2.4, row 1)',
  async (stage) => {
    const preferred = (await pairOf(stage)).spec.preferredNode ?? '';
    if ((await failOver(stage)) === preferred) await failOver(stage);
    const stays = otherNode(preferred);
    const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
    await stage.lab.node(preferred).killService('agent');
    await stage.gone(preferred, 'agent');
    const claims = advertsOf(stage, preferred).length;
    await stage.lab.node(preferred).startService('agent');
    await backup(stage, preferred);
    await masterGoesOn(stage, stays);
    assert.is(advertsOf(stage, preferred).length, claims, 'it never advertised');
    assert.equal(await mutatingCalls(stage, callID), []);
    await assertServes(stage, stays);
    await assertNothingLost(stage, fromMs);
  },
);

row(
  'masterships of a moment: EC2 goes on delivering to the node that is Master (VRRP-FACTS 2.5)',
  async (stage) => {
    const stays = await incumbent(stage);
    const flapping = otherNode(stays);
    const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
    let flaps = 0;
    for (let turn = 0; flaps < FLAPS && turn < MOST_TURNS; turn++) {
      const claims = advertsOf(stage, flapping).length;
      const argv = [process.execPath, FORGER, addressOf(stage, stays), addressOf(stage, flapping)];
      const forger = await stage.lab.spawn({ name: 'forger', where: stays, argv });
      const { code } = await within(forger.exited, PATIENCE_MS, 'The forger did not end');
      assert.is(code, 0, `see ${forger.logFile}`);
      await masterGoesOn(stage, stays);
      if (advertsOf(stage, flapping).length > claims) flaps++;
    }
    assert.is(flaps, FLAPS, `${flapping} should believe the false resignations`);
    await backup(stage, flapping);
    assert.equal(await mutatingCalls(stage, callID), []);
    await settled(stage, stays);
    await assertServes(stage, stays);
    await assertNothingLost(stage, fromMs);
  },
);

run();
