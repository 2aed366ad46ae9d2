/** Runs the conformance cases of `cases/`, and proves that they leave nothing out. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { parseIPv4Address } from '../../runtime/ipv4.ts';
import { VirtualRouter } from './machine.ts';
import {
  apply,
  type Case,
  DEFAULTS,
  describeAll,
  enter,
  type Step,
  withChanges,
} from './testing/case-steps.ts';
import { type ClaimRefusal, type Output, REJECT_CAUSES, type VirtualRouterConfig } from './types.ts';

const folder = new URL('./cases/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

/** What a step shows of the machine: a state with an input, the changes of state it made. */
type Seen = { input: string; transitions: string[]; outputs: readonly Output[] };

/** Gives `router` the input of `step` and notes what it shows. */
const observe = (router: VirtualRouter, step: Step): Seen => {
  let from: string = router.state.name;
  const { config } = router;
  const input = `${from}: ${inputOf(step, config)}`;
  const outputs = apply(router, step);
  const transitions = outputs.flatMap((output) => {
    if (output.type !== 'state') return [];
    const transition = `${from} -> ${output.state} ${output.reason}`;
    from = output.state;
    return [transition];
  });
  const isRejected = outputs.some(({ type }) => type === 'rejected');
  return { input: isRejected ? `${router.state.name}: rejected` : input, transitions, outputs };
};

const inputOf = (step: Step, config: Readonly<VirtualRouterConfig>): string => {
  if (step.fault !== undefined && step.resume === undefined)
    return step.fault === null ? 'recovery' : 'fault';
  if (step.receive !== undefined) return `advert of ${rankOf(step.receive, config)}`;
  const [kind] = INPUTS.filter((input) => Reflect.get(step, input) !== undefined);
  assert.ok(kind, `a step at ${step.at} has no input`);
  return kind ?? '';
};
const INPUTS = [
  'start',
  'resume',
  'timeout',
  'resign',
  'stop',
  'lastResort',
  'claimByHand',
  'configure',
] as const;
const RANKS = [
  'priority 0',
  'a lower priority',
  'the same priority and a lower address',
  'the same priority and a higher address',
  'a higher priority',
] as const;

const rankOf = (
  { priority = 200, source, peerAddress }: NonNullable<Step['receive']>,
  config: Readonly<VirtualRouterConfig>,
): (typeof RANKS)[number] => {
  if (priority === 0) return RANKS[0];
  if (priority !== config.priority) return priority < config.priority ? RANKS[1] : RANKS[4];
  const sender = parseIPv4Address(source ?? peerAddress ?? config.peerAddress);
  return sender < parseIPv4Address(config.sourceAddress) ? RANKS[2] : RANKS[3];
};

const cases = files.flatMap((file) => {
  const content: Case[] = parse(readFileSync(new URL(file, folder), 'utf8'));
  return content.map((one) => ({ file, ...one }));
});
const seen: Seen[] = [];
for (const { file, name, config: changes, initial, steps } of cases) {
  test(`${file}: ${name}`, () => {
    const config = withChanges(DEFAULTS, changes);
    const router = new VirtualRouter(config);
    enter(router, initial, config);
    for (const step of steps) {
      const shown = observe(router, step);
      seen.push(shown);
      const outputs = describeAll(shown.outputs, router.config, step);
      assert.equal(
        { at: step.at, outputs, state: router.state.name, deadline: router.nextTimeout() ?? 'never' },
        { at: step.at, outputs: step.outputs, state: step.state, deadline: step.deadline },
      );
    }
  });
}

// From here on: what the cases above have shown, so they stand first.

const missing = (wanted: Iterable<string>, found: Iterable<string>): string[] => {
  const known = new Set(found);
  return [...new Set(wanted)].filter((one) => !known.has(one)).sort();
};

test('every case names its source', () => {
  const nameless = cases.filter(
    ({ source }) => !/RFC \d{4} \d|VRRP-FACTS \d|DESIGN|^V\d|bound|deadline|unicast|touches/.test(source),
  );
  assert.equal(nameless, []);
});

test('every cause of a rejection has a case', () => {
  const causes = seen.flatMap(({ outputs }) =>
    outputs.flatMap((output) => (output.type === 'rejected' ? [output.cause] : [])),
  );
  assert.equal(missing(REJECT_CAUSES, causes), []);
});

test('every refusal of a claim by hand has a case', () => {
  const all: Record<ClaimRefusal, true> = {
    NotStarted: true,
    InFault: true,
    ClaimNever: true,
    MasterHeard: true,
  };
  const refusals = seen.flatMap(({ outputs }) =>
    outputs.flatMap((output) => (output.type === 'refused' ? [output.refusal] : [])),
  );
  assert.equal(missing(Object.keys(all), refusals), []);
});

test('every input in every state has a case', () => {
  const inputs = [...INPUTS, 'fault', 'recovery', ...RANKS.map((rank) => `advert of ${rank}`)];
  const wanted = ['Init', 'Backup', 'Master', 'Fault'].flatMap((state) => [
    ...inputs.map((input) => `${state}: ${input}`),
    // Init hears nothing, so it rejects nothing.
    ...(state === 'Init' ? [] : [`${state}: rejected`]),
  ]);
  const found = seen.map(({ input }) => input);
  assert.equal(missing(wanted, found), []);
});

const anyPriority = fc.oneof(
  fc.constantFrom(0, 99, 100, 101, 200, 254, 255),
  fc.integer({ min: 0, max: 255 }),
);
const anyAddresses = fc.constantFrom(
  { sourceAddress: '10.77.0.12', peerAddress: '10.77.0.11' },
  { sourceAddress: '10.77.0.12', peerAddress: '10.77.0.13' },
);
const anyInput: fc.Arbitrary<Partial<Step>> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ timeout: true as const }) },
  { weight: 3, arbitrary: anyPriority.map((priority) => ({ receive: { priority } })) },
  fc.constant({ start: true as const }),
  fc
    .tuple(fc.nat({ max: 20_000 }), fc.constantFrom(null, 'ChecksFailed' as const))
    .map(([resume, fault]) => ({ resume, fault })),
  fc.constant({ resign: 'YieldOrdered' as const }),
  fc.constant({ stop: 'AgentStopping' as const }),
  {
    weight: 2,
    arbitrary: fc.constantFrom<Partial<Step>[]>(
      { fault: 'ChecksFailed' },
      { fault: 'SourceAddressMissing' },
      { fault: null },
    ),
  },
  fc.constant({ lastResort: true as const }),
  fc.constant({ claimByHand: true as const }),
  fc
    .record(
      {
        claim: fc.constantFrom('Normal' as const, 'Always' as const, 'Never' as const),
        priority: fc.constantFrom(100, 200, 255),
        preemptMode: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    .map((configure) => ({ configure })),
);
/** To the next deadline, a little past it, or past several. */
const anyPause = fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 8, noNaN: true }));

test('every change of state that can happen, with its reason, has a case', () => {
  const possible = new Set<string>();
  // One seed: what is possible does not depend on the day.
  fc.assert(
    fc.property(
      anyAddresses,
      fc.array(fc.tuple(anyPause, anyInput), { maxLength: 60 }),
      (addresses, inputs) => {
        const router = new VirtualRouter({ ...DEFAULTS, ...addresses });
        router.start(0);
        let now = 0;
        for (const [pause, input] of inputs) {
          const untilTimeout = Math.max(0, (router.nextTimeout() ?? now + 1000) - now);
          now += pause <= 1 ? pause * untilTimeout : pause * 1000;
          const step = { at: now, outputs: [], state: '', deadline: 'never' as const, ...input };
          for (const transition of observe(router, step).transitions) possible.add(transition);
        }
      },
    ),
    { seed: 5, numRuns: 20_000 },
  );
  assert.ok(possible.size > 20, `only ${possible.size} changes were found`);
  const shown = seen.flatMap(({ transitions }) => transitions);
  assert.equal(missing(possible, shown), []);
});

test.run();
