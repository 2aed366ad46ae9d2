/** The table of conditions against what the manifests say of it: `kubectl explain` is where people look. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HAPAIR_CONDITIONS, INSTANCE_CONDITIONS } from './conditions.ts';
import { type Kind, readSchema } from './schema.ts';

const explained = (kind: Kind): string[] => {
  const status = readSchema(kind).properties?.status;
  return status?.properties?.conditions?.description?.match(/\b[A-Z]\w+/g) ?? [];
};

test('a HAPair’s manifest names every condition, in the order of the table', () => {
  assert.equal(explained('HAPair'), [...HAPAIR_CONDITIONS]);
});

test('so does a VRRPInstance’s', () => {
  assert.equal(explained('VRRPInstance'), [...INSTANCE_CONDITIONS]);
});

test('so does the design, where people read first what a status looks like', () => {
  const design = readFileSync(new URL('../docs/design/DESIGN.md', import.meta.url), 'utf8');
  const lists = [...design.matchAll(/^ +conditions: \[(.*)\]$/gm)].map(([, list = '']) => list.split(', '));
  assert.equal(lists, [[...HAPAIR_CONDITIONS], [...INSTANCE_CONDITIONS]]);
});

test.run();
