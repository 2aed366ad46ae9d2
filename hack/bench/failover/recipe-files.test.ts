import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RECIPE_PAIR as pair } from './harness.ts';
import { CALLS_PER_SCRIPT, keepalivedConf, moveScript } from './recipe-files.ts';

const [first, second] = pair.nodes;

test('only the second node has a script, and both name each other', () => {
  const master = keepalivedConf(pair, first, second, { state: 'MASTER', priority: 101 });
  const backup = keepalivedConf(pair, second, first, {
    state: 'BACKUP',
    priority: 100,
    notifyMaster: '/x/failover.sh',
  });
  assert.not.match(master, 'notify_master');
  assert.match(backup, 'notify_master "/x/failover.sh"');
  assert.match(master, `unicast_src_ip ${first.address}`);
  assert.match(backup, `unicast_src_ip ${second.address}`);
  // What differs beyond names and addresses.
  assert.match(master, /state MASTER\n[^}]*priority 101\n[^}]*nopreempt\n[^}]*advert_int 1\n/);
  assert.match(backup, /state BACKUP\n[^}]*priority 100\n[^}]*nopreempt\n[^}]*advert_int 1\n/);
});

test('a script makes three calls: from one ENI, to the other, and the EIP', () => {
  const script = moveScript(pair, { from: first, to: second }, 'aws --endpoint-url http://ec2 ec2', '/log');
  const calls = script.split('\n').filter((line) => line.startsWith('$EC2'));
  assert.is(calls.length, CALLS_PER_SCRIPT);
  assert.match(calls[0] ?? '', /unassign-private-ip-addresses .* \$FROM$/);
  assert.match(calls[1] ?? '', /assign-private-ip-addresses .* \$TO --allow-reassignment$/);
  assert.match(calls[2] ?? '', /associate-address .* \$TO /);
  assert.match(script, `FROM=${first.networkInterfaceID}\nTO=${second.networkInterfaceID}\n`);
  assert.match(script, 'EC2="aws --endpoint-url http://ec2 ec2"\n');
});

test.run();
