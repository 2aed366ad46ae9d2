/**
 * The instance metadata service, version 2 alone. Which instance asks is told by the source address of the connection,
 * which the fabric's strict source check makes trustworthy. An address is listed once packets for it arrive: IMDS shows
 * the mapping, EC2's Describe shows the state.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { nowMs } from '../clock.ts';
import type { LabInstance, LabVPC } from '../types.ts';
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

const privateAddresses = (instance: LabInstance, { routes }: Mapping): string[] => {
  const held = [...routes]
    .filter(([, eni]) => eni === instance.networkInterfaceID)
    .map(([address]) => address);
  return [
    ...held.filter((address) => address === instance.address),
    ...held.filter((a) => a !== instance.address),
  ];
};

/** What an instance is shown. */
const metadataOf = (vpc: LabVPC, instance: LabInstance, mapping: Mapping): Tree => {
  const local = privateAddresses(instance, mapping);
  const associations = [...mapping.nat].filter(([, address]) => local.includes(address));
  const own: Tree = {
    'device-number': '0',
    'interface-id': instance.networkInterfaceID,
    ...(associations.length > 0 && {
      'ipv4-associations': Object.fromEntries(associations),
      'public-ipv4s': associations.map(([publicIP]) => publicIP).join('\n'),
    }),
    'local-ipv4s': local.join('\n'),
    mac: instance.macAddress,
    'security-group-ids': instance.securityGroupIDs.join('\n'),
    'subnet-id': vpc.subnetID,
    'subnet-ipv4-cidr-block': vpc.cidr,
    'vpc-id': vpc.vpcID,
  };
  return {
    'instance-id': instance.instanceID,
    'instance-type': instance.instanceType,
    'local-ipv4': instance.address,
    mac: instance.macAddress,
    network: { interfaces: { macs: { [instance.macAddress]: own } } },
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

/** The metadata service of every instance of the VPC. */
export class IMDS {
  readonly #view: () => { vpc: LabVPC; mapping: Mapping };
  readonly #tokens = new Map<string, { instanceID: string; expiresAtMs: number }>();

  constructor(view: () => { vpc: LabVPC; mapping: Mapping }) {
    this.#view = view;
  }

  /** @param atMs any clock that does not go back, in milliseconds */
  answer(request: IMDSRequest, atMs: number): IMDSAnswer {
    const { vpc, mapping } = this.#view();
    const eni = mapping.routes.get(request.source);
    const instance = vpc.instances.find(
      (known) => known.networkInterfaceID === eni || known.address === request.source,
    );
    if (instance === undefined) return { status: 404, body: `no instance has the address ${request.source}` };
    if (request.path === '/latest/api/token') return this.#issueToken(instance, request, atMs);
    if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, body: '' };
    const token = this.#tokens.get(String(request.headers[TOKEN_HEADER] ?? ''));
    if (token === undefined || token.instanceID !== instance.instanceID || token.expiresAtMs <= atMs)
      return { status: 401, body: '' };
    const tree: Tree = { latest: { 'meta-data': metadataOf(vpc, instance, mapping) } };
    const body = lookUp(tree, request.path);
    return body === null ? { status: 404, body: '' } : { status: 200, body };
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
    const answer = imds.answer({ source, method, path, headers }, nowMs());
    response.writeHead(answer.status, { 'content-type': 'text/plain', ...answer.headers });
    response.end(answer.body);
  });
