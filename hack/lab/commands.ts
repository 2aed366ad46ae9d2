/** What the lab's daemon can be told: a table of words, and what each does to the lab. Every answer is text to print. */
import type { Lab } from './lab.ts';
import type { Product } from './product.ts';
import type { CallRecord, FaultSpec } from './types.ts';

/** A word on the command line and its arguments. */
export type Command = { word: string; args: string[] };

type Run = (lab: Lab, args: string[], product: Product | undefined) => Promise<string>;

const onNode =
  (act: (node: ReturnType<Lab['node']>) => Promise<void>, done: string): Run =>
  async (lab, [name]) => {
    if (name === undefined) throw new Error('Name an instance: node1 or node2.');
    await act(lab.node(name));
    return `${name} ${done}`;
  };

const onLink =
  (isCut: boolean): Run =>
  async (lab, [link = '']) => {
    await (isCut ? lab.cut(link) : lab.heal(link));
    return `${link} is ${isCut ? 'cut' : 'whole'}`;
  };

const COMMANDS: Record<string, Run> = {
  status: (lab, _, product) => status(lab, product),
  crash: onNode((node) => node.crash(), 'crashed'),
  start: onNode((node) => node.start(), 'boots'),
  stop: onNode((node) => node.stop(), 'is off'),
  pause: onNode((node) => node.pause(), 'is frozen'),
  resume: onNode((node) => node.resume(), 'runs on'),
  cut: onLink(true),
  heal: onLink(false),
  fault: async (lab, [spec = '']) => {
    await lab.ec2.fault(JSON.parse(spec) as FaultSpec);
    return `the next matching EC2 calls suffer ${spec}`;
  },
  'clear-faults': async (lab) => {
    await lab.ec2.clearFaults();
    await lab.ec2.release(false);
    return 'the next EC2 calls suffer nothing';
  },
  calls: async (lab) => (await lab.ec2.calls()).map(callLine).join('\n'),
  mapping: async (lab) => {
    const { routes, nat } = await lab.ec2.mapping();
    return [...Object.entries(routes), ...Object.entries(nat)].map((pair) => pair.join(' -> ')).join('\n');
  },
  /** For `exec`: the command that enters, one argument per line of JSON. */
  entrance: async (lab, [where = '', ...argv]) => JSON.stringify(await lab.entrance(where, argv)),
  /** For `kubectl`, `helm` and `aws`, which run on this machine. */
  access: async (lab) => JSON.stringify({ kubeconfig: lab.kubeconfigPath, ec2URL: lab.ec2URL, dir: lab.dir }),
};

/**
 * Does what a command says.
 * @throws Error for a person to read.
 */
export const execute = (lab: Lab, { word, args }: Command, product: Product | undefined): Promise<string> => {
  const run = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (run === undefined) throw new Error(`The lab does not know ${word}.`);
  return run(lab, args, product);
};

const callLine = (call: CallRecord): string => {
  const { PrivateIpAddress = '', NetworkInterfaceId = '', AllocationId = '' } = call.parameters;
  const what = [
    NetworkInterfaceId,
    PrivateIpAddress || call.parameters['PrivateIpAddress.1'],
    AllocationId,
    call.fault && `fault ${call.fault}`,
    call.errorCode,
  ];
  const time = new Date(call.receivedAtMs).toISOString().slice(11, 23);
  return `${String(call.id).padStart(4)} ${time} ${call.status || '---'} ${call.action} ${what.filter(Boolean).join(' ')}`;
};

const status = async (lab: Lab, product: Product | undefined): Promise<string> => {
  const lines = [`logs        ${lab.dir}`, `EC2 API     ${lab.ec2URL}`];
  lines.push(`kubeconfig  ${lab.kubeconfigPath}`);
  if (product !== undefined)
    lines.push(`operator    ${product.operatorRuns() ? 'runs' : 'does not run'}, log ${product.operatorLog}`);
  for (const { name, address } of lab.vpc.instances) {
    const { running, paused, services } = await lab.node(name).state();
    const state = running ? (paused ? 'frozen' : 'running') : 'off';
    const up = services.map((service) => `${service.name}${service.pid === null ? ' (ended)' : ''}`);
    lines.push(`${name.padEnd(11)} ${state}, ${address}, services: ${up.join(', ')}`);
  }
  const cuts = lab.cuts();
  lines.push(`cut         ${cuts.length === 0 ? 'nothing' : cuts.join(', ')}`);
  const { routes, nat } = await lab.ec2.mapping();
  for (const [from, to] of Object.entries({ ...routes, ...nat })) lines.push(`${from.padEnd(16)} -> ${to}`);
  return lines.join('\n');
};
