/** The lab keeps its promises: a packet goes where EC2 says and nowhere else, and nothing outlives the world. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  DisassociateAddressCommand,
  EC2Client,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_KEYS } from '../hack/lab/ec2/credentials.ts';
import type { LabProcess, ProbeClient } from '../hack/lab/handles.ts';
import { type Lab, startLab } from '../hack/lab/lab.ts';
import { untilEmpty } from '../hack/lab/launch.ts';
import { parseLink } from '../hack/lab/links.ts';
import { handovers, lost } from '../hack/lab/outage.ts';
import { processesIn } from '../hack/lab/processes.ts';
import { STANDARD_VPC } from '../hack/lab/vpc.ts';

const VIP = '10.10.10.10';
const EIP = '203.0.113.10';
const ALLOCATION = 'eipalloc-0ccccccccccccccc3';
const ENI = { node1: 'eni-0aaaaaaaaaaaaaaa1', node2: 'eni-0bbbbbbbbbbbbbbb2' } as const;
const PATIENCE_MS = 60_000;

const dir = join(import.meta.dirname, '..', '.lab', `test-${process.pid}`);
const test = suite('lab');
let lab: Lab;
let ec2: EC2Client;

const stopAll = async (...probes: ProbeClient[]): Promise<void> => {
  for (const probe of probes) await probe.stop();
};

const assign = async (node: keyof typeof ENI): Promise<void> => {
  const PrivateIpAddresses = [VIP];
  await ec2.send(
    new AssignPrivateIpAddressesCommand({
      NetworkInterfaceId: ENI[node],
      PrivateIpAddresses,
      AllowReassignment: true,
    }),
  );
  await lab.ec2.settledMapping();
};

const unassign = async (node: keyof typeof ENI): Promise<void> => {
  const PrivateIpAddresses = [VIP];
  await ec2.send(
    new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: ENI[node], PrivateIpAddresses }),
  );
  await lab.ec2.settledMapping();
};

/** Waits for a probe that is known to be lost. */
const someLost = async (probe: ProbeClient): Promise<void> => {
  const deadline = performance.now() + PATIENCE_MS;
  while (lost(await probe.samples()) === 0) {
    assert.ok(performance.now() < deadline, `${probe.name}: every probe was answered`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const holdVIP = async (node: 'node1' | 'node2'): Promise<void> => {
  await lab.node(node).exec(['ip', 'addr', 'replace', `${VIP}/32`, 'dev', 'eth0']);
};

const LISTENER = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (text, from) => console.log(from.address + ' ' + text));
  socket.bind(9000, process.argv[1], () => console.log('ready'));`;

const SENDER = `
  const [from, to, text] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  socket.bind(0, from, () => socket.send(text, 9000, to, () => socket.close()));`;

/** A listener that tells the packets it gets, in order. */
const listen = async (
  where: string,
  address: string,
): Promise<{ process: LabProcess; next(): Promise<string> }> => {
  const lines: string[] = [];
  let wake = (): void => undefined;
  const process = await lab.spawn(
    { name: `listen-${where}`, where, argv: [globalThis.process.execPath, '-e', LISTENER, address] },
    {
      onLine: (line) => {
        lines.push(line);
        wake();
      },
    },
  );
  const next = async (): Promise<string> => {
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    while (lines.length === 0) {
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        deadline.addEventListener('abort', () => reject(new Error(`nothing arrived at ${where}`)));
      });
    }
    return lines.shift() ?? '';
  };
  assert.is(await next(), 'ready');
  return { process, next };
};

const send = async (where: string, from: string, to: string, text: string): Promise<void> => {
  const argv = [process.execPath, '-e', SENDER, from, to, text];
  const result = await lab.exec({ where, argv });
  assert.is(result.code, 0, result.stderr);
};

test.before(async () => {
  lab = await startLab({ dir, profile: 'instant' });
  ec2 = new EC2Client({
    endpoint: lab.ec2URL,
    region: lab.vpc.region,
    credentials: { accessKeyId: ACCESS_KEYS.person.id, secretAccessKey: ACCESS_KEYS.person.secret },
    maxAttempts: 1,
  });
});

test.after(async () => {
  ec2?.destroy();
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

test('an address that EC2 has not assigned reaches nobody, whoever has it on an interface', async () => {
  await holdVIP('node1');
  await holdVIP('node2');
  const inside = await lab.probe({ name: 'unassigned-lan', from: 'lan', target: VIP });
  const outside = await lab.probe({ name: 'unassigned-internet', from: 'internet', target: EIP });
  await someLost(inside);
  await someLost(outside);
  await stopAll(inside, outside);
  const answered = [...(await inside.samples()), ...(await outside.samples())].filter(({ by }) => by);
  assert.equal(answered, []);
});

test('packets follow an assignment by the aws command, and not one is lost on a move', async () => {
  const eni = ['--network-interface-id', ENI.node1, '--private-ip-addresses', VIP];
  await lab.aws(['ec2', 'assign-private-ip-addresses', ...eni]);
  await lab.ec2.settledMapping();
  const probe = await lab.probe({ name: 'move-lan', from: 'lan', target: VIP });
  await probe.answeredBy('node1', PATIENCE_MS);
  await assign('node2');
  await probe.answeredBy('node2', PATIENCE_MS);
  const samples = await probe.stop();
  assert.is(lost(samples), 0);
  assert.equal(
    handovers(samples).map(({ from, to }) => [from, to]),
    [['node1', 'node2']],
  );
});

test('an ENI sends only from addresses that it holds', async () => {
  const client = lab.vpc.lanClient.address;
  const listener = await listen('lan', client);
  // node2 holds the VIP now; both have it on the interface.
  await send('node1', VIP, client, 'forged');
  await send('node1', '10.10.10.11', client, 'honest');
  assert.is(await listener.next(), '10.10.10.11 honest');
  await send('node2', VIP, client, 'held');
  assert.is(await listener.next(), `${VIP} held`);
  await listener.process.stop();
});

test('an EIP follows its private address, and ends when it is disassociated', async () => {
  const target = { NetworkInterfaceId: ENI.node2, PrivateIpAddress: VIP };
  const { AssociationId } = await ec2.send(
    new AssociateAddressCommand({ AllocationId: ALLOCATION, ...target }),
  );
  await lab.ec2.settledMapping();
  const probe = await lab.probe({ name: 'eip', from: 'internet', target: EIP });
  await probe.answeredBy('node2', PATIENCE_MS);
  await assign('node1');
  await probe.answeredBy('node1', PATIENCE_MS);
  assert.is(lost(await probe.samples()), 0);
  await ec2.send(new DisassociateAddressCommand({ AssociationId }));
  await someLost(probe);
  await probe.stop();
});

test('everybody who follows a service hears of its end, also who asks after it', async () => {
  const node = lab.node('node1');
  await node.setService({ name: 'sleeper', argv: ['sleep', 'infinity'] });
  const first = await node.startService('sleeper');
  const second = await node.service('sleeper');
  await node.killService('sleeper');
  const ends = await Promise.all([first.exited, second?.exited]);
  assert.equal(
    ends.map((end) => end?.signal ?? end?.code),
    ['SIGKILL', 'SIGKILL'],
  );
  assert.is(await node.service('sleeper'), undefined);
});

test('the private address of an instance is not reached from the internet', async () => {
  const probe = await lab.probe({ name: 'private', from: 'internet', target: '10.10.10.11' });
  await someLost(probe);
  assert.equal(
    (await probe.stop()).filter(({ by }) => by),
    [],
  );
});

test('IMDS tells each instance its own addresses', async () => {
  const script = `
    token=$(curl -s -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
    get() { curl -s -m 5 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"; echo; }
    get instance-id
    get "network/interfaces/macs/$(get mac)/local-ipv4s"`;
  const told = async (node: string): Promise<string[]> =>
    (await lab.node(node).exec(['sh', '-c', script])).stdout.trim().split('\n');
  assert.equal(await told('node1'), ['i-0aaaaaaaaaaaaaaa1', '10.10.10.11', VIP]);
  assert.equal(await told('node2'), ['i-0bbbbbbbbbbbbbbb2', '10.10.10.12']);
  await unassign('node1');
  assert.equal(await told('node1'), ['i-0aaaaaaaaaaaaaaa1', '10.10.10.11']);
});

test('a crashed instance is gone at once, and boots with its primary address alone', async () => {
  const node = lab.node('node1');
  await assign('node1');
  const probe = await lab.probe({ name: 'crash', from: 'lan', target: '10.10.10.11' });
  await probe.answeredBy('node1', PATIENCE_MS);
  await node.crash();
  assert.is((await node.state()).running, false);
  await someLost(probe);
  await node.start();
  await probe.answeredBy('node1', PATIENCE_MS);
  await probe.stop();
  const { stdout } = await node.exec(['ip', '-4', '-brief', 'addr', 'show', 'dev', 'eth0']);
  assert.match(stdout, /10\.10\.10\.11\/24\s*$/);
});

test('a paused instance answers nothing until it is resumed', async () => {
  const node = lab.node('node2');
  const probe = await lab.probe({ name: 'pause', from: 'lan', target: '10.10.10.12' });
  await probe.answeredBy('node2', PATIENCE_MS);
  await node.pause();
  await someLost(probe);
  await node.resume();
  await probe.answeredBy('node2', PATIENCE_MS);
  await probe.stop();
});

test('a stopped instance ends its services first', async () => {
  const node = lab.node('node2');
  const says =
    "process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); setInterval(() => {}, 1000); console.log('hi')";
  await node.setService({ name: 'polite', argv: [process.execPath, '-e', says] });
  const service = await node.startService('polite');
  const log = (): Promise<string> => readFile(node.logOf('polite'), 'utf8');
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await log()).includes('hi')) {
    assert.ok(performance.now() < deadline, 'the service never said that it runs');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await node.stop();
  assert.is((await service.exited).code, 0);
  assert.is(await log(), 'hi\nbye\n');
  await node.start();
});

test('a cut one way stops packets that way alone', async () => {
  const there = await listen('node2', '10.10.10.12');
  const back = await listen('node1', '10.10.10.11');
  await lab.cut('node1->node2');
  await send('node1', '10.10.10.11', '10.10.10.12', 'lost');
  await send('node2', '10.10.10.12', '10.10.10.11', 'through');
  assert.is(await back.next(), '10.10.10.12 through');
  await lab.heal('node1->node2');
  await send('node1', '10.10.10.11', '10.10.10.12', 'healed');
  assert.is(await there.next(), '10.10.10.11 healed');
  await there.process.stop();
  await back.process.stop();
});

test('a cut path to the API server leaves the VPC alone', async () => {
  const server = await listen('world', '192.168.254.1');
  await lab.cut('node1-api');
  await send('node1', '192.168.254.11', '192.168.254.1', 'lost');
  await send('node2', '192.168.254.12', '192.168.254.1', 'of node2');
  assert.is(await server.next(), '192.168.254.12 of node2');
  await lab.heal('node1-api');
  await send('node1', '192.168.254.11', '192.168.254.1', 'healed');
  assert.is(await server.next(), '192.168.254.11 healed');
  await server.process.stop();
});

test('what EC2 is told to suffer, it suffers', async () => {
  await lab.ec2.fault({ kind: 'throttle', action: 'AssignPrivateIpAddresses' });
  try {
    await assign('node1');
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).name, 'RequestLimitExceeded');
  }
  const calls = await lab.ec2.calls();
  assert.is(calls.at(-1)?.fault, 'throttle');
});

test('a link has one of three forms', () => {
  assert.equal(parseLink('node2->node1', ['node1', 'node2']), { ways: [{ from: 'node2', to: 'node1' }] });
  assert.equal(parseLink('node2-api', ['node1', 'node2']), { node: 'node2' });
  assert.throws(() => parseLink('node1-node3', ['node1', 'node2']), /node1-node3 is no link/);
});

test('an instance with a second ENI gets what lies on that, by a device of its own; a server binds what has come', async () => {
  const [one, ...others] = STANDARD_VPC.instances;
  assert.ok(one);
  const second = {
    networkInterfaceID: 'eni-0aaaaaaaaaaaaaa21',
    macAddress: '0a:10:10:10:10:21',
    address: '10.10.10.21',
    fabricDevice: 'eni1b',
  };
  const vpc = { ...STANDARD_VPC, instances: [{ ...one, more: [second] }, ...others] };
  const wide = await startLab({ dir: join(dir, 'wide'), profile: 'instant', vpc });
  try {
    const node1 = wide.node('node1');
    const { stdout } = await node1.exec(['ip', '-4', '-brief', 'addr', 'show', 'dev', 'eth1']);
    assert.match(stdout, /10\.10\.10\.21\/24\s*$/);
    const assigned = ['assign-private-ip-addresses', '--allow-reassignment', '--private-ip-addresses', VIP];
    await wide.aws(['ec2', ...assigned, '--network-interface-id', second.networkInterfaceID]);
    await wide.ec2.settledMapping();
    const probe = await wide.probe({ name: 'second', from: 'lan', target: VIP });
    await someLost(probe);
    // What is sent from the VIP must leave by the ENI that holds it, for the first one may not send it.
    const script = `ip addr add ${VIP}/32 dev eth1 && ip rule add from ${VIP} lookup 100 && ip route add 10.10.10.0/24 dev eth1 table 100`;
    assert.is((await node1.exec(['sh', '-c', script])).code, 0);
    await probe.answeredBy('node1', PATIENCE_MS);
    await probe.stop();
  } finally {
    await wide.down();
  }
});

test('nothing is left when a world goes down', async () => {
  const brief = await startLab({ dir: join(dir, 'brief'), profile: 'instant' });
  assert.ok((await processesIn('user', brief.userNamespace)).length > 5);
  await brief.down();
  assert.equal(await processesIn('user', brief.userNamespace), []);
  assert.match(brief.ended() ?? '', /taken down/);
});

test('nothing is left when its owner is killed', async () => {
  mkdirSync(dir, { recursive: true });
  const owner = `
    const { startLab } = await import(${JSON.stringify(join(import.meta.dirname, '../hack/lab/lab.ts'))});
    const lab = await startLab({ dir: ${JSON.stringify(join(dir, 'orphan'))}, profile: 'instant' });
    console.log(lab.userNamespace);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', owner], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const [userNamespace] = (await once(lines, 'line', { signal })) as [string];
  assert.ok((await processesIn('user', userNamespace)).length > 5);
  child.kill('SIGKILL');
  await untilEmpty(userNamespace);
});

test.run();
