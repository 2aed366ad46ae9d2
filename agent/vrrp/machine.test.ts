/** Runs the conformance cases of `cases/`, then what holds for all inputs. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { Reason } from '../../crds/conditions.ts';
import type { Checksum } from '../../crds/types.ts';
import { ipv4Datagram } from './datagrams.ts';
import { VirtualRouter } from './machine.ts';
import { decodeAdvert, encodeAdvert } from './packet.ts';
import { expectedInterval, masterDownInterval } from './timers.ts';
import type { AcceptedParameters, Output, VirtualRouterConfig } from './types.ts';

type CaseSet = { advertisementIntervalMs: number; checksum?: Checksum; password?: string };
type CaseConfig = Partial<Omit<VirtualRouterConfig, 'password' | 'accept'>> & {
  password?: string | null;
  accept?: CaseSet[];
};
type Receive = CaseConfig & { source?: string; destination?: string; ttl?: number; flip?: number };
type Step = { at: number; outputs: string[]; state: string; deadline: number | 'never' } & Partial<{
  start: true;
  /** A start that goes on for a Master whose last advert left then. */
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
type Case = {
  name: string;
  source: string;
  config?: CaseConfig;
  initial: 'Init' | 'Backup' | 'NewMaster' | 'Master' | 'Fault';
  steps: Step[];
};

const DEFAULTS: VirtualRouterConfig = {
  version: 3,
  virtualRouterID: 51,
  priority: 100,
  advertisementIntervalMs: 1000,
  checksum: 'Pseudoheader',
  sourceAddress: '10.77.0.12',
  peerAddress: '10.77.0.11',
  vips: ['10.77.0.100'],
};

const withChanges = (base: VirtualRouterConfig, changes: CaseConfig = {}): VirtualRouterConfig => {
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
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const acceptedSet = ({ checksum = 'Pseudoheader', password, ...set }: CaseSet): AcceptedParameters => ({
  ...set,
  checksum,
  ...(password === undefined ? {} : { password: bytesOf(password) }),
});

/** The advert of the peer of `config`, changed as a case says. */
const peerDatagram = (config: VirtualRouterConfig, receive: Receive): Uint8Array => {
  const {
    source = config.peerAddress,
    destination = config.sourceAddress,
    ttl = 255,
    flip,
    ...changes
  } = receive;
  const { vips: addresses, ...peer } = withChanges({ ...config, priority: 200 }, changes);
  const message = encodeAdvert({ ...peer, addresses }, { ...peer, source, destination });
  if (flip !== undefined) message[flip] = (message[flip] ?? 0) ^ 0x80;
  return ipv4Datagram(message, { source, destination, ttl });
};

/** What the peer reads in a message we send, with our own parameters; anything it would reject shows. */
const readAsPeer = (message: Uint8Array, config: VirtualRouterConfig, withInterval: boolean): string => {
  const { sourceAddress: source, peerAddress: destination } = config;
  const { accept: _, ...sent } = config;
  const result = decodeAdvert(ipv4Datagram(message, { source, destination }), {
    ...sent,
    sourceAddress: destination,
    peerAddress: source,
  });
  if (!result.ok) return `send ${result.cause}`;
  const { priority, advertisementIntervalMs } = result.advert;
  return withInterval ? `send ${priority} every ${advertisementIntervalMs}` : `send ${priority}`;
};

const describe = (output: Output, config: VirtualRouterConfig, withInterval = false): string => {
  switch (output.type) {
    case 'send':
      return readAsPeer(output.message, config, withInterval);
    case 'state':
      return `state ${output.state} ${output.reason}`;
    case 'settled':
      return 'settled';
    case 'peer':
      return output.heard ? `heard ${output.priority}` : 'silent';
    case 'rejected':
      return `rejected ${output.cause}`;
    case 'overslept':
      return 'overslept';
    case 'refused':
      return `refused ${output.refusal}`;
  }
};

const enter = (router: VirtualRouter, initial: Case['initial'], config: VirtualRouterConfig): void => {
  const claimAt = -masterDownInterval(config, expectedInterval(config));
  if (initial === 'Backup') router.start(0);
  if (initial === 'Fault') router.setFault(0, 'ChecksFailed');
  if (initial === 'NewMaster' || initial === 'Master') {
    router.start(claimAt);
    router.handleTimeout(0);
  }
  if (initial === 'Master') router.handleTimeout(10);
};

const apply = (router: VirtualRouter, step: Step): Output[] => {
  if (step.start) return router.start(step.at);
  if (step.timeout) return router.handleTimeout(step.at);
  if (step.receive) return router.handleDatagram(step.at, peerDatagram(router.config, step.receive));
  if (step.resign) return router.resign(step.at, step.resign);
  if (step.stop) return router.stop(step.at, step.stop);
  if (step.resume !== undefined) return router.start(step.at, step.resume);
  if (step.claimByHand) return router.claimByHand(step.at);
  if (step.lastResort) return router.claimUnhealthy(step.at);
  if (step.fault !== undefined) return router.setFault(step.at, step.fault);
  if (step.configure) return router.configure(step.at, withChanges(router.config, step.configure));
  throw new Error(`a step at ${step.at} has no input`);
};

const folder = new URL('./cases/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
for (const file of files) {
  const cases: Case[] = parse(readFileSync(new URL(file, folder), 'utf8'));
  for (const { name, config: changes, initial, steps } of cases) {
    test(`${file}: ${name}`, () => {
      const config = withChanges(DEFAULTS, changes);
      const router = new VirtualRouter(config);
      enter(router, initial, config);
      for (const step of steps) {
        const withInterval = step.outputs.some((output) => output.includes(' every '));
        const seen = apply(router, step).map((output) => describe(output, router.config, withInterval));
        assert.equal(
          { at: step.at, outputs: seen, state: router.state.name, deadline: router.nextTimeout() ?? 'never' },
          { at: step.at, outputs: step.outputs, state: step.state, deadline: step.deadline },
        );
      }
    });
  }
}

test('refuses a configuration that has no place in a packet, and keeps the old one', () => {
  assert.throws(() => new VirtualRouter({ ...DEFAULTS, priority: 0 }), /priority is 0/);
  const router = new VirtualRouter(DEFAULTS);
  router.start(0);
  assert.throws(() => router.configure(1, { ...DEFAULTS, advertisementIntervalMs: 15 }), /centiseconds/);
  assert.equal(router.config, DEFAULTS);
  assert.is(router.nextTimeout(), 3609.375);
});

/** Routers in each state, as the properties want them. */
const INITIAL = ['Init', 'Backup', 'NewMaster', 'Master', 'Fault'] as const;
const inState = (initial: Case['initial']): VirtualRouter => {
  const router = new VirtualRouter(DEFAULTS);
  enter(router, initial, DEFAULTS);
  return router;
};

test('random bytes never throw, never touch state or timers, and are always rejected', () => {
  const routers = INITIAL.map(inState);
  const genuine = peerDatagram(DEFAULTS, {});
  const spoiled = fc
    .tuple(fc.nat({ max: genuine.length - 1 }), fc.integer({ min: 1, max: 255 }))
    .map(([offset, flip]) => genuine.map((byte, index) => (index === offset ? byte ^ flip : byte)))
    // Identification, type of service and header checksum are the kernel's business; a TTL of 254 is let in.
    .filter((bytes) => bytes[8] === 255 && bytes.subarray(12).some((byte, i) => byte !== genuine[12 + i]));
  const before = routers.map((router) => [router.state, router.nextTimeout()]);
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 120 }), spoiled),
      fc.double({ min: 0, max: 1e9 }),
      (bytes, now) => {
        for (const router of routers) {
          const outputs = router.handleDatagram(now, bytes);
          assert.ok(outputs.every(({ type }) => type === 'rejected'));
        }
      },
    ),
    { numRuns: 20_000 },
  );
  assert.equal(
    routers.map((router) => [router.state, router.nextTimeout()]),
    before,
  );
});

const anyInput = fc.oneof(
  fc.record({ receive: fc.record({ priority: fc.integer({ min: 0, max: 255 }) }) }),
  fc.constant({ timeout: true as const }),
  fc.constant({ start: true as const }),
  fc.constant({ resign: 'YieldOrdered' as const }),
  fc.constantFrom({ fault: 'ChecksFailed' as const }, { fault: null }),
  fc.constant({ lastResort: true as const }),
  fc.constant({ claimByHand: true as const }),
  fc.record({
    configure: fc.record(
      {
        priority: fc.integer({ min: 1, max: 254 }),
        claim: fc.constantFrom('Normal' as const, 'Always' as const, 'Never' as const),
        advertisementIntervalMs: fc.integer({ min: 1, max: 300 }).map((centiseconds) => 10 * centiseconds),
        peerAddress: fc.constantFrom('10.77.0.11', '10.77.0.13'),
      },
      { requiredKeys: [] },
    ),
  }),
);

test('deadlines are never in the past, and a timeout handled is over', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.double({ min: 0, max: 9000, noNaN: true }), anyInput)), (inputs) => {
      const router = new VirtualRouter(DEFAULTS);
      let now = 0;
      for (const [wait, input] of inputs) {
        // As the worker does: never sleep past the deadline, except when the machine does.
        now += wait;
        apply(router, { at: now, outputs: [], state: '', deadline: 'never', ...input });
        router.handleTimeout(now);
        const deadline = router.nextTimeout();
        assert.ok(deadline === null || deadline > now, `deadline ${deadline} at ${now}`);
      }
    }),
    { numRuns: 2000 },
  );
});

test.run();
