/** What the lab's daemon can be told: a table of words, and what each does to the world. Every answer is text to print. */

import type { World } from './lab.ts';
import type { Product } from './product.ts';
import type { CallRecord, FaultSpec } from './types.ts';

/** A word on the command line and its arguments. */
export type Command = { word: string; args: string[] };

type Run = (world: World, args: string[], product: Product | undefined) => Promise<string>;

const onNode =
  (act: (node: ReturnType<World['node']>) => Promise<void>, done: string): Run =>
  async (world, [name]) => {
    if (name === undefined) throw new Error('Name an instance: node1 or node2.');
    await act(world.node(name));
    return `${name} ${done}`;
  };

const onLink =
  (isCut: boolean): Run =>
  async (world, [link = '']) => {
    await (isCut ? world.cut(link) : world.heal(link));
    return `${link} is ${isCut ? 'cut' : 'whole'}`;
  };

const COMMANDS: Record<string, Run> = {
  status: (world, _, product) => status(world, product),
  crash: onNode((node) => node.crash(), 'crashed'),
  start: onNode((node) => node.start(), 'boots'),
  stop: onNode((node) => node.stop(), 'is off'),
  pause: onNode((node) => node.pause(), 'is frozen'),
  resume: onNode((node) => node.resume(), 'runs on'),
  cut: onLink(true),
  heal: onLink(false),
  fault: async (world, [spec = '']) => {
    await world.ec2.fault(JSON.parse(spec) as FaultSpec);
    return `the next matching EC2 calls suffer ${spec}`;
  },
  calls: async (world) => (await world.ec2.calls()).map(callLine).join('\n'),
  mapping: async (world) => {
    const { routes, nat } = await world.ec2.mapping();
    return [...Object.entries(routes), ...Object.entries(nat)].map((pair) => pair.join(' -> ')).join('\n');
  },
  /** For `exec`: the command that enters, one argument per line of JSON. */
  entrance: async (world, [where = '', ...argv]) => JSON.stringify(await world.entrance(where, argv)),
  /** For `kubectl`, `helm` and `aws`, which run on this machine. */
  access: async (world) =>
    JSON.stringify({ kubeconfig: world.kubeconfigPath, ec2URL: world.ec2URL, dir: world.dir }),
};

/**
 * Does what a command says.
 * @throws Error for a person to read.
 */
export const execute = (
  world: World,
  { word, args }: Command,
  product: Product | undefined,
): Promise<string> => {
  const run = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (run === undefined) throw new Error(`The lab does not know ${word}.`);
  return run(world, args, product);
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

const status = async (world: World, product: Product | undefined): Promise<string> => {
  const lines = [`logs        ${world.dir}`, `EC2 API     ${world.ec2URL}`];
  lines.push(`kubeconfig  ${world.kubeconfigPath}`);
  if (product !== undefined)
    lines.push(`operator    ${product.operatorRuns() ? 'runs' : 'does not run'}, log ${product.operatorLog}`);
  for (const { name, address } of world.vpc.instances) {
    const { running, paused, services } = await world.node(name).state();
    const state = running ? (paused ? 'frozen' : 'running') : 'off';
    const up = services.map((service) => `${service.name}${service.pid === null ? ' (ended)' : ''}`);
    lines.push(`${name.padEnd(11)} ${state}, ${address}, services: ${up.join(', ')}`);
  }
  const cuts = world.cuts();
  lines.push(`cut         ${cuts.length === 0 ? 'nothing' : cuts.join(', ')}`);
  const { routes, nat } = await world.ec2.mapping();
  for (const [from, to] of Object.entries({ ...routes, ...nat })) lines.push(`${from.padEnd(16)} -> ${to}`);
  return lines.join('\n');
};
