import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pairOf, specOf } from '../testing/fixtures.ts';
import { parametersOf } from './support.ts';

test('parameters: every default is resolved, and what belongs to the other version is not there', () => {
  const of = (change: object) => parametersOf(pairOf({ vrrp: { ...specOf().vrrp, ...change } }));
  const base = { virtualRouterID: 10, advertisementIntervalMilliseconds: 1000 };
  assert.equal(of({}), { version: 3, ...base, checksum: 'Pseudoheader' });
  assert.equal(of({ checksum: 'MessageOnly' }), { version: 3, ...base, checksum: 'MessageOnly' });
  assert.equal(of({ version: 2 }), { version: 2, ...base });
  const secretRef = { name: 'hapair-vrrp', key: 'web' };
  assert.equal(of({ version: 2, authentication: { secretRef: {} } }), {
    ...{ version: 2, ...base },
    authentication: { secretRef },
  });
  const other = { name: 'other', key: 'word' };
  assert.equal(of({ version: 2, authentication: { secretRef: other } }).authentication, { secretRef: other });
});

test.run();
