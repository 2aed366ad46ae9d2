import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2Call } from './actions.ts';
import type { EC2API } from './api.ts';
import { createRegionRequests, type Errand } from './region.ts';

const errand: Errand = { purpose: 'Confirm', signal: new AbortController().signal };

/** Counts what is sent; answers everything with nothing, unless told otherwise. */
const bench = (answer: () => Promise<object> = async () => ({})) => {
  const sent: string[] = [];
  const send = (_region: string, action: string) => {
    sent.push(action);
    return answer();
  };
  const requests = createRegionRequests({
    region: 'ap-northeast-1',
    api: { send: send as EC2API['send'] },
    timeouts: { readMs: 1, writeMs: 1 },
    now: () => 0,
  });
  return { sent, requests };
};

const ENI = { networkInterfaceID: 'eni-1' };
const EIP = { allocationID: 'eipalloc-1', privateIPAddress: '10.0.0.10' };

const UNNAMED: readonly EC2Call[] = [
  { action: 'AssignPrivateIpAddresses', ...ENI, privateIPAddresses: [] },
  { action: 'AssignPrivateIpAddresses', ...ENI, privateIPAddresses: [''] },
  { action: 'AssignPrivateIpAddresses', networkInterfaceID: '', privateIPAddresses: ['10.0.0.10'] },
  { action: 'UnassignPrivateIpAddresses', ...ENI, privateIPAddresses: [] },
  { action: 'AssociateAddress', ...ENI, ...EIP, privateIPAddress: '' },
  { action: 'AssociateAddress', ...ENI, ...EIP, allocationID: '' },
  { action: 'DisassociateAddress', ...ENI, ...EIP, associationID: '' },
];

test('a call without an address is refused before it is sent', async () => {
  const { sent, requests } = bench();
  for (const call of UNNAMED) {
    const result = await requests.call(call, errand.signal);
    assert.is(result.ok, false);
    if (!result.ok) assert.equal([result.class, result.mayHaveHappened], ['Rejected', false]);
  }
  assert.equal(sent, []);
  const whole = { action: 'AssociateAddress', ...ENI, ...EIP } as const;
  assert.equal(await requests.call(whole, errand.signal), { ok: true });
});

test('a dry run for an EIP that a NAT gateway has is answered: it is held', async () => {
  const answers: [string, number][] = [
    ['DryRunOperation', 412],
    ['UnauthorizedOperation', 403],
    ['AuthFailure', 400],
    ['InvalidParameterValue', 400],
  ];
  const told: string[] = [];
  for (const [name, httpStatusCode] of answers) {
    const send = async () => {
      throw Object.assign(new Error('so'), { name, $metadata: { httpStatusCode } });
    };
    told.push(await bench(send).requests.mayAssociate({ ...ENI, ...EIP }, errand));
  }
  assert.equal(told, ['Allowed', 'Denied', 'Held', 'Unknown']);
});

test('a reading that names nothing would be of the whole account, and is not sent', async () => {
  const { sent, requests } = bench();
  const { networkInterfaces, addresses, instances, subnets, securityGroupRules, instanceTypes } = requests;
  for (const read of [networkInterfaces, addresses, instances, subnets, securityGroupRules, instanceTypes])
    await read([], errand).then(
      () => assert.unreachable('it was sent'),
      (error: Error) => assert.is(error.name, 'NothingNamed'),
    );
  assert.equal(sent, []);
  assert.equal(await networkInterfaces(['eni-1'], errand), []);
});

test.run();
