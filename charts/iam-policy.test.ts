import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EC2_BUCKETS } from '../ec2/bucket.ts';

type Policy = { Statement: { Effect: string; Action: string | string[] }[] };

const POLICY = join(import.meta.dirname, 'hapair', 'iam-policy.json');

test("the role's policy allows every EC2 action that the operator calls, and no other", () => {
  const policy: Policy = JSON.parse(readFileSync(POLICY, 'utf8'));
  assert.equal([...new Set(policy.Statement.map(({ Effect }) => Effect))], ['Allow']);
  assert.equal(
    policy.Statement.flatMap(({ Action }) => Action).sort(),
    Object.keys(EC2_BUCKETS)
      .map((action) => `ec2:${action}`)
      .sort(),
  );
});

test.run();
