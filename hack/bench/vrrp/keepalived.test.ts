import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type EndOrder, timingOf } from './contender.ts';
import { keepalivedConf } from './keepalived.ts';
import { siteOf } from './sites.ts';

const order: EndOrder = {
  site: siteOf(7),
  place: 1,
  timing: timingOf('v3 10 ms'),
  priority: 100,
  keepsVIP: false,
  realtime: true,
};

test('the second end of site 7 speaks to the first, at the fraction of a second that keepalived reads', () => {
  const conf = keepalivedConf(order);
  assert.match(conf, /unicast_src_ip 10\.78\.7\.12\n +unicast_peer \{\n +10\.78\.7\.11\n/);
  assert.match(conf, /advert_int 0\.01\n/);
  assert.match(conf, /vrrp_version 3\n/);
  assert.match(conf, /virtual_router_id 7\n/);
});

test('real-time scheduling and a password stand there only where they belong', () => {
  assert.match(keepalivedConf(order), 'vrrp_rt_priority 50');
  assert.not.match(keepalivedConf({ ...order, realtime: false }), 'vrrp_rt_priority');
  assert.not.match(keepalivedConf(order), 'auth_pass');
  assert.match(
    keepalivedConf({ ...order, timing: timingOf('v2 1 s') }),
    /auth_type PASS\n +auth_pass \w{1,8}\n/,
  );
});

test.run();
