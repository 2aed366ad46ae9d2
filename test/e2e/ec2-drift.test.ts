/** What others do to the addresses, the ENIs and the instances in EC2: found, said, and put right. Rows build on each other. */
import * as assert from 'uvu/assert';
import { PUBLIC_IP, type Stage, VIP } from '../../hack/demo/stage.ts';
import { EC2_ENDPOINT } from '../../hack/lab/environment.ts';
import {
  assertSwitched,
  backup,
  conditionOf,
  conditionSays,
  eventReasons,
  eventTold,
  eventually,
  failOver,
  lastCallID,
  masterOf,
  mutatingCalls,
  networkInterfaceOf,
  now,
  otherNode,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('ec2-drift');

const EIP = 'eipalloc-0ccccccccccccccc3';
/** Drift is looked for every half minute, and repaired after a second reading. */
const DRIFT_MS = 90_000;
/** Takes the last place on a t3.micro's ENI. */
const STRANGER = '10.10.10.60';

const aws = (stage: Stage, ...args: string[]): Promise<string> => stage.lab.aws(['ec2', ...args]);

const stealVIP = (stage: Stage, node: string): Promise<string> =>
  aws(
    stage,
    ...['assign-private-ip-addresses', '--network-interface-id', networkInterfaceOf(stage, node)],
    ...['--private-ip-addresses', VIP, '--allow-reassignment'],
  );

/** Calls of the operator since then; a person's own are left out. */
const repairs = async (stage: Stage, sinceID: number): Promise<string[]> =>
  (await mutatingCalls(stage, sinceID))
    .filter(({ accessKeyID }) => accessKeyID.includes('OPERATOR'))
    .map(({ action }) => action);

const repaired = (stage: Stage, node: string, sinceID: number, actions: readonly string[]) =>
  eventually(
    `${actions} should put everything back to ${node}`,
    async () => {
      const { routes, nat } = await stage.lab.ec2.settledMapping();
      const isBack = routes[VIP] === networkInterfaceOf(stage, node) && nat[PUBLIC_IP] === VIP;
      const made = await repairs(stage, sinceID);
      return isBack && made.join() === actions.join() ? true : undefined;
    },
    DRIFT_MS,
  );

row('the VIP is stolen: put back after two readings, and said', async (stage) => {
  const [master, callID] = [await masterOf(stage), await lastCallID(stage)];
  await stealVIP(stage, otherNode(master));
  await repaired(stage, master, callID, ['AssignPrivateIpAddresses']);
  await settled(stage, master);
  await Promise.all([eventTold(stage, 'DriftFound'), eventTold(stage, 'DriftRepaired')]);
});

row('stolen again: put back again', async (stage) => {
  const [master, callID] = [await masterOf(stage), await lastCallID(stage)];
  await stealVIP(stage, otherNode(master));
  await conditionSays(stage, 'AddressesConverged', 'False AddressElsewhere', { says: VIP });
  await repaired(stage, master, callID, ['AssignPrivateIpAddresses']);
  await settled(stage, master);
});

row('the EIP is stolen: put back', async (stage) => {
  const [master, callID] = [await masterOf(stage), await lastCallID(stage)];
  const other = stage.lab.node(otherNode(master)).instance;
  await aws(
    stage,
    ...['associate-address', '--allocation-id', EIP],
    ...['--network-interface-id', other.networkInterfaceID, '--private-ip-address', other.address],
  );
  await repaired(stage, master, callID, ['AssociateAddress']);
  await settled(stage, master);
});

row('no internet gateway: the EIP cannot come back until there is one', async (stage) => {
  const [master, callID] = [await masterOf(stage), await lastCallID(stage)];
  await stage.lab.ec2.setGateway(false);
  await aws(stage, 'disassociate-address', '--public-ip', PUBLIC_IP);
  const says = 'Gateway.NotAttached';
  const pair = await conditionSays(stage, 'AddressesConverged', 'False EC2StateConflict', {
    says,
    timeoutMs: DRIFT_MS,
  });
  assert.is(conditionOf(pair, 'Ready'), 'False NotConverged');
  await eventTold(stage, 'EC2StateConflict');
  await stage.lab.ec2.setGateway(true);
  await eventually(
    'The EIP should come back',
    async () => ((await stage.lab.ec2.settledMapping()).nat[PUBLIC_IP] === VIP ? true : undefined),
    DRIFT_MS,
  );
  await settled(stage, master);
  const actions = new Set(await repairs(stage, callID));
  assert.equal([...actions], ['AssociateAddress']);
});

row('the ENI of the new master is full: said, and done once there is room', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  const target = ['--network-interface-id', networkInterfaceOf(stage, to)];
  await aws(stage, 'assign-private-ip-addresses', ...target, '--private-ip-addresses', STRANGER);
  const before = await now(stage);
  await stage.lab.node(from).killService('agent', 'SIGTERM');
  const pair = await conditionSays(stage, 'AddressesConverged', 'False EC2QuotaExceeded');
  assert.is(conditionOf(pair, 'Ready'), 'False NotConverged');
  assert.is(pair.status?.holder, from, 'they stay where they are');
  await eventTold(stage, 'EC2QuotaExceeded');
  await aws(stage, 'unassign-private-ip-addresses', ...target, '--private-ip-addresses', STRANGER);
  await settled(stage, to);
  await stage.gone(from, 'agent');
  await stage.lab.node(from).startService('agent');
  await backup(stage, from);
  const calls = (await repairs(stage, before.callID)).length;
  assert.ok(calls >= 2, 'it was tried again');
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, to));
  assert.is(nat[PUBLIC_IP], VIP);
});

/** The operator takes its credentials from the role of its instance, as EC2 gives them out. */
const ROLE = {
  AWS_ACCESS_KEY_ID: '',
  AWS_SECRET_ACCESS_KEY: '',
  AWS_EC2_METADATA_DISABLED: 'false',
};

row(
  'credentials end in the middle of a failover: new ones are fetched, and the call is made',
  async (stage) => {
    const endpoint = { AWS_EC2_METADATA_SERVICE_ENDPOINT: EC2_ENDPOINT };
    await stage.product.killOperator();
    await stage.product.startOperator({ env: { ...ROLE, ...endpoint } });
    await eventually('EC2 should be read with a session of the role', async () => {
      const calls = await stage.lab.ec2.calls();
      return calls.some(({ accessKeyID, status }) => accessKeyID.startsWith('ASIALAB0') && status === 200)
        ? true
        : undefined;
    });
    await settled(stage, await masterOf(stage));
    const [before, issued] = [await now(stage), await stage.lab.ec2.sessionsIssued()];
    await stage.lab.ec2.setSessions({ end: true });
    const to = await failOver(stage);
    await assertSwitched(stage, before, to, { calls: 3 });
    const refused = (await stage.lab.ec2.calls(before.callID)).filter(
      ({ errorCode }) => errorCode === 'ExpiredToken',
    );
    assert.ok(refused.length > 0, 'the old session was refused');
    assert.ok((await stage.lab.ec2.sessionsIssued()) > issued, 'a new session was fetched');
    await stage.product.killOperator();
    await stage.product.startOperator();
  },
);

row('the instance of the master is stopped: the other takes over', async (stage) => {
  const from = await masterOf(stage);
  const before = await now(stage);
  await stage.lab.node(from).stop();
  await settled(stage, otherNode(from));
  await assertSwitched(stage, before, otherNode(from), { calls: 1 });
  await stage.lab.node(from).start();
  await backup(stage, from);
});

row(
  'the instance of the master is terminated: the other has the addresses, and no standby',
  async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    const told = await eventReasons(stage);
    await stage.lab.node(from).crash();
    await stage.lab.ec2.setInstanceState(from, 'terminated');
    await settled(stage, to);
    const { routes, nat } = await stage.lab.ec2.settledMapping();
    assert.is(routes[VIP], networkInterfaceOf(stage, to));
    assert.is(nat[PUBLIC_IP], VIP, 'the EIP had lost its association with the ENI, and has it again');
    await conditionSays(stage, 'PreflightPassed', 'False PreflightFailed', {
      says: `${networkInterfaceOf(stage, from)} does not exist`,
      timeoutMs: DRIFT_MS,
    });
    await conditionSays(stage, 'Redundant', 'False StandbySilent', { timeoutMs: 60_000 });
    assert.is(conditionOf(await pairOf(stage), 'Ready'), 'True Serving');
    assert.ok((await eventReasons(stage)).length > told.length);
  },
);

run();
