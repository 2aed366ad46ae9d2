/** The lab as a tool for people. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DaemonOptions, DaemonSays } from './daemon.ts';
import { awsArguments, awsEnvironment, findTools, kubeEnvironment } from './environment.ts';
import { untilEmpty } from './launch.ts';
import { claimState, type DaemonState, LAB_DIR, readState, removeState } from './state.ts';
import { FAULT_KINDS, isLatencyProfile, LATENCY_PROFILES } from './types.ts';
import { STANDARD_VPC } from './vpc.ts';

const HELP = `A VPC with two instances, an EC2 API and a Kubernetes control plane, on this machine, without root.

  hack/lab/lab up [--profile aws|aws-quick-return|instant] [--without-product]   start it and leave it running
  hack/lab/lab status                       what runs, what is cut, where EC2 delivers
  hack/lab/lab exec PLACE CMD…              run a command on node1 or node2, or in world, fabric, lan, internet
  hack/lab/lab crash|start|stop NODE        everything on it dies at once; boot; shut down in order
  hack/lab/lab pause|resume NODE            freeze and thaw every process on it
  hack/lab/lab cut|heal LINK                node1-node2, node1->node2 (one way), node1-api (its way to the API server)
  hack/lab/lab fault KIND [--action A] [--count N] [--code C] [--delay MS] [--age MS] [--address IP]
                                            what the next EC2 calls suffer, one of:
                                            ${FAULT_KINDS.join(', ')}
  hack/lab/lab clear-faults                 the next EC2 calls suffer nothing, and those that hang are cut
  hack/lab/lab calls                        the log of EC2 calls
  hack/lab/lab mapping                      where packets go now
  hack/lab/lab kubectl|helm|aws ARGS…       the real commands against the lab
  hack/lab/lab down                         end it all

One lab runs per work tree; its logs lie in .lab/.`;

/** Said to a person, without a stack. */
class Complaint extends Error {}

/** The daemon is there but says nothing. */
class Unanswered extends Complaint {}

const COMMAND_MS = 150_000;
const PLAIN = [
  'status',
  'clear-faults',
  'crash',
  'start',
  'stop',
  'pause',
  'resume',
  'cut',
  'heal',
  'calls',
  'mapping',
];

/** Sends a command to the daemon. */
const tell = async (state: DaemonState, word: string, args: string[]): Promise<string> => {
  let response: Response;
  try {
    response = await fetch(`http://127.0.0.1:${state.port}/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${state.token}` },
      body: JSON.stringify({ word, args }),
      signal: AbortSignal.timeout(COMMAND_MS),
    });
  } catch (error) {
    throw new Unanswered(
      `The lab does not answer (${(error as Error).message}); \`hack/lab/lab down\` clears it away.`,
    );
  }
  const text = await response.text();
  if (!response.ok) throw new Complaint(text);
  return text;
};

/** The running daemon's state. */
const running = (): DaemonState => {
  const state = readState();
  if (state === undefined) throw new Complaint('No lab is running here; start one with `hack/lab/lab up`.');
  if (state.port === 0 && isAlive(state.pid)) throw new Complaint('The lab is still starting.');
  if (!isAlive(state.pid)) throw new Complaint('The lab has died; `hack/lab/lab down` clears it away.');
  return state;
};

/** Whether the process is one of the lab's and not ended: a number can be used again. */
const isAlive = (pid: number): boolean => {
  try {
    // The command line of a process that has ended and waits to be collected is empty.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(join('hack', 'lab'));
  } catch {
    return false; // no such process
  }
};

const up = async (args: string[]): Promise<void> => {
  const { values } = parseArgs({
    args,
    options: {
      profile: { type: 'string', default: 'aws' },
      'without-product': { type: 'boolean', default: false },
    },
  });
  const { profile } = values;
  if (!isLatencyProfile(profile))
    throw new Complaint(`--profile is one of ${LATENCY_PROFILES.join(', ')}, not ${profile}.`);
  const dir = join(LAB_DIR, 'up');
  const token = randomBytes(24).toString('base64url');
  const claim = { pid: process.pid, port: 0, token, dir, userNamespace: '' };
  if (!claimState(claim)) {
    const state = readState();
    if (state !== undefined && isAlive(state.pid))
      throw new Complaint(`A lab runs here already (process ${state.pid}); see \`hack/lab/lab status\`.`);
    await clearDead(state);
    if (!claimState(claim)) throw new Complaint('Somebody else starts a lab here at this moment.');
  }
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  await startDaemon(dir, { profile, product: !values['without-product'] });
  console.log(await tell(running(), 'status', []));
  console.log(
    `\nTry: export KUBECONFIG=${join(dir, 'kubeconfig')}; kubectl get hapairs -A\nEnd it with: hack/lab/lab down`,
  );
};

/** Resolves when its lab stands; its progress is printed. */
const startDaemon = async (dir: string, options: DaemonOptions): Promise<void> => {
  const log = openSync(join(dir, 'daemon.log'), 'a', 0o600);
  const program = join(import.meta.dirname, 'daemon.ts');
  const daemon = spawn(process.execPath, [program, JSON.stringify(options)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  await new Promise<void>((resolve, reject) => {
    daemon.on('message', (said: DaemonSays) => {
      if (said.type === 'log') console.log(said.line);
      else if (said.type === 'up') resolve();
      else reject(new Complaint(said.message));
    });
    daemon.once('exit', () => {
      removeState();
      reject(new Complaint(`The lab ended while it started; see ${join(dir, 'daemon.log')}.`));
    });
    // Ctrl-C during the start ends what was started, too.
    process.once('SIGINT', () => daemon.kill('SIGKILL'));
  });
  daemon.removeAllListeners('exit');
  daemon.unref();
};

/** A lab ends with its daemon; this makes sure, and takes the daemon's note away. */
const clearDead = async (state: DaemonState | undefined): Promise<void> => {
  if (state?.userNamespace) await untilEmpty(state.userNamespace);
  removeState();
};

const down = async (): Promise<void> => {
  const state = readState();
  if (state === undefined) return console.log('no lab is running here');
  if (isAlive(state.pid) && state.port === 0) throw new Complaint('The lab is still starting.');
  if (!isAlive(state.pid)) {
    await clearDead(state);
    return console.log('the lab had died; nothing of it is left');
  }
  try {
    console.log(await tell(state, 'down', []));
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    process.kill(state.pid, 'SIGKILL');
    await clearDead(state);
    console.log('the lab did not answer and was killed; nothing of it is left');
  }
};

const fault = async (args: string[]): Promise<void> => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      action: { type: 'string' },
      count: { type: 'string' },
      code: { type: 'string' },
      delay: { type: 'string' },
      age: { type: 'string' },
      address: { type: 'string' },
    },
  });
  const [kind] = positionals;
  if (kind === undefined) throw new Complaint('Say which fault; see `hack/lab/lab --help`.');
  const { count, delay, age, ...texts } = values;
  const spec = {
    kind,
    ...texts,
    ...(count === undefined ? {} : { count: Number(count) }),
    ...(delay === undefined ? {} : { delayMs: Number(delay) }),
    ...(age === undefined ? {} : { ageMs: Number(age) }),
  };
  console.log(await tell(running(), 'fault', [JSON.stringify(spec)]));
};

/** Runs a command on this terminal; its exit becomes ours. */
const runHere = (argv: string[], env: Record<string, string> = {}): void => {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  child.once('error', (error) => complain(new Complaint(`${file} could not be started: ${error.message}`)));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128);
  });
};

const tool = async (word: 'kubectl' | 'helm' | 'aws', args: string[]): Promise<void> => {
  const access = JSON.parse(await tell(running(), 'access', [])) as Record<
    'kubeconfig' | 'ec2URL' | 'dir',
    string
  >;
  const { tools } = await findTools();
  const env =
    word === 'aws'
      ? awsEnvironment(STANDARD_VPC, 'person', access.ec2URL)
      : kubeEnvironment(access.dir, access.kubeconfig);
  const words = word === 'aws' ? awsArguments(access.ec2URL, args) : args;
  runHere([tools[word], ...words], env);
};

const main = async ([word, ...args]: string[]): Promise<void> => {
  if (word === undefined || ['help', '--help', '-h'].includes(word)) console.log(HELP);
  else if (word === 'up') await up(args);
  else if (word === 'down') await down();
  else if (word === 'fault') await fault(args);
  else if (word === 'kubectl' || word === 'helm' || word === 'aws') await tool(word, args);
  else if (word === 'exec') {
    if (args.length < 2) throw new Complaint('Say where and what: hack/lab/lab exec node1 ip addr');
    runHere(JSON.parse(await tell(running(), 'entrance', args)) as string[]);
  } else if (PLAIN.includes(word)) console.log(await tell(running(), word, args));
  else throw new Complaint(`The lab has no command ${word}; see \`hack/lab/lab --help\`.`);
};

const complain = (error: unknown): void => {
  const isPlain =
    error instanceof Complaint || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(isPlain ? (error as Error).message : error);
  process.exitCode = 1;
};

await main(process.argv.slice(2)).catch(complain);
