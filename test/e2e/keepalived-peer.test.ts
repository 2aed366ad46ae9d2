/**
 * The product's agent on one node and Debian's keepalived on the other, as the two ends of one pair with the Secret's
 * password: who starts, crashes or stops, the other one does what a keepalived would have expected of it.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { type LabProcess, within } from '../../hack/lab/handles.ts';
import { findDebianPrograms, KEEPALIVED } from '../../hack/setup/debian.ts';
import type { EndConfig } from '../interop/end.ts';
import { keepalivedConf, resignationsIn, wordOf } from '../interop/keepalived-text.ts';
import {
  apply,
  demoPair,
  eventually,
  instanceOf,
  openTestStage,
  PATIENCE_MS,
  read,
  settled,
} from './support.ts';

const AGENT = 'node1';
const PEER = 'node2';

/** keepalived on its node: the states it has entered, and the process that runs it. */
type Peer = { program: string; config: EndConfig; words: string[]; process: LabProcess | null };

const test = suite<{ stage?: Stage; peer?: Peer; broken?: string }>('keepalived-peer');

const row = (title: string, act: (stage: Stage, peer: Peer) => Promise<void>): void => {
  test(title, async (context) => {
    const { stage, peer, broken } = context;
    if (stage === undefined || peer === undefined || broken !== undefined)
      throw new Error(`Not tried, for this failed: ${broken}`);
    context.broken = title;
    await act(stage, peer);
    delete context.broken;
  });
};

const passwordOf = async (stage: Stage): Promise<string> => {
  const path = `/api/v1/namespaces/${stage.namespace}/secrets/hapair-vrrp`;
  const secret = await read<{ data: Record<string, string> }>(stage, path);
  return Buffer.from(secret?.data[stage.name] ?? '', 'base64').toString();
};

test.before(async (context) => {
  context.broken = 'the stage was not opened';
  try {
    const { keepalived: program } = await findDebianPrograms(KEEPALIVED);
    const stage = await openTestStage('keepalived-peer', { product: { nodes: [AGENT] } });
    context.stage = stage;
    const pair = await demoPair();
    const { virtualRouterID } = pair.spec.vrrp;
    const password = await passwordOf(stage);
    const config: EndConfig = { version: 2, intervalMs: 1000, priority: 150, password, virtualRouterID };
    context.peer = { program, config, words: [], process: null };
    await apply(stage, pair);
    await settled(stage, AGENT);
    delete context.broken;
  } catch (error) {
    // The runner keeps an error of this hook to itself.
    context.broken = `the stage was not opened: ${(error as Error).message}`;
  }
});

test.after(async ({ stage }) => {
  await stage?.down();
});

const file = (stage: Stage, name: string): string => join(stage.lab.node(PEER).dir, name);

const startPeer = async (stage: Stage, peer: Peer): Promise<void> => {
  // As at a boot, where /run is empty.
  for (const name of ['keepalived.pid', 'vrrp.pid']) rmSync(file(stage, name), { force: true });
  const addresses = [PEER, AGENT].map((node) => stage.lab.node(node).instance.address);
  const [source = '', address = ''] = addresses;
  const text = keepalivedConf({ name: PEER, source, peer: address, vip: VIP }, peer.config);
  writeFileSync(file(stage, 'keepalived.conf'), text, { mode: 0o600 });
  const argv = [
    ...[peer.program, '--dont-fork', '--log-console', '--vrrp'],
    ...['--use-file', file(stage, 'keepalived.conf')],
    ...['--pid', file(stage, 'keepalived.pid'), '--vrrp_pid', file(stage, 'vrrp.pid')],
  ];
  const spec = { name: 'keepalived', where: PEER, argv, env: { TMPDIR: stage.lab.node(PEER).dir } };
  peer.words.length = 0;
  peer.process = await stage.lab.spawn(spec, {
    onLine: (line) => {
      const word = wordOf(line);
      if (word !== undefined) peer.words.push(word);
    },
  });
};

/** It has entered these states since its start, and no other. */
const peerSays = async (peer: Peer, ...words: string[]): Promise<void> => {
  await eventually(`keepalived should enter ${words.join(', ')}`, async () =>
    peer.words.length >= words.length ? true : undefined,
  );
  assert.equal(peer.words, words);
};

const peerEnds = async ({ process }: Peer): Promise<void> => {
  if (process === null) throw new Error('keepalived does not run.');
  await within(process.exited, PATIENCE_MS, 'keepalived did not end');
};

const agentReports = (stage: Stage, state: string) =>
  eventually(`the agent should report ${state}`, async () => {
    const status = (await instanceOf(stage, AGENT))?.status;
    return status?.state === state ? status : undefined;
  });

/** Resignations that the agent has believed so far, by its log. */
const resignationsHeard = (stage: Stage): number =>
  readFileSync(stage.lab.node(AGENT).logOf('agent'), 'utf8').split('"MasterResigned"').length - 1;

/** Waits for five more adverts of a node: more than a Backup waits for before it claims. */
const goesOn = async (stage: Stage, node: string): Promise<void> => {
  const { address } = stage.lab.node(node).instance;
  const count = (): number =>
    stage.adverts.filter(({ source, priority }) => source === address && priority > 0).length;
  const goal = count() + 5;
  await eventually(`${node} should go on advertising`, async () => (count() >= goal ? true : undefined));
};

row(
  'keepalived starts beside the agent: it stays Backup, the agent Master in its term',
  async (stage, peer) => {
    const before = await agentReports(stage, 'Master');
    await startPeer(stage, peer);
    await peerSays(peer, 'Backup');
    await goesOn(stage, AGENT);
    await peerSays(peer, 'Backup');
    assert.is((await agentReports(stage, 'Master')).term, before.term);
  },
);

row('the agent crashes: keepalived takes over, and the agent returns as Backup', async (stage, peer) => {
  await stage.lab.node(AGENT).killService('agent');
  await stage.gone(AGENT, 'agent');
  await peerSays(peer, 'Backup', 'Master');
  await stage.lab.node(AGENT).startService('agent');
  await agentReports(stage, 'Backup');
  await goesOn(stage, PEER);
  await agentReports(stage, 'Backup');
  await peerSays(peer, 'Backup', 'Master');
});

row(
  'keepalived crashes: the agent takes over in a new term, and keepalived returns as Backup',
  async (stage, peer) => {
    const before = await agentReports(stage, 'Backup');
    const heard = resignationsHeard(stage);
    // The child first: told of its parent's end, it would resign. Both in one breath: the parent would start another.
    const processes = ['vrrp.pid', 'keepalived.pid'].map((name) => `$(cat ${file(stage, name)})`);
    await stage.lab.node(PEER).exec(['sh', '-c', `kill -KILL ${processes.join(' ')}`]);
    await peerEnds(peer);
    assert.ok((await agentReports(stage, 'Master')).term > before.term);
    assert.is(resignationsHeard(stage), heard, 'it was a crash');
    await startPeer(stage, peer);
    await peerSays(peer, 'Backup');
    await goesOn(stage, AGENT);
    await peerSays(peer, 'Backup');
  },
);

row(
  'the agent is stopped: keepalived believes its resignation, and the agent returns as Backup',
  async (stage, peer) => {
    await stage.lab.node(AGENT).killService('agent', 'SIGTERM');
    await peerSays(peer, 'Backup', 'Master');
    await stage.lab.node(PEER).exec(['sh', '-c', `kill -USR2 $(cat ${file(stage, 'vrrp.pid')})`]);
    const received = await eventually('keepalived should write its statistics', async () => {
      const { stdout } = await stage.lab.node(PEER).exec(['cat', file(stage, 'keepalived.stats')]);
      return resignationsIn(stdout);
    });
    assert.is(received, 1);
    await stage.gone(AGENT, 'agent');
    await stage.lab.node(AGENT).startService('agent');
    await agentReports(stage, 'Backup');
    await goesOn(stage, PEER);
    await agentReports(stage, 'Backup');
  },
);

row(
  'keepalived is stopped: the agent believes its resignation, and EC2 delivers to it as before',
  async (stage, peer) => {
    const before = await agentReports(stage, 'Backup');
    const heard = resignationsHeard(stage);
    await peer.process?.kill('SIGTERM');
    await peerEnds(peer);
    assert.ok((await agentReports(stage, 'Master')).term > before.term);
    await eventually('the agent should log why', async () => resignationsHeard(stage) > heard || undefined);
    await settled(stage, AGENT);
  },
);

test.run();
