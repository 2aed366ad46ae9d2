import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACTIONS, isMutation } from './actions.ts';

type Statement = { Sid: string; Effect: string; Action: string | string[]; Resource: string | string[] };

const POLICY: { Statement: Statement[] } = JSON.parse(
  readFileSync(new URL('../charts/hapair/iam-policy.json', import.meta.url), 'utf8'),
);

test('the IAM policy allows every action that hapair calls, and no other', () => {
  const allowed = POLICY.Statement.flatMap(({ Action }) => Action).sort();
  assert.equal(
    allowed,
    Object.keys(ACTIONS)
      .map((action) => `ec2:${action}`)
      .sort(),
  );
});

test('the IAM policy restricts what changes EC2 to kinds of resources; EC2 has none for what only reads', () => {
  for (const { Sid, Action, Resource } of POLICY.Statement) {
    const changes = [Action].flat().map((action) => isMutation(action.replace('ec2:', '')));
    assert.is(new Set(changes).size, 1, `${Sid} either reads or changes`);
    assert.is([Resource].flat().includes('*'), changes[0] === false, Sid);
  }
});

test.run();
