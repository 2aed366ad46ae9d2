/**
 * What an agent shows of itself, asked on its own instance: through an election, a fault, forged packets and an API server that
 * is away.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { RejectCause } from '../../agent/vrrp/types.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import { type AgentLine, agentLog } from './agent-log.ts';
import { AGENT_PORT, ask, type Series, scrape } from './scrape.ts';
import {
  backup,
  deletePair,
  edit,
  eventually,
  instanceOf,
  masterOf,
  otherNode,
  quickPair,
  roomyVPC,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('agent-metrics', quickPair, {
  vpc: roomyVPC(1),
  product: { nodes: ['node1', 'node2'] },
});

const PAIR = 'namespace="prod",pair="web"';
const FLOOD = join(import.meta.dirname, 'flood.ts');
const PACKETS = 30_000;
/** Version 3, an advert of virtual router 10 with priority 255 every 300 ms for 10.10.10.10; its checksum is wrong. */
const FORGED = '310aff01001edead0a0a0a0a';

const numberOf = (series: Series, name: string, labels = ''): number | undefined =>
  series.get(`${name}{${PAIR}${labels}}`);
const stateOf = (series: Series): string =>
  ['Init', 'Backup', 'Master', 'Fault']
    .filter((state) => numberOf(series, 'hapair_vrrp_state', `,state="${state}"`) === 1)
    .join();
const conditionsOf = (series: Series): string[] =>
  [...series.keys()]
    .filter((key) => key.startsWith(`hapair_vrrp_condition{${PAIR}`))
    .map((key) =>
      [...key.matchAll(/(?:condition|status|reason)="(\w+)"/g)].map(([, word]) => word).join(' '),
    );
const transitionsOf = (series: Series, change: string): number => {
  const [from, to, reason] = change.split(' ');
  const labels = `,from="${from}",to="${to}",reason="${reason}"`;
  return numberOf(series, 'hapair_vrrp_transitions_total', labels) ?? 0;
};
const rejectedBy = (series: Series, cause: string): number =>
  numberOf(series, 'hapair_vrrp_packets_rejected_total', `,cause="${cause}"`) ?? 0;

/** Scrapes until the series are as wanted. */
const until = (
  stage: Stage,
  node: string,
  what: string,
  isIt: (series: Series) => boolean,
): Promise<Series> =>
  eventually(`${node}: ${what}`, async () => {
    const series = await scrape(stage, node);
    return series !== undefined && isIt(series) ? series : undefined;
  });

/** Scrapes an agent that must be there. */
const look = (stage: Stage, node: string): Promise<Series> => until(stage, node, 'answer', () => true);

const rejectionLines = (stage: Stage, node: string, cause: RejectCause): AgentLine[] =>
  agentLog(stage, node).filter((line) => line.cause === cause);

const conditionOf = async (stage: Stage, node: string, type: string): Promise<string> => {
  const conditions = (await instanceOf(stage, node))?.status?.conditions ?? [];
  const found = conditions.find((condition) => condition.type === type);
  return `${found?.status} ${found?.reason} ${found?.message}`;
};

const flood = async (stage: Stage, from: string, to: string): Promise<void> => {
  const address = (node: string): string => stage.lab.node(node).instance.address;
  const argv = [process.execPath, FLOOD, address(from), address(to), String(PACKETS), FORGED];
  const { code, stderr } = await stage.lab.node(from).exec(argv);
  assert.is(code, 0, stderr);
};

row('a Master and its Backup: state, term, addresses, conditions, in a valid exposition', async (stage) => {
  const master = await masterOf(stage);
  const standby = otherNode(master);
  const wanted = 'have its VIP and its report settled';
  const isSettled = (series: Series): boolean =>
    numberOf(series, 'hapair_vrrp_vips_settled') === 1 &&
    numberOf(series, 'hapair_vrrp_report_pending') === 0;
  const served = await until(stage, master, wanted, isSettled);
  const waiting = await until(stage, standby, wanted, isSettled);
  assert.is(stateOf(served), 'Master');
  assert.is(stateOf(waiting), 'Backup');
  const { term } = (await instanceOf(stage, master))?.status ?? {};
  assert.is(numberOf(served, 'hapair_vrrp_term'), term);
  assert.is(numberOf(waiting, 'hapair_vrrp_term'), term);
  const addresses = ['vips', 'vips_on_interface', 'vips_delivered'];
  const counts = (series: Series) => addresses.map((name) => numberOf(series, `hapair_vrrp_${name}`));
  assert.equal(counts(served), [1, 1, 1]);
  assert.equal(counts(waiting), [1, 0, 0]);
  assert.equal(conditionsOf(served), [
    'Ready True InstanceConfigured',
    'PeerHeard Unknown PeerNotExpected',
    'Healthy True NoChecks',
    'SecretResolved True SecretNotNeeded',
  ]);
  assert.ok(conditionsOf(waiting).includes('PeerHeard True PeerHeard'));
  assert.is(waiting.get('hapair_agent_worker_answers'), 1);
  assert.is(waiting.get('hapair_agent_api_connected'), 1);
  assert.ok((waiting.get('hapair_agent_kubernetes_calls_total{result="Success"}') ?? 0) > 0);
  assert.is(waiting.get('hapair_agent_kubernetes_calls_total{result="Unauthorized"}'), 0);
  for (const age of ['lease', 'imds']) {
    const seconds = waiting.get(`hapair_agent_${age}_age_seconds`);
    assert.ok(seconds !== undefined && seconds >= 0, `${age} was seen`);
  }
  assert.ok(waiting.has('hapair_agent_watch_age_seconds{namespace="prod",watch="own"}'));
  assert.ok(waiting.has('hapair_agent_watch_age_seconds{namespace="prod",watch="pairs"}'));
  assert.ok((waiting.get('process_resident_memory_bytes') ?? 0) > 0);
});

row('both are healthy and ready', async (stage) => {
  for (const node of ['node1', 'node2']) {
    assert.equal(await ask(stage, node, '/healthz'), { status: 200, body: 'ok' });
    assert.equal(await ask(stage, node, '/readyz'), { status: 200, body: 'ok' });
    const { body } = (await ask(stage, node, '/readyz?verbose')) ?? {};
    assert.is(body, '[+]api ok\n[+]specs ok\n[+]imds ok\n[+]watches ok\nreadyz check passed\n');
  }
});

row('counters move: adverts on both ends, and timers that were served', async (stage) => {
  const master = await masterOf(stage);
  const standby = otherNode(master);
  const sent = (series: Series): number => numberOf(series, 'hapair_vrrp_adverts_sent_total') ?? 0;
  const received = (series: Series): number => numberOf(series, 'hapair_vrrp_adverts_received_total') ?? 0;
  const timers = (series: Series): number => series.get('hapair_agent_timer_lateness_seconds_count') ?? 0;
  const before = { master: await look(stage, master), standby: await look(stage, standby) };
  await until(stage, master, 'ten adverts more', (series) => sent(series) >= sent(before.master) + 10);
  const heard = received(before.standby) + 10;
  const waiting = await until(stage, standby, 'ten heard', (series) => received(series) >= heard);
  assert.ok(timers(await look(stage, master)) > timers(before.master));
  assert.is(sent(waiting), sent(before.standby), 'a Backup is silent');
});

row('a health check: verdict, runs and duration, for as long as it is wanted', async (stage) => {
  const node = await masterOf(stage);
  // The agent itself is asked: it is there on every instance.
  const httpGet = { host: '127.0.0.1', port: AGENT_PORT, path: '/healthz' };
  await edit(stage, { healthChecks: [{ name: 'agent', httpGet, periodSeconds: 1, timeoutSeconds: 5 }] });
  const labels = ',check="agent"';
  const checked = await until(
    stage,
    node,
    'find it healthy',
    (series) => numberOf(series, 'hapair_agent_check_healthy', labels) === 1,
  );
  const runs = (series: Series): number =>
    numberOf(series, 'hapair_agent_check_runs_total', `${labels},result="success"`) ?? 0;
  assert.ok((numberOf(checked, 'hapair_agent_check_last_duration_seconds', labels) ?? 0) > 0);
  await until(stage, node, 'run it again', (series) => runs(series) > runs(checked));
  await until(stage, node, 'say so', (series) => conditionsOf(series).includes('Healthy True ChecksPassed'));
  await edit(stage, { healthChecks: null });
  const isGone = (series: Series): boolean => ![...series.keys()].some((key) => key.includes(labels));
  await until(stage, node, 'forget it', isGone);
});

row(
  'a fault: the Master without its link is in Fault, the other takes over, and both count it',
  async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    const before = { from: await look(stage, from), to: await look(stage, to) };
    const ip = async (...words: string[]): Promise<void> => {
      const { code, stderr } = await stage.lab.node(from).exec(['ip', ...words]);
      assert.is(code, 0, stderr);
    };
    await ip('link', 'set', 'eth0', 'down');
    const faulty = await until(stage, from, 'Fault', (series) => stateOf(series) === 'Fault');
    const fell = 'Master Fault SourceAddressMissing';
    assert.is(transitionsOf(faulty, fell), transitionsOf(before.from, fell) + 1);
    const isFaulty = (line: string): boolean => line === 'Ready False SourceAddressMissing';
    await until(stage, from, 'say so', (series) => conditionsOf(series).some(isFaulty));
    const ready = await ask(stage, from, '/readyz');
    assert.is(ready?.status, 200, 'a node in Fault does its part');

    await settled(stage, to);
    const claims = ['MasterDownTimerExpired', 'MasterResigned'].map((reason) => `Backup Master ${reason}`);
    const claimed = (series: Series): number =>
      claims.reduce((sum, change) => sum + transitionsOf(series, change), 0);
    const served = await look(stage, to);
    assert.is(claimed(served), claimed(before.to) + 1);
    const term = (series: Series): number => numberOf(series, 'hapair_vrrp_term') ?? 0;
    assert.ok(term(served) > term(before.to));

    await ip('link', 'set', 'eth0', 'up');
    await ip('route', 'replace', 'default', 'via', '10.10.10.1');
    await until(stage, from, 'Backup', (series) => stateOf(series) === 'Backup');
    await backup(stage, from);
  },
);

row('forged packets of a third host: counted and told once; nothing else comes of them', async (stage) => {
  const master = await masterOf(stage);
  const before = await look(stage, master);
  const flooding = flood(stage, 'node3', master);
  const answer = await ask(stage, master, '/healthz');
  await flooding;
  assert.is(answer?.status, 200, 'it answers while they come');
  // The kernel sets aside what it has room for, and loses the rest.
  const least = rejectedBy(before, 'SourceNotPeer') + 10;
  const after = await until(
    stage,
    master,
    'some of them rejected',
    (series) => rejectedBy(series, 'SourceNotPeer') >= least,
  );
  assert.is(stateOf(after), 'Master');
  assert.is(numberOf(after, 'hapair_vrrp_term'), numberOf(before, 'hapair_vrrp_term'));
  assert.equal(conditionsOf(after), conditionsOf(before));
  const lines = rejectionLines(stage, master, 'SourceNotPeer');
  assert.ok(lines.length >= 1 && lines.length <= 4, `${lines.length} lines in the log`);
});

row(
  "what the peer's own address sends wrongly is a condition of the Master, until it ends",
  async (stage) => {
    const master = await masterOf(stage);
    const standby = otherNode(master);
    await flood(stage, standby, master);
    const told = await eventually('PeerHeard should say what is wrong', async () => {
      const condition = await conditionOf(stage, master, 'PeerHeard');
      return condition.startsWith('False PeerMisconfigured') ? condition : undefined;
    });
    assert.match(told, `The peer ${stage.lab.node(standby).instance.address} sends`);
    assert.match(told, 'ChecksumInvalid');
    const after = await look(stage, master);
    assert.ok(rejectedBy(after, 'ChecksumInvalid') > 0);
    assert.is(stateOf(after), 'Master');
    await eventually('PeerHeard should be as before', async () =>
      (await conditionOf(stage, master, 'PeerHeard')).startsWith('Unknown PeerNotExpected')
        ? true
        : undefined,
    );
    const lines = rejectionLines(stage, master, 'ChecksumInvalid');
    assert.ok(lines.length >= 1 && lines.length <= 4, `${lines.length} lines in the log`);
  },
);

row(
  'the API server away: shown, and no reason to be unready; the same after a start from disk',
  async (stage) => {
    const node = otherNode(await masterOf(stage));
    await stage.lab.cut(`${node}-api`);
    const isAway = (series: Series): boolean => series.get('hapair_agent_api_connected') === 0;
    const away = await until(stage, node, 'see that it is away', isAway);
    assert.is(stateOf(away), 'Backup');
    const verdicts = async (): Promise<void> => {
      assert.is((await ask(stage, node, '/healthz'))?.status, 200);
      const { status, body } = (await ask(stage, node, '/readyz?verbose')) ?? {};
      assert.is(status, 200);
      assert.match(body ?? '', /\[\+\]api ok: away .*, the election goes on: /);
    };
    await verdicts();

    await stage.lab.node(node).killService('agent');
    await stage.gone(node, 'agent');
    assert.is(await ask(stage, node, '/healthz'), undefined, 'a dead agent answers nothing');
    await stage.lab.node(node).startService('agent');
    await eventually('It should be ready from disk', async () =>
      (await ask(stage, node, '/readyz'))?.status === 200 ? true : undefined,
    );
    const restarted = await until(
      stage,
      node,
      'Backup, away',
      (series) => stateOf(series) === 'Backup' && isAway(series),
    );
    assert.is(restarted.get('hapair_agent_api_silence_seconds'), undefined, 'never heard of since the start');
    assert.is(numberOf(restarted, 'hapair_vrrp_report_pending'), 1);
    await verdicts();

    await stage.lab.heal(`${node}-api`);
    const back = await until(stage, node, 'find it again', (series) => !isAway(series));
    assert.ok(back.has('hapair_agent_api_silence_seconds'));
    await until(stage, node, 'report', (series) => numberOf(series, 'hapair_vrrp_report_pending') === 0);
    const log = readFileSync(stage.lab.node(node).logOf('agent'), 'utf8');
    assert.match(log, '"APIServerUnavailable"');
    assert.match(log, '"APIServerAvailable"');
  },
);

row('a pair that is deleted leaves no series behind, and an agent without pairs is ready', async (stage) => {
  await deletePair(stage);
  for (const node of ['node1', 'node2']) {
    const isFree = (series: Series): boolean => ![...series.keys()].some((key) => key.includes('pair='));
    await until(stage, node, 'forget the pair', isFree);
    assert.equal(await ask(stage, node, '/readyz'), { status: 200, body: 'ok' });
  }
});

run();
