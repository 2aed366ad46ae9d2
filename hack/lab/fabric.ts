/**
 * The data plane of the VPC as the EC2 API moves it: a /32 route with a permanent neighbour per private address, a set of
 * (ENI, source address) pairs for the source check, and two maps for the 1:1 NAT of Elastic IPs. Runs in the fabric's
 * network namespace, where network.ts has built the rest.
 */
import { execFile } from 'node:child_process';
import type { Fabric, LabVPC } from './types.ts';
import { placedInterfaces } from './vpc.ts';

/** Name of the fabric's nftables table. */
export const TABLE = 'ip vpc';

/**
 * How long an ENI may still send from an address that has moved away: answers that were under way when the mapping
 * changed arrive, as they do in a VPC.
 */
const GRACE = '100ms';

const COMMAND_MS = 60_000;

/** An ENI as the fabric sees it: its end of the veth pair and the MAC address behind it. */
type Port = { device: string; macAddress: string };

/** Every ENI of the VPC by its id. */
const portsOf = (vpc: LabVPC): Map<string, Port> => {
  return new Map(
    placedInterfaces(vpc).map((eni) => [
      eni.networkInterfaceID,
      { device: eni.fabricDevice, macAddress: eni.macAddress },
    ]),
  );
};

/**
 * Takes over the data plane in the present network namespace, whatever its routes say by now. Calls run one after
 * another; each takes about 10 ms and throws when the kernel refuses it or the ENI is unknown.
 */
export const createFabric = (vpc: LabVPC): Fabric => {
  const ports = portsOf(vpc);
  const move = mover(ports);
  let queue: Promise<unknown> = Promise.resolve();
  const inOrder = (work: () => Promise<void>): Promise<void> => {
    const done = queue.then(work);
    queue = done.catch(() => undefined); // the caller of `work` sees its error; the next call must still run
    return done;
  };
  return {
    route: (address, networkInterfaceID) => inOrder(() => move(address, networkInterfaceID)),
    nat: (publicIP, address) => inOrder(() => translate(publicIP, address)),
  };
};

/**
 * First the new ENI may answer, then packets arrive there, then the grace of the old one begins: however slow the machine
 * is, at no time does an answer come from an ENI that may not send it.
 */
const mover = (ports: Map<string, Port>): ((address: string, eni: string | null) => Promise<void>) => {
  let routes: Map<string, string> | undefined;
  return async (address, networkInterfaceID) => {
    routes ??= await routedDevices();
    const to = networkInterfaceID === null ? undefined : ports.get(networkInterfaceID);
    if (networkInterfaceID !== null && to === undefined) {
      throw new Error(
        `The fabric cannot route ${address}: no ENI ${networkInterfaceID} among ${[...ports.keys()].join(', ')}`,
      );
    }
    const from = routes.get(address);
    if (from === to?.device) return;
    await apply(admit(address, to?.device), routeChange(address, from, to), dismiss(address, from));
    if (to === undefined) routes.delete(address);
    else routes.set(address, to.device);
  };
};

const admit = (address: string, to: string | undefined): string[] => {
  if (to === undefined) return [];
  // It may still be there with the grace of an earlier move away: replaced by one without an end.
  return [
    `add element ${TABLE} holds { "${to}" . ${address} }`,
    `delete element ${TABLE} holds { "${to}" . ${address} }`,
    `add element ${TABLE} holds { "${to}" . ${address} }`,
  ];
};

const dismiss = (address: string, from: string | undefined): string[] => {
  if (from === undefined) return [];
  return [
    `delete element ${TABLE} holds { "${from}" . ${address} }`,
    `add element ${TABLE} holds { "${from}" . ${address} timeout ${GRACE} }`,
  ];
};

const routeChange = (address: string, from: string | undefined, to: Port | undefined): string[] => {
  const lines: string[] = [];
  if (to === undefined) lines.push(`route del ${address}/32`);
  else {
    lines.push(`neigh replace ${address} lladdr ${to.macAddress} dev ${to.device} nud permanent`);
    lines.push(`route replace ${address}/32 dev ${to.device}`);
  }
  if (from !== undefined) lines.push(`neigh del ${address} dev ${from}`);
  return lines;
};

/** Without connection tracking, as an internet gateway does it: no flow remembers an old mapping. */
const translate = async (publicIP: string, address: string | null): Promise<void> => {
  const { nftables } = JSON.parse(await run('nft', ['-j', 'list', 'map', ...TABLE.split(' '), 'eip_in'])) as {
    nftables: { map?: { elem?: [string, string][] } }[];
  };
  const current = nftables.flatMap((entry) => entry.map?.elem ?? []);
  const lines: string[] = [];
  for (const [outer, inner] of current.filter(([o, i]) => o === publicIP || i === address)) {
    lines.push(`delete element ${TABLE} eip_in { ${outer} : ${inner} }`);
    lines.push(`delete element ${TABLE} eip_out { ${inner} : ${outer} }`);
  }
  if (address !== null) {
    lines.push(`add element ${TABLE} eip_in { ${publicIP} : ${address} }`);
    lines.push(`add element ${TABLE} eip_out { ${address} : ${publicIP} }`);
  }
  if (lines.length > 0) await nft(lines);
};

/** One process start instead of three: a change takes less time. */
const APPLY = 'printf %s "$1" | nft -f - && printf %s "$2" | ip -batch - && printf %s "$3" | nft -f -';

const apply = (...steps: [nft: string[], ip: string[], nft: string[]]): Promise<string> =>
  run('sh', ['-c', APPLY, 'fabric', ...steps.map((lines) => `${lines.join('\n')}\n`)]);

/** Which fabric device each private address is routed to now. */
const routedDevices = async (): Promise<Map<string, string>> => {
  const routes = JSON.parse(await run('ip', ['-j', 'route', 'show', 'scope', 'link'])) as {
    dst: string;
    dev: string;
  }[];
  return new Map(routes.filter(({ dst }) => !dst.includes('/')).map(({ dst, dev }) => [dst, dev] as const));
};

/** Runs nft commands as one transaction in the present network namespace. */
export const nft = (lines: string[]): Promise<string> => run('nft', ['-f', '-'], `${lines.join('\n')}\n`);

/** Runs `ip` commands in order in the present network namespace, or in the one named. */
export const ip = (lines: string[], namespace?: string): Promise<string> =>
  run('ip', [...(namespace ? ['-n', namespace] : []), '-batch', '-'], `${lines.join('\n')}\n`);

/**
 * Runs a short command to its end.
 * @throws Error with the command, its input and what it said.
 */
export const run = (file: string, args: readonly string[], input = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { timeout: COMMAND_MS, killSignal: 'SIGKILL' as const };
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else {
        const command = [file, ...args].join(' ');
        const said = stderr.trim() || error.message;
        reject(
          new Error(`${command} failed: ${said}${input ? `\n${input.trimEnd()}` : ''}`, { cause: error }),
        );
      }
    });
    child.stdin?.on('error', () => undefined); // EPIPE of a command that ended early: its exit tells
    child.stdin?.end(input);
  });
