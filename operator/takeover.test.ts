import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairStatus } from '../crds/types.ts';
import { isFailoverOpen } from './takeover.ts';

const statusOf = (term: number, converged: 'True' | 'False'): HAPairStatus =>
  ({
    term,
    conditions: [{ type: 'AddressesConverged', status: converged, reason: 'Converged', message: '' }],
  }) as unknown as HAPairStatus;

for (const [title, status, terms, expected] of [
  ['a pair that serves waits', statusOf(3, 'True'), [3, 2], false],
  ['an election that the status does not know of', statusOf(3, 'True'), [3, 4], true],
  ['a recorded election whose addresses have not arrived', statusOf(4, 'False'), [3, 4], true],
  ['a pair that was never elected waits', statusOf(0, 'False'), [1, 0], false],
  ['a pair without a status waits', undefined, [1], false],
] as const) {
  test(title, () => assert.is(isFailoverOpen({ ...(status && { status }) }, terms), expected));
}

test.run();
