import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLifeBook } from './life.ts';

test('the first sight of a source is no sign of life: it may be as old as the object', () => {
  const life = createLifeBook();
  life.observe('hapair-agent-node1', 'a', 10);
  assert.equal(life.of(['hapair-agent-node1']), {});
});

test('a change is a sign, a repetition is none', () => {
  const life = createLifeBook();
  life.observe('lease', 'a', 10);
  life.observe('lease', 'b', 20);
  life.observe('lease', 'b', 30);
  assert.equal(life.of(['lease']), { lastMs: 20 });
});

test('a first report on a known instance is a change', () => {
  const life = createLifeBook();
  life.observe('instance', undefined, 10);
  life.observe('instance', '{}', 20);
  assert.equal(life.of(['instance']), { lastMs: 20 });
});

test('Lease and report count together, the last two of both', () => {
  const life = createLifeBook();
  life.observe('lease', 'a', 0);
  life.observe('report', 'a', 0);
  life.observe('lease', 'b', 10);
  life.observe('report', 'b', 15);
  life.observe('lease', 'c', 20);
  assert.equal(life.of(['lease', 'report']), { lastMs: 20, previousMs: 15 });
});

test('what is gone and comes back is seen for the first time', () => {
  const life = createLifeBook();
  life.observe('lease', 'a', 0);
  life.forget('lease');
  life.observe('lease', 'b', 10);
  assert.equal(life.of(['lease']), {});
});

test.run();
