/**
 * The instance metadata service, version 2 alone. Which instance asks is told by the source address of the connection,
 * which the fabric's strict source check makes trustworthy. An address is listed once packets for it arrive: IMDS shows
 * the mapping, EC2's Describe shows the state.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { nowMs } from '../clock.ts';
import type { LabInstance, LabInterface, LabVPC } from '../types.ts';
import { interfacesOf } from '../vpc.ts';
import { inMood, Moods } from './moods.ts';
import type { Mapping } from './state.ts';

/** An answer of IMDS, always text. */
export type IMDSAnswer = { status: number; body: string; headers?: Record<string, string> };

/** A request, with the source address of its connection. */
export type IMDSRequest = { source: string; method: string; path: string; headers: IncomingHttpHeaders };

const TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds';
const TOKEN_HEADER = 'x-aws-ec2-metadata-token';
const MAX_TTL_SECONDS = 21_600;
const MAX_TOKENS = 10_000;

/** A directory of the metadata tree, or a value. */
type Tree = { [name: string]: Tree | string };

/** The private addresses of an ENI, its primary first. */
const privateAddresses = (eni: LabInterface, { routes }: Mapping): string[] => {
  const held = [...routes].filter(([, id]) => id === eni.networkInterfaceID).map(([address]) => address);
  return [
    ...held.filter((address) => address === eni.address),
    ...held.filter((address) => address !== eni.address),
  ];
};

const interfaceTree = (
  vpc: LabVPC,
  instance: LabInstance,
  eni: LabInterface,
  device: number,
  local: readonly string[],
  mapping: Mapping,
): Tree => {
  const associations = [...mapping.nat].filter(([, address]) => local.includes(address));
  return {
    'device-number': String(device),
    'interface-id': eni.networkInterfaceID,
    ...(associations.length > 0 && {
      'ipv4-associations': Object.fromEntries(associations),
      'public-ipv4s': associations.map(([publicIP]) => publicIP).join('\n'),
    }),
    'local-ipv4s': local.join('\n'),
    mac: eni.macAddress,
    'security-group-ids': instance.securityGroupIDs.join('\n'),
    'subnet-id': vpc.subnetID,
    'subnet-ipv4-cidr-block': vpc.cidr,
    'vpc-id': vpc.vpcID,
  };
};

/** What an instance is shown. @param listed secondary addresses of its first ENI, whatever is true */
const metadataOf = (
  vpc: LabVPC,
  instance: LabInstance,
  mapping: Mapping,
  listed: readonly string[] | undefined,
): Tree => {
  const trees = interfacesOf(instance).map((eni, device): [string, Tree] => {
    const local = listed && device === 0 ? [eni.address, ...listed] : privateAddresses(eni, mapping);
    return [eni.macAddress, interfaceTree(vpc, instance, eni, device, local, mapping)];
  });
  return {
    'instance-id': instance.instanceID,
    'instance-type': instance.instanceType,
    'local-ipv4': instance.address,
    mac: instance.macAddress,
    network: { interfaces: { macs: Object.fromEntries(trees) } },
    placement: { 'availability-zone': vpc.availabilityZone, region: vpc.region },
  };
};

/** A value, or a directory's entries, those that are directories with a slash. */
const lookUp = (tree: Tree, path: string): string | null => {
  let node: Tree | string = tree;
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (typeof node === 'string' || !Object.hasOwn(node, name)) return null;
    node = node[name] ?? '';
  }
  if (typeof node === 'string') return node;
  return Object.entries(node)
    .map(([name, value]) => (typeof value === 'string' ? name : `${name}/`))
    .join('\n');
};

/** What the service rests on. `moods`, default: everything is well. */
export type IMDSView = { vpc: LabVPC; mapping: Mapping; moods?: Moods };

/** The metadata service of every instance of the VPC. */
export class IMDS {
  readonly #view: () => IMDSView;
  readonly #tokens = new Map<string, { instanceID: string; expiresAtMs: number }>();

  constructor(view: () => IMDSView) {
    this.#view = view;
  }

  /** @param atMs any clock that does not go back, in milliseconds */
  answer(request: IMDSRequest, atMs: number): IMDSAnswer {
    const { vpc, mapping, moods = new Moods() } = this.#view();
    const instance = this.whoAsks(request.source);
    if (instance === undefined) return { status: 404, body: `no instance has the address ${request.source}` };
    if (request.path === '/latest/api/token') return this.#issueToken(instance, request, atMs);
    if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, body: '' };
    const token = this.#tokens.get(String(request.headers[TOKEN_HEADER] ?? ''));
    if (token === undefined || token.instanceID !== instance.instanceID || token.expiresAtMs <= atMs)
      return { status: 401, body: '' };
    const tree: Tree = {
      latest: {
        'meta-data': metadataOf(
          vpc,
          instance,
          moods.mappingFor(instance.name, mapping),
          moods.listedFor(instance.name),
        ),
      },
    };
    const body = lookUp(tree, request.path);
    return body === null ? { status: 404, body: '' } : { status: 200, body };
  }

  /** The instance that has this source address. */
  whoAsks(source: string): LabInstance | undefined {
    const { vpc, mapping } = this.#view();
    const eni = mapping.routes.get(source);
    return vpc.instances.find((known) => {
      const interfaces = interfacesOf(known);
      return interfaces.some(
        ({ networkInterfaceID, address }) => networkInterfaceID === eni || address === source,
      );
    });
  }

  /** Answers a request as the mood of its instance wants it. */
  async respond(request: IMDSRequest, response: ServerResponse): Promise<void> {
    const { moods = new Moods() } = this.#view();
    const mood = moods.take(this.whoAsks(request.source)?.name ?? '');
    const answer = (): void => {
      const { status, headers, body } = this.answer(request, nowMs());
      response.writeHead(status, { 'content-type': 'text/plain', ...headers });
      response.end(body);
    };
    await inMood(mood, response, answer, ({ status }) => response.writeHead(status).end());
  }

  #issueToken(instance: LabInstance, { method, headers }: IMDSRequest, atMs: number): IMDSAnswer {
    if (method !== 'PUT') return { status: 405, body: '' };
    if (headers['x-forwarded-for'] !== undefined) return { status: 403, body: '' };
    const given = String(headers[TTL_HEADER] ?? '');
    const ttlSeconds = /^\d{1,5}$/.test(given) ? Number(given) : 0;
    if (ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) return { status: 400, body: '' };
    const token = randomBytes(32).toString('base64url');
    this.#tokens.set(token, { instanceID: instance.instanceID, expiresAtMs: atMs + ttlSeconds * 1000 });
    for (const [oldest] of this.#tokens) {
      if (this.#tokens.size <= MAX_TOKENS) break;
      this.#tokens.delete(oldest);
    }
    return { status: 200, body: token, headers: { [TTL_HEADER]: given } };
  }
}

/** IMDS over HTTP; the caller lets it listen. */
export const createIMDSServer = (imds: IMDS): Server =>
  createServer((request, response) => {
    request.resume();
    const { method = 'GET', url = '/', headers } = request;
    const source = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const path = url.split('?')[0] ?? '/';
    void imds.respond({ source, method, path, headers }, response);
  });
