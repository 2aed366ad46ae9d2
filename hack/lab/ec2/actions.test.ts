/** What the product's role may call, the lab's EC2 has, and its key of the operator may call as well, and changes nothing else. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findAction } from './actions.ts';
import { ACCESS_KEYS, authorise } from './credentials.ts';

const POLICY: { Statement: { Action: string | string[] }[] } = JSON.parse(
  readFileSync(new URL('../../../charts/hapair/iam-policy.json', import.meta.url), 'utf8'),
);
const ALLOWED = POLICY.Statement.flatMap(({ Action }) => Action).map((action) => action.replace('ec2:', ''));

for (const action of ALLOWED)
  test(`${action} of the chart’s policy is there, and allowed`, () => {
    assert.is(findAction(action).mutating, !action.startsWith('Describe'));
    assert.not.throws(() => authorise(ACCESS_KEYS.operator, action));
  });

test('the operator’s key changes nothing that the chart’s policy does not allow', () => {
  const changes = ACCESS_KEYS.operator.allow.filter((action) => action !== 'Describe*');
  assert.equal(
    changes.filter((action) => !ALLOWED.includes(action)),
    [],
  );
});

test.run();
