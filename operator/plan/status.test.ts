/** The status that is wanted, as far as no test of its parts says it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MAIN, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const SECOND = '10.10.10.20';

test('a column shows the first of several addresses and counts the others, and one holder if all agree', () => {
  const rig = Rig.converged();
  const { publicIP } = rig.pair.status?.addresses?.[0] ?? {};
  assert.equal(rig.pair.status?.columns, { holder: 'node1', vip: VIP, eip: publicIP });

  rig.edit({ addresses: [MAIN, { name: 'second', vip: SECOND }] });
  rig.cloud.put(SECOND, NODE2.networkInterfaceID);
  rig.read();
  rig.step();
  assert.is(rig.pair.status?.holder, undefined);
  assert.equal(rig.pair.status?.columns, { holder: 'mixed', vip: `${VIP} +1`, eip: publicIP });

  rig.cloud.put(SECOND, NODE1.networkInterfaceID);
  rig.read();
  rig.step();
  assert.equal(rig.pair.status?.columns, { holder: 'node1', vip: `${VIP} +1`, eip: publicIP });
});

test('without any address there is no column to fill', () => {
  const rig = new Rig({ addresses: [] });
  rig.step();
  assert.is(rig.pair.status?.columns, undefined);
});

test.run();
