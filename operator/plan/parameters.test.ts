import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairSpec, VRRPInstanceSpec } from '../../crds/types.ts';
import { NODE3 } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const vrrpOf = (advertisementIntervalMilliseconds: number): HAPairSpec['vrrp'] => ({
  version: 3,
  virtualRouterID: 10,
  advertisementIntervalMilliseconds,
});

const intervals = ({ send, accept }: VRRPInstanceSpec['vrrp']): string => {
  const of = (set: VRRPInstanceSpec['vrrp']['send']): number => set.advertisementIntervalMilliseconds;
  return `send ${of(send)} accept ${accept.map(of).join(' ')}`;
};

const told = (rig: Rig): string[] =>
  ['node1', 'node2'].map((node) => intervals(rig.instance(node).spec.vrrp));

const both = (text: string): string[] => [text, text];

const acknowledged = (rig: Rig): void => {
  rig.acknowledge('node1');
  rig.acknowledge('node2');
  rig.settle();
};

test('a new interval goes in three steps, each acknowledged by both agents', () => {
  const rig = Rig.converged();
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  assert.equal(told(rig), both('send 1000 accept 1000 500'));
  assert.is(rig.condition('Accepted'), 'True ParametersChanging');
  rig.acknowledge('node1');
  rig.settle();
  assert.equal(told(rig), both('send 1000 accept 1000 500'), 'one is not enough');
  rig.acknowledge('node2');
  rig.settle();
  assert.equal(told(rig), both('send 500 accept 1000 500'));
  acknowledged(rig);
  assert.equal(told(rig), both('send 500 accept 500'));
  rig.settle();
  assert.is(rig.condition('Accepted'), 'True Accepted');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.calls.length, 0);
});

test('the condition names the agent that is waited for', () => {
  const rig = Rig.converged();
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  rig.acknowledge('node1');
  rig.settle();
  const accepted = rig.pair.status?.conditions?.find(({ type }) => type === 'Accepted');
  assert.match(accepted?.message ?? '', /step 1 of 3 .*not acknowledged yet by node2\./);
});

test('the condition names the step that is under way, each in its turn', () => {
  const rig = Rig.converged();
  const stepOf = (): string => {
    const accepted = rig.pair.status?.conditions?.find(({ type }) => type === 'Accepted');
    return /step \d of 3/.exec(accepted?.message ?? '')?.[0] ?? accepted?.message ?? '';
  };
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  const steps = [stepOf()];
  for (let step = 0; step < 3; step += 1) {
    rig.acknowledge('node1');
    rig.acknowledge('node2');
    rig.step();
    steps.push(stepOf());
    rig.settle();
  }
  assert.equal(steps, ['step 1 of 3', 'step 2 of 3', 'step 3 of 3', 'The spec is in force.']);
});

test('before anybody sends the new set, the change may be withdrawn or turn into another', () => {
  const rig = Rig.converged();
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  rig.edit({ vrrp: vrrpOf(200) });
  rig.settle();
  assert.equal(told(rig), both('send 1000 accept 1000 200'));
  rig.edit({ vrrp: vrrpOf(1000) });
  rig.settle();
  assert.equal(told(rig), both('send 1000 accept 1000'));
  assert.is(rig.condition('Accepted'), 'True Accepted');
});

test('T26: once anybody sends the new set, that change finishes before another begins', () => {
  const rig = Rig.converged();
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  acknowledged(rig);
  assert.equal(told(rig), both('send 500 accept 1000 500'));
  rig.edit({ vrrp: vrrpOf(200) });
  rig.settle();
  assert.equal(told(rig), both('send 500 accept 1000 500'), 'not acknowledged yet');
  acknowledged(rig);
  assert.equal(told(rig), both('send 500 accept 500 200'), 'then the next one');
  acknowledged(rig);
  assert.equal(told(rig), both('send 200 accept 500 200'));
  acknowledged(rig);
  assert.equal(told(rig), both('send 200 accept 200'));
});

test('T6: with one agent away nobody is told to send what it does not accept, for however long', () => {
  const rig = Rig.converged();
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  rig.acknowledge('node1');
  rig.pass(3_600_000);
  rig.restart();
  rig.settle();
  assert.equal(told(rig), both('send 1000 accept 1000 500'));
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.is(rig.pair.status?.holder, 'node2', 'failovers go on meanwhile');
});

test('an instance that is made in the middle of a change is told what the other is told', () => {
  const rig = Rig.converged();
  const [first] = rig.pair.spec.nodes;
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  acknowledged(rig);
  if (first) rig.edit({ nodes: [first, NODE3] });
  rig.settle();
  assert.is(intervals(rig.instance('node3').spec.vrrp), 'send 500 accept 1000 500');
  assert.equal(rig.instances.length, 2);
});

test('V2: in every order of edits, acknowledgements and restarts, what one sends the other accepts', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('edit' as const), ms: fc.constantFrom(200, 500, 1000) }),
    fc.record({ kind: fc.constant('load' as const), node: fc.constantFrom('node1', 'node2') }),
    fc.record({ kind: fc.constant('step' as const), node: fc.constantFrom('node1', 'node2', undefined) }),
    fc.record({ kind: fc.constant('restart' as const) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const rig = Rig.converged();
      /** What each agent really runs: the spec that it last acknowledged. */
      const running = new Map(rig.instances.map(({ spec }) => [spec.nodeName, spec.vrrp]));
      for (const each of actions) {
        rig.pass(10);
        if (each.kind === 'edit') rig.edit({ vrrp: vrrpOf(each.ms) });
        else if (each.kind === 'restart') rig.restart();
        else if (each.kind === 'load') {
          rig.acknowledge(each.node);
          running.set(each.node, rig.instance(each.node).spec.vrrp);
        } else {
          // The operator may die after it has written one of the two instances.
          const next = rig.step({ writes: false });
          const instances = next.instances.filter(
            ({ spec }) => each.node === undefined || spec.nodeName === each.node,
          );
          rig.write({ ...next, instances });
        }
        const [a, b] = [running.get('node1'), running.get('node2')];
        const accepts = (x: typeof a, y: typeof b): boolean =>
          y?.accept.some((set) => JSON.stringify(set) === JSON.stringify(x?.send)) ?? false;
        assert.ok(accepts(a, b) && accepts(b, a), `${a && intervals(a)} against ${b && intervals(b)}`);
      }
    }),
    { numRuns: 300 },
  );
});

test('the last step, stored for one node and not yet for the other, is not taken back', () => {
  const rig = Rig.converged();
  rig.edit({ vrrp: vrrpOf(500) });
  rig.settle();
  acknowledged(rig);
  rig.acknowledge('node1');
  rig.acknowledge('node2');
  const next = rig.step({ writes: false });
  const [first, ...others] = next.instances;
  assert.is(others.length, 1);
  rig.write({ ...next, instances: first ? [first] : [] });
  assert.equal(told(rig).filter((text) => text === 'send 500 accept 500').length, 1);
  rig.step();
  assert.equal(told(rig), both('send 500 accept 500'));
});

test.run();
