/** What holds for all inputs to a virtual router; `conformance.test.ts` runs the cases. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VirtualRouter } from './machine.ts';
import { apply, DEFAULTS } from './testing/case-steps.ts';

test('refuses a configuration that has no place in a packet, and keeps the old one', () => {
  assert.throws(() => new VirtualRouter({ ...DEFAULTS, priority: 0 }), /priority is 0/);
  const router = new VirtualRouter(DEFAULTS);
  router.start(0);
  assert.throws(() => router.configure(1, { ...DEFAULTS, advertisementIntervalMs: 15 }), /centiseconds/);
  assert.equal(router.config, DEFAULTS);
  assert.is(router.nextTimeout(), 3609.375);
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
