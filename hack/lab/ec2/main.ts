/**
 * The lab's EC2 as a process: the EC2 API, IMDS and the fabric that follows them.
 *
 *     node hack/lab/ec2/main.ts --vpc FILE|--pairs N [--nodes N] [--profile instant|aws|aws-quick-return] [--listen HOST:PORT] [--imds HOST:PORT]
 *         [--fabric none|kernel] [--initial ADDRESS=ENI[=ALLOCATION]]…
 *
 * FILE is a LabVPC in JSON. With --pairs there is no fabric: a VPC of that many pairs on 200 nodes (or --nodes), each with
 * a VIP and an EIP that lie on a node already, for measurements of the API alone (large-vpc.ts names them). Prints one line of
 * JSON, {"ready":true,…}, once everything listens and the fabric has the first mapping. `--initial` puts an address on an ENI,
 * with an EIP on it, before that. SIGTERM ends it at once.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import {
  type Fabric,
  isLatencyProfile,
  LATENCY_PROFILES,
  type LabVPC,
  type LatencyProfile,
} from '../types.ts';
import { LATENCIES } from './api.ts';
import { createIMDSServer, IMDS } from './imds.ts';
import { largeVPC } from './large-vpc.ts';
import { EC2Server } from './server.ts';

/** A fabric that carries no packets: for tests of the API alone. */
const NO_FABRIC: Fabric = {
  route: () => Promise.resolve(),
  nat: () => Promise.resolve(),
};

const endpoint = (text: string, option: string): { host: string; port: number } => {
  const match = /^([^:]+):(\d+)$/.exec(text);
  if (match === null) throw new Error(`--${option} is HOST:PORT, not ${text}`);
  return { host: match[1] ?? '', port: Number(match[2]) };
};

const profileOf = (name: string): LatencyProfile => {
  if (!isLatencyProfile(name))
    throw new Error(`--profile is one of ${LATENCY_PROFILES.join(', ')}, not ${name}`);
  return name;
};

/** The kernel's fabric is loaded only when asked for: it needs namespaces that only the lab has. */
const fabricOf = async (name: string, vpc: LabVPC): Promise<Fabric> => {
  if (name === 'none') return NO_FABRIC;
  if (name !== 'kernel') throw new Error(`--fabric is none or kernel, not ${name}`);
  const { createFabric } = await import('../fabric.ts');
  return createFabric(vpc);
};

/** @returns where IMDS listens */
const serveIMDS = async (server: EC2Server, where: string): Promise<string> => {
  const { host, port } = endpoint(where, 'imds');
  const service = new IMDS(() => ({
    vpc: server.api.vpc,
    mapping: server.mapper.mapped,
    moods: server.api.moods,
  }));
  const listener = createIMDSServer(service).listen(port, host);
  await once(listener, 'listening');
  const bound = listener.address();
  return `http://${host}:${typeof bound === 'object' && bound !== null ? bound.port : port}`;
};

/** The VPC of a file, or a large one, with where its addresses are. */
const vpcOf = async (values: {
  vpc?: string | undefined;
  pairs?: string | undefined;
  nodes: string;
}): Promise<{ vpc: LabVPC; initial: string[] }> => {
  if (values.pairs !== undefined)
    return largeVPC({ pairs: Number(values.pairs), nodes: Number(values.nodes), eips: true });
  if (values.vpc === undefined)
    throw new Error('--vpc FILE is missing: the VPC as JSON (LabVPC in hack/lab/types.ts), or --pairs N');
  return { vpc: JSON.parse(await readFile(values.vpc, 'utf8')), initial: [] };
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      vpc: { type: 'string' },
      pairs: { type: 'string' },
      nodes: { type: 'string', default: '200' },
      profile: { type: 'string', default: 'instant' },
      listen: { type: 'string', default: '127.0.0.1:4566' },
      imds: { type: 'string' },
      fabric: { type: 'string', default: 'none' },
      initial: { type: 'string', multiple: true, default: [] },
    },
  });
  const logger = pino({ level: process.env.LOG_LEVEL ?? 'info' });
  const { vpc, initial } = await vpcOf(values);
  const fabric = await fabricOf(values.fabric, vpc);
  const server = new EC2Server({
    vpc,
    latency: LATENCIES[profileOf(values.profile)],
    fabric,
    logger,
    initial: [...initial, ...values.initial],
  });
  const wanted = endpoint(values.listen, 'listen');
  const bound = await server.listen(wanted.host, wanted.port);
  const imds = values.imds === undefined ? undefined : await serveIMDS(server, values.imds);
  const ready = { ready: true, ec2: `http://${bound.host}:${bound.port}`, imds, pid: process.pid };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
};

process.once('SIGTERM', () => process.exit(0));
await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
