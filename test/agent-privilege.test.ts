/**
 * The agent needs two capabilities and no root: CAP_NET_RAW for the socket of IP protocol 112, CAP_NET_ADMIN for the VIP, as
 * ambient ones, because `ip` needs them too. What it lacks it names, and goes on trying.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle } from '../hack/build/bundle.ts';
import {
  type AgentOptions,
  addressesOf,
  buildWorld,
  cleanNodes,
  enters,
  gives,
  isInside,
  type LogLine,
  PLAIN_AGENT,
  prepare,
  type RunningAgent,
  runInside,
  startAgent,
  statusOf,
  UID,
  VIP,
} from './agent-world.ts';

const inWorld = suite<{ dir: string; stop: () => void }>('least privilege');
let agents: RunningAgent[] = [];
const start = async (options: AgentOptions): Promise<RunningAgent> => {
  const agent = await startAgent(options);
  agents.push(agent);
  return agent;
};

inWorld.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'hapair-privilege-'));
  context.stop = await buildWorld(context.dir);
});
inWorld.after.each(async () => {
  await Promise.all(agents.map((agent) => agent.end()));
  agents = [];
  cleanNodes();
});
inWorld.after(({ dir, stop }) => {
  stop();
  rmSync(dir, { recursive: true });
});

/** CAP_NET_ADMIN is 12, CAP_NET_RAW 13. */
const BOTH = (1n << 12n) | (1n << 13n);
const CAPABILITY_SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];

const serves = async (dir: string, program: string): Promise<void> => {
  const first = await start({ node: 'node1', dir: join(dir, 'node1'), program });
  await first.until('it serves', gives('VIPAdded'));
  const status = statusOf(first.pid);
  for (const set of CAPABILITY_SETS) assert.is(BigInt(`0x${status[set]}`), BOTH, set);
  assert.is(status.NoNewPrivs, '1');
  assert.equal(
    status.Uid?.split('\t'),
    Array.from({ length: 4 }, () => String(UID)),
  );
  assert.ok(addressesOf('node1').includes(`${VIP}/32`));

  const second = await start({ node: 'node2', dir: join(dir, 'node2'), program });
  await second.until('it hears the Master', (line) => line.reason === 'PeerHeard');
  assert.is(await first.end('SIGTERM'), 0);
  await second.until('it takes over', (line) => line.reason === 'MasterResigned');
  await second.until('it serves', gives('VIPAdded'));
  assert.not.ok(addressesOf('node1').includes(`${VIP}/32`), 'a stopped agent takes the VIP off');
  for (const { lines } of [first, second]) {
    // A socket that failed is `InstanceFaulty`; only a step that failed names its lane.
    const isTrouble = ({ reason, lane }: LogLine): boolean =>
      reason === 'IMDSReadFailed' || reason === 'InstanceFaulty' || lane === 'interface';
    assert.equal(lines.filter(isTrouble), []);
  }
};

inWorld(
  'with calls refused that an older systemd does not know, it starts, serves and gives up as ever',
  ({ dir }) => serves(join(dir, 'refused'), fileURLToPath(new URL('./refused-calls.ts', import.meta.url))),
);

inWorld('from the source tree: an election, the VIP on and off, IMDS and the disk', ({ dir }) =>
  serves(join(dir, 'plain'), PLAIN_AGENT),
);

inWorld('bundled: an election, the VIP on and off, IMDS and the disk', async ({ dir }) => {
  await bundle('agent', join(dir, 'bundle'));
  await serves(join(dir, 'bundled'), join(dir, 'bundle', 'main.js'));
});

/** Its `err` matches. */
const complains =
  (pattern: RegExp) =>
  ({ err }: LogLine): boolean =>
    typeof err === 'string' && pattern.test(err);

inWorld('without CAP_NET_RAW it names it, claims nothing, and its peer serves', async ({ dir }) => {
  const first = await start({ node: 'node1', dir: join(dir, 'no-raw-1'), capabilities: ['net_admin'] });
  const RAW_SOCKET = /open a raw socket of IP protocol 112: EPERM.*grant CAP_NET_RAW to the agent/;
  await first.until('it says what it lacks', complains(RAW_SOCKET));
  await first.until('it is in Fault', enters('Fault'));
  const second = await start({ node: 'node2', dir: join(dir, 'no-raw-2') });
  await second.until('it serves', gives('VIPAdded'));
  assert.is(first.lines.filter(complains(RAW_SOCKET)).length, 1, 'said once, though tried every second');
  assert.not.ok(first.lines.some(enters('Master')));
  assert.is(await first.end('SIGTERM'), 0, 'it can still be stopped');
});

inWorld('without CAP_NET_ADMIN it names it, gives way, and its peer serves', async ({ dir }) => {
  const first = await start({ node: 'node1', dir: join(dir, 'no-admin-1'), capabilities: ['net_raw'] });
  await first.until('it says what it lacks', complains(/the agent lacks CAP_NET_ADMIN.*AmbientCapabilities/));
  await first.until('it is in Fault', enters('Fault'));
  const second = await start({ node: 'node2', dir: join(dir, 'no-admin-2') });
  await second.until('it serves', gives('VIPAdded'));
  assert.is(first.lines.findLast(({ entered }) => entered !== undefined)?.entered, 'Fault');
});

/** What an agent that does not start says, be it in its log or to the terminal. */
const lastWords = async (agent: RunningAgent): Promise<string> => {
  const { code, stderr } = await agent.ended;
  assert.is(code, 1);
  return [stderr, ...agent.lines.map(({ err }) => String(err))].join('\n');
};

inWorld('a state directory that it may not read is named, with the way out', async ({ dir }) => {
  const stateDir = join(dir, 'closed');
  mkdirSync(stateDir, { mode: 0o000 });
  const agent = await start({ node: 'node1', dir: join(dir, 'closed-1'), stateDir, intervalMs: null });
  const words = await lastWords(agent);
  assert.match(words, /stateDir .*closed cannot be used: EACCES \(permission denied\)/);
  assert.match(
    words,
    /it belongs to uid 1000, mode 0000, and the agent runs as uid 1000: give it to that user \(chown 1000 .*stateDir/,
  );
});

inWorld('one that cannot be made is named, too', async ({ dir }) => {
  const parent = join(dir, 'sealed');
  mkdirSync(parent, { mode: 0o500 });
  const stateDir = join(parent, 'hapair');
  const agent = await start({ node: 'node1', dir: join(dir, 'sealed-1'), stateDir, intervalMs: null });
  assert.match(await lastWords(agent), /stateDir .*sealed\/hapair cannot be used: EACCES.*runs as uid 1000/);
});

inWorld('one that it may not write is said, and the election goes on with what is there', async ({ dir }) => {
  const stateDir = join(dir, 'fixed');
  const options: AgentOptions = { node: 'node1', dir: join(dir, 'fixed-1'), stateDir };
  const first = await start(options);
  await first.until('it serves', gives('VIPAdded'));
  await first.end();
  cleanNodes();
  // It may have ended in the middle of a write.
  rmSync(join(stateDir, 'prod.web.pair.new'), { force: true });
  chmodSync(stateDir, 0o500);
  const again = await start({ ...options, prepared: true });
  await again.until('it says so', complains(/stateDir .*fixed cannot be written: EACCES.*mode 0500/));
  await again.until('it serves', gives('VIPAdded'));
  await again.until(
    'it says what is not remembered',
    complains(/cannot write .*prod\.web\.pair.*check the state directory's space and permissions/),
  );
  assert.not.ok(readdirSync(stateDir).includes('prod.web.pair.new'));
});

inWorld('a read-only file system is said, and the election goes on', async ({ dir }) => {
  const stateDir = join(dir, 'frozen');
  const options: AgentOptions = { node: 'node1', dir: join(dir, 'frozen-1'), stateDir };
  await prepare(options);
  execFileSync('mount', ['--bind', stateDir, stateDir]);
  execFileSync('mount', ['-o', 'remount,ro,bind', stateDir]);
  const agent = await start({ ...options, prepared: true });
  await agent.until(
    'it says so',
    complains(/frozen cannot be written: EROFS \(read-only file system\); mount .* read-write/),
  );
  await agent.until('it serves', gives('VIPAdded'));
  await agent.end();
  execFileSync('umount', [stateDir]);
});

if (isInside()) inWorld.run();
else {
  test('the agent has what it needs from two capabilities, in a world of its own', () => {
    runInside(fileURLToPath(import.meta.url));
  });
  test.run();
}
