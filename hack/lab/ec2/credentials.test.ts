import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_KEYS, authorise } from './credentials.ts';

const POLICY = join(import.meta.dirname, '..', '..', '..', 'charts', 'hapair', 'iam-policy.json');

test("the operator's key may do what the chart's policy asks for, and nothing else", () => {
  const { Statement } = JSON.parse(readFileSync(POLICY, 'utf8')) as {
    Statement: { Action: string | string[] }[];
  };
  const asked = Statement.flatMap(({ Action }) => Action).map((action) => action.replace(/^ec2:/, ''));
  assert.equal([...ACCESS_KEYS.operator.allow].sort(), asked.sort());
});

test('a pattern allows what begins with it, a name itself alone', () => {
  authorise(ACCESS_KEYS.readOnly, 'DescribeAddresses');
  assert.throws(() => authorise(ACCESS_KEYS.readOnly, 'AssociateAddress'));
  authorise(ACCESS_KEYS.operator, 'AssociateAddress');
  assert.throws(() => authorise(ACCESS_KEYS.operator, 'AssociateAddresses'));
});

test.run();
