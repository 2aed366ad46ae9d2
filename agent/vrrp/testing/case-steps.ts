/** What the words of `cases/` mean: a case's inputs to a router, and its outputs in the words of the files. */
import type { Reason } from '../../../crds/conditions.ts';
import type { Checksum } from '../../../crds/types.ts';
import { ipv4Datagram } from '../datagrams.ts';
import type { VirtualRouter } from '../machine.ts';
import { decodeAdvert, encodeAdvert } from '../packet.ts';
import { expectedInterval, masterDownInterval } from '../timers.ts';
import type { AcceptedParameters, Output, VirtualRouterConfig } from '../types.ts';

type CaseSet = { advertisementIntervalMs: number; checksum?: Checksum; password?: string };
/** What of a configuration differs from {@link DEFAULTS}; a password is text. */
export type CaseConfig = Partial<Omit<VirtualRouterConfig, 'password' | 'accept'>> & {
  password?: string | null;
  accept?: CaseSet[];
};
/** An advert of the peer with what differs, or bytes in hexadecimal: of a VRRP message, or of a whole datagram. */
export type Receive = CaseConfig & {
  source?: string;
  destination?: string;
  ttl?: number;
  flip?: number;
  message?: string;
  datagram?: string;
};
/** One input at a time, and everything that must follow. */
export type Step = { at: number; outputs: string[]; state: string; deadline: number | 'never' } & Partial<{
  start: true;
  /** A start that goes on for a Master whose last advert left then; `fault` beside it: what that one was told. */
  resume: number;
  timeout: true;
  receive: Receive;
  resign: Reason;
  stop: Reason;
  lastResort: true;
  claimByHand: true;
  fault: Reason | null;
  configure: CaseConfig;
}>;
/** One promise of the state machine; `README.md` beside the files explains the words. */
export type Case = {
  name: string;
  source: string;
  config?: CaseConfig;
  initial: 'Init' | 'Backup' | 'NewMaster' | 'Master' | 'Fault';
  steps: Step[];
};

/** The configuration of a case that says nothing else. */
export const DEFAULTS: VirtualRouterConfig = {
  version: 3,
  virtualRouterID: 51,
  priority: 100,
  advertisementIntervalMs: 1000,
  checksum: 'Pseudoheader',
  sourceAddress: '10.77.0.12',
  peerAddress: '10.77.0.11',
  vips: ['10.77.0.100'],
};

/** `base` with what a case says. */
export const withChanges = (base: VirtualRouterConfig, changes: CaseConfig = {}): VirtualRouterConfig => {
  const { password, accept, ...others } = changes;
  const { password: before, ...rest } = base;
  const secret = typeof password === 'string' ? bytesOf(password) : before;
  return {
    ...rest,
    ...others,
    ...(secret === undefined || password === null ? {} : { password: secret }),
    ...(accept === undefined ? {} : { accept: accept.map(acceptedSet) }),
  };
};
const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const acceptedSet = ({ checksum = 'Pseudoheader', password, ...set }: CaseSet): AcceptedParameters => ({
  ...set,
  checksum,
  ...(password === undefined ? {} : { password: bytesOf(password) }),
});

/** The advert of the peer of `config`, changed as a case says. */
export const peerDatagram = (config: VirtualRouterConfig, receive: Receive): Uint8Array => {
  const {
    source = config.peerAddress,
    destination = config.sourceAddress,
    ttl = 255,
    flip,
    message: bytes,
    datagram,
    ...changes
  } = receive;
  if (datagram !== undefined) return fromHex(datagram);
  const { vips: addresses, ...peer } = withChanges({ ...config, priority: 200 }, changes);
  const message =
    bytes === undefined
      ? encodeAdvert({ ...peer, addresses }, { ...peer, source, destination })
      : fromHex(bytes);
  if (flip !== undefined) message[flip] = (message[flip] ?? 0) ^ 0x80;
  return ipv4Datagram(message, { source, destination, ttl });
};

/** What the peer reads in a message we send, with our own parameters; anything it would reject shows. */
const readAsPeer = (message: Uint8Array, config: VirtualRouterConfig, style: Style): string => {
  if (style === 'bytes') return `send ${toHex(message)}`;
  const { sourceAddress: source, peerAddress: destination } = config;
  const { accept: _, ...sent } = config;
  const result = decodeAdvert(ipv4Datagram(message, { source, destination }), {
    ...sent,
    sourceAddress: destination,
    peerAddress: source,
  });
  if (!result.ok) return `send ${result.cause}`;
  const { priority, advertisementIntervalMs } = result.advert;
  return style === 'interval' ? `send ${priority} every ${advertisementIntervalMs}` : `send ${priority}`;
};

/** How much of a message that is sent a case wants to see. */
type Style = 'priority' | 'interval' | 'bytes';
const styleOf = (outputs: readonly string[]): Style => {
  if (outputs.some((output) => /^send [0-9a-f]{16,}$/.test(output))) return 'bytes';
  return outputs.some((output) => output.includes(' every ')) ? 'interval' : 'priority';
};

/** An output as the files write it. */
const describe = (output: Output, config: VirtualRouterConfig, style: Style): string => {
  switch (output.type) {
    case 'send':
      return readAsPeer(output.message, config, style);
    case 'state':
      return `state ${output.state} ${output.reason}`;
    case 'settled':
    case 'overslept':
      return output.type;
    case 'peer':
      return output.heard ? `heard ${output.priority}` : 'silent';
    case 'rejected':
      return `rejected ${output.cause}`;
    case 'refused':
      return `refused ${output.refusal}`;
  }
};

/** The outputs of a step as its case writes them. */
export const describeAll = (outputs: readonly Output[], config: VirtualRouterConfig, step: Step): string[] =>
  outputs.map((output) => describe(output, config, styleOf(step.outputs)));

/** Brings a router of `config` into the state that a case begins in, at time 0. */
export const enter = (router: VirtualRouter, initial: Case['initial'], config: VirtualRouterConfig): void => {
  const claimAt = -masterDownInterval(config, expectedInterval(config));
  if (initial === 'Backup') router.start(0);
  if (initial === 'Fault') router.setFault(0, 'ChecksFailed');
  if (initial === 'NewMaster' || initial === 'Master') {
    router.start(claimAt);
    router.handleTimeout(0);
  }
  if (initial === 'Master') router.handleTimeout(10);
};

/** Gives a router the input of a step. */
export const apply = (router: VirtualRouter, step: Step): Output[] => {
  if (step.start) return router.start(step.at);
  if (step.timeout) return router.handleTimeout(step.at);
  if (step.receive) return router.handleDatagram(step.at, peerDatagram(router.config, step.receive));
  if (step.resign) return router.resign(step.at, step.resign);
  if (step.stop) return router.stop(step.at, step.stop);
  if (step.resume !== undefined)
    return router.start(step.at, { lastAdvertAt: step.resume, fault: step.fault ?? null });
  if (step.claimByHand) return router.claimByHand(step.at);
  if (step.lastResort) return router.claimUnhealthy(step.at);
  if (step.fault !== undefined) return router.setFault(step.at, step.fault);
  if (step.configure) return router.configure(step.at, withChanges(router.config, step.configure));
  throw new Error(`a step at ${step.at} has no input`);
};
