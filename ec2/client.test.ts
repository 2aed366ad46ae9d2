/** The client against a server on loopback: what goes over the wire, and what each way of failing becomes. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../runtime/clock.ts';
import type { EC2Action } from './actions.ts';
import { createEC2, type EC2, type EC2Options } from './client.ts';
import { connectSDK, type SDKOptions } from './sdk.ts';
import type { EC2Result } from './types.ts';

const REGION = 'ap-northeast-1';
const CREDENTIALS = async () => ({ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'example' });

type Answer = (parameters: URLSearchParams, response: ServerResponse) => void;

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
};

/** @throws Error when it does not come to pass. */
const until = async (isDone: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 100_000; turn++) {
    if (isDone()) return;
    await new Promise(setImmediate);
  }
  throw new Error('awaited in vain');
};

/** Runs `use` with a client whose EC2 answers by `answer`; gives back what was sent. */
const withEC2 = async (
  answer: Answer,
  use: (ec2: EC2) => Promise<void>,
  options: Partial<EC2Options & SDKOptions> = {},
): Promise<URLSearchParams[]> => {
  const sent: URLSearchParams[] = [];
  const server: Server = createServer(async (request, response) => {
    const parameters = new URLSearchParams(await bodyOf(request));
    parameters.set(
      'signed for',
      /Credential=[^/]+\/\d+\/([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? '',
    );
    sent.push(parameters);
    answer(parameters, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const api = connectSDK({
    defaultRegion: REGION,
    endpoint: `http://127.0.0.1:${port}`,
    credentials: CREDENTIALS,
    clock: systemClock,
    ...options,
  });
  const ec2 = createEC2({ api, clock: { ...systemClock, now: () => 42 }, ...options });
  try {
    await use(ec2);
  } finally {
    ec2.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return sent;
};

const xml = (response: ServerResponse, status: number, body: string): void => {
  response.writeHead(status, { 'content-type': 'text/xml' }).end(body);
};
const error = (response: ServerResponse, status: number, code: string): void =>
  xml(
    response,
    status,
    `<Response><Errors><Error><Code>${code}</Code><Message>said so</Message></Error></Errors></Response>`,
  );

const { signal } = new AbortController();
const ASSIGN = {
  action: 'AssignPrivateIpAddresses',
  networkInterfaceID: 'eni-1',
  privateIPAddresses: ['10.0.0.10', '10.0.0.11'],
} as const;
const assign = { ...ASSIGN, privateIPAddresses: [...ASSIGN.privateIPAddresses] };

test('AssignPrivateIpAddresses always allows reassignment', async () => {
  const [sent] = await withEC2(
    (_, response) => xml(response, 200, '<AssignPrivateIpAddressesResponse/>'),
    async (ec2) => assert.equal(await ec2.call(REGION, assign, signal), { ok: true }),
  );
  assert.is(sent?.get('Action'), 'AssignPrivateIpAddresses');
  assert.is(sent?.get('AllowReassignment'), 'true');
  assert.is(sent?.get('PrivateIpAddress.1'), '10.0.0.10');
  assert.is(sent?.get('PrivateIpAddress.2'), '10.0.0.11');
});

test('who has a private address is asked by a filter, and nobody is an answer', async () => {
  const [sent] = await withEC2(
    (_, response) =>
      xml(
        response,
        200,
        `<DescribeNetworkInterfacesResponse><networkInterfaceSet><item><networkInterfaceId>eni-9</networkInterfaceId><subnetId>subnet-9</subnetId><ownerId>123456789012</ownerId><privateIpAddressesSet><item><privateIpAddress>10.0.0.10</privateIpAddress><primary>true</primary></item></privateIpAddressesSet></item></networkInterfaceSet></DescribeNetworkInterfacesResponse>`,
      ),
    async (ec2) => {
      const { holders, failure } = await ec2.holders(
        { region: REGION, privateIPAddresses: ['10.0.0.10', '10.0.0.11'] },
        'Confirm',
        signal,
      );
      assert.is(failure, undefined);
      assert.equal(
        Object.entries(holders).map(([address, enis]) => [
          address,
          enis.map(({ networkInterfaceID, ownerID }) => `${networkInterfaceID} ${ownerID}`),
        ]),
        [
          ['10.0.0.10', ['eni-9 123456789012']],
          ['10.0.0.11', []],
        ],
      );
    },
  );
  assert.is(sent?.get('Action'), 'DescribeNetworkInterfaces');
  assert.is(sent?.get('Filter.1.Name'), 'addresses.private-ip-address');
  assert.is(sent?.get('Filter.1.Value.2'), '10.0.0.11');
});

test('AssociateAddress always says which private address, and allows reassociation explicitly', async () => {
  const [sent] = await withEC2(
    (_, response) => xml(response, 200, '<AssociateAddressResponse/>'),
    async (ec2) => {
      const call = {
        action: 'AssociateAddress',
        allocationID: 'eipalloc-1',
        networkInterfaceID: 'eni-1',
        privateIPAddress: '10.0.0.10',
      } as const;
      assert.equal(await ec2.call(REGION, call, signal), { ok: true });
    },
  );
  assert.is(sent?.get('AllowReassociation'), 'true');
  assert.is(sent?.get('PrivateIpAddress'), '10.0.0.10');
  assert.is(sent?.get('AllocationId'), 'eipalloc-1');
});

test('a refused call is tried once and keeps code and text', async () => {
  const sent = await withEC2(
    (_, response) => error(response, 503, 'RequestLimitExceeded'),
    async (ec2) => {
      const result = await ec2.call(REGION, assign, signal);
      assert.equal(result, {
        ok: false,
        class: 'Throttled',
        code: 'RequestLimitExceeded',
        message: 'said so',
        mayHaveHappened: false,
      });
    },
  );
  assert.is(sent.length, 1, 'the loop retries, not the SDK');
});

test('a call without an answer ends by its deadline, and may have happened', async () => {
  const sent = await withEC2(
    () => undefined,
    async (ec2) => {
      const result = await ec2.call(REGION, assign, signal);
      assert.is(result.ok, false);
      if (!result.ok) assert.equal([result.class, result.mayHaveHappened], ['TimedOut', true]);
    },
    { writeTimeoutMs: 100 },
  );
  assert.is(sent.length, 1);
});

test('a cut connection may have happened too', async () => {
  await withEC2(
    (_, response) => response.destroy(),
    async (ec2) => {
      const result = await ec2.call(REGION, assign, signal);
      if (!result.ok) assert.equal([result.class, result.mayHaveHappened], ['TimedOut', true]);
      else assert.unreachable();
    },
  );
});

test('nobody listening is Unreachable: nothing happened', async () => {
  const api = connectSDK({
    defaultRegion: REGION,
    endpoint: 'http://127.0.0.1:9',
    credentials: CREDENTIALS,
    clock: systemClock,
  });
  const ec2 = createEC2({ api, clock: systemClock });
  const result = await ec2.call(REGION, assign, signal);
  ec2.close();
  if (!result.ok) assert.equal([result.class, result.mayHaveHappened], ['Unreachable', false]);
  else assert.unreachable();
});

test('a reading tells what is there, what EC2 does not know, and when it began', async () => {
  await withEC2(
    (parameters, response) => {
      if (parameters.get('Action') === 'DescribeAddresses') {
        return error(response, 400, 'InvalidAllocationID.NotFound');
      }
      const asked = [...parameters].flatMap(([key, value]) =>
        key.startsWith('NetworkInterfaceId.') ? [value] : [],
      );
      if (asked.includes('eni-gone')) return error(response, 400, 'InvalidNetworkInterfaceID.NotFound');
      xml(
        response,
        200,
        `<DescribeNetworkInterfacesResponse><networkInterfaceSet><item>
          <networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId>
          <availabilityZone>a</availabilityZone><status>in-use</status><sourceDestCheck>true</sourceDestCheck>
          <attachment><instanceId>i-1</instanceId></attachment>
          <privateIpAddressesSet><item><privateIpAddress>10.0.0.1</privateIpAddress><primary>true</primary></item>
          <item><privateIpAddress>10.0.0.10</privateIpAddress><primary>false</primary>
          <association><publicIp>203.0.113.10</publicIp><allocationId>eipalloc-1</allocationId></association></item>
          </privateIpAddressesSet></item></networkInterfaceSet></DescribeNetworkInterfacesResponse>`,
      );
    },
    async (ec2) => {
      const request = {
        region: REGION,
        networkInterfaceIDs: ['eni-1', 'eni-gone'],
        allocationIDs: ['eipalloc-1'],
      };
      const { view, failure } = await ec2.read(request, 'Confirm', signal);
      assert.is(failure, undefined);
      assert.is(view.readAtMs, 42);
      assert.is(view.networkInterfaces['eni-gone'], null);
      assert.is(view.elasticIPs['eipalloc-1'], null);
      assert.equal(view.networkInterfaces['eni-1']?.privateIPAddresses, [
        { privateIPAddress: '10.0.0.1', primary: true },
        {
          privateIPAddress: '10.0.0.10',
          primary: false,
          association: { publicIP: '203.0.113.10', allocationID: 'eipalloc-1' },
        },
      ]);
      assert.is(view.networkInterfaces['eni-1']?.instanceID, 'i-1');
    },
  );
});

test('a reading that fails leaves its ids out and says why', async () => {
  await withEC2(
    (_, response) => error(response, 503, 'RequestLimitExceeded'),
    async (ec2) => {
      const { view, failure } = await ec2.read(
        { region: REGION, networkInterfaceIDs: ['eni-1'], allocationIDs: [] },
        'Confirm',
        signal,
      );
      assert.equal(view.networkInterfaces, {});
      assert.is(failure?.class, 'Throttled');
    },
  );
});

/** One ENI with one EIP on its secondary address. */
const INTERFACES = `<DescribeNetworkInterfacesResponse><networkInterfaceSet><item>
  <networkInterfaceId>eni-1</networkInterfaceId><privateIpAddressesSet>
  <item><privateIpAddress>10.0.0.1</privateIpAddress><primary>true</primary></item>
  <item><privateIpAddress>10.0.0.10</privateIpAddress><primary>false</primary>
  <association><publicIp>203.0.113.10</publicIp><allocationId>eipalloc-1</allocationId>
  <associationId>eipassoc-1</associationId></association></item>
  </privateIpAddressesSet></item></networkInterfaceSet></DescribeNetworkInterfacesResponse>`;
const ADDRESSES = `<DescribeAddressesResponse><addressesSet><item><publicIp>203.0.113.10</publicIp>
  <allocationId>eipalloc-1</allocationId><associationId>eipassoc-1</associationId>
  <networkInterfaceId>eni-1</networkInterfaceId><privateIpAddress>10.0.0.10</privateIpAddress>
  <tagSet><item><key>team</key><value>web</value></item></tagSet></item></addressesSet></DescribeAddressesResponse>`;

const describe: Answer = (parameters, response) =>
  xml(response, 200, parameters.get('Action') === 'DescribeAddresses' ? ADDRESSES : INTERFACES);

test('a watch takes an EIP from the ENI that shows it, and says the same as asking for it', async () => {
  const request = { region: REGION, networkInterfaceIDs: ['eni-1'], allocationIDs: ['eipalloc-1'] };
  await withEC2(describe, async (ec2) => {
    const asked = await ec2.read(request, 'Confirm', signal);
    const watched = await ec2.read(request, 'Watch', signal);
    assert.equal(watched, asked);
    assert.equal(watched.view.elasticIPs['eipalloc-1']?.tags, { team: 'web' });
  });
});

test('a watch asks for the EIPs that no ENI shows: only EC2 itself may say that one is gone', async () => {
  const request = { region: REGION, networkInterfaceIDs: ['eni-1'], allocationIDs: ['eipalloc-2'] };
  await withEC2(
    (parameters, response) =>
      parameters.get('Action') === 'DescribeAddresses'
        ? error(response, 400, 'InvalidAllocationID.NotFound')
        : xml(response, 200, INTERFACES),
    async (ec2) => {
      const { view } = await ec2.read(request, 'Watch', signal);
      assert.is(view.elasticIPs['eipalloc-2'], null);
    },
  );
});

const namedIn = (parameters: URLSearchParams): string[] =>
  [...parameters].flatMap(([name, value]) => (name.startsWith('NetworkInterfaceId.') ? [value] : []));

/** Every ENI asked for exists, and holds so many addresses. */
const crowded =
  (addresses: number): Answer =>
  (parameters, response) => {
    const set = '<item><privateIpAddress>10.0.0.9</privateIpAddress></item>'.repeat(addresses);
    const items = namedIn(parameters).map(
      (id) =>
        `<item><networkInterfaceId>${id}</networkInterfaceId><privateIpAddressesSet>${set}</privateIpAddressesSet></item>`,
    );
    xml(response, 200, `<Response><networkInterfaceSet>${items.join('')}</networkInterfaceSet></Response>`);
  };

test('ENIs that were seen to hold many addresses are asked for in smaller calls: an answer is parsed at one go', async () => {
  const enis = ['eni-1', 'eni-2', 'eni-3'];
  const sent = await withEC2(crowded(50), async (ec2) => {
    const request = { region: REGION, networkInterfaceIDs: enis, allocationIDs: [] };
    for (let reading = 0; reading < 2; reading++) {
      const { view } = await ec2.read(request, 'Watch', signal);
      assert.equal(Object.keys(view.networkInterfaces).sort(), enis);
    }
  });
  const [first, ...second] = sent.map(namedIn);
  assert.equal(first, enis);
  assert.equal(second, [['eni-1', 'eni-2'], ['eni-3']]);
});

test('many who wait for the same ENIs share the calls that have not left yet', async () => {
  const held: (() => void)[] = [];
  const answer = crowded(1);
  const sent = await withEC2(
    (parameters, response) => void held.push(() => answer(parameters, response)),
    async (ec2) => {
      const confirm = (...networkInterfaceIDs: string[]) =>
        ec2.read({ region: REGION, networkInterfaceIDs, allocationIDs: [] }, 'Confirm', signal);
      const reads = [];
      for (const id of ['eni-1', 'eni-2', 'eni-3', 'eni-4']) {
        reads.push(confirm(id));
        await until(() => held.length === reads.length);
      }
      for (let count = 0; count < 100; count++) reads.push(confirm('eni-1', 'eni-9'));
      while (held.length > 0) held.shift()?.();
      await until(() => held.length === 1);
      held.shift()?.();
      const views = await Promise.all(reads);
      assert.ok(views.slice(4).every(({ view }) => Object.keys(view.networkInterfaces).length === 2));
    },
  );
  assert.equal(sent.map(namedIn), [['eni-1'], ['eni-2'], ['eni-3'], ['eni-4'], ['eni-1', 'eni-9']]);
});

test('of ENIs that were never read a few are asked for first, to learn how much such answers hold', async () => {
  const enis = Array.from({ length: 40 }, (_, at) => `eni-${at}`);
  const sent = await withEC2(
    crowded(64),
    async (ec2) => {
      await ec2.read({ region: REGION, networkInterfaceIDs: enis, allocationIDs: [] }, 'Watch', signal);
    },
    { watchPauseMs: 0 },
  );
  assert.equal(
    sent.map((parameters) => namedIn(parameters).length),
    [8, ...Array(16).fill(2)],
  );
});

test('each Region is asked by a client of its own', async () => {
  const sent = await withEC2(describe, async (ec2) => {
    for (const region of [REGION, 'eu-west-1', REGION]) {
      await ec2.read({ region, networkInterfaceIDs: ['eni-1'], allocationIDs: [] }, 'Confirm', signal);
    }
  });
  assert.equal(
    sent.map((parameters) => parameters.get('signed for')),
    [REGION, 'eu-west-1', REGION],
  );
});

test('a process that no longer leads sends no mutating request, and says that nothing happened', async () => {
  const sent = await withEC2(
    describe,
    async (ec2) => {
      const result = await ec2.call(REGION, assign, signal);
      assert.is(result.ok, false);
      if (!result.ok) {
        assert.equal([result.class, result.mayHaveHappened], ['NotLeading', false]);
      }
      const { failure } = await ec2.read(
        { region: REGION, networkInterfaceIDs: ['eni-1'], allocationIDs: [] },
        'Confirm',
        signal,
      );
      assert.is(failure, undefined, 'reads go on');
    },
    { mayWrite: () => false },
  );
  assert.equal(
    sent.map((parameters) => parameters.get('Action')),
    ['DescribeNetworkInterfaces'],
  );
});

test('leadership that ends while credentials are fetched is noticed: the question comes last', async () => {
  let leads = true;
  const sent = await withEC2(
    describe,
    async (ec2) => {
      const result = await ec2.call(REGION, assign, signal);
      if (!result.ok) assert.is(result.class, 'NotLeading');
      else assert.unreachable();
    },
    {
      mayWrite: () => leads,
      credentials: async () => {
        leads = false;
        return CREDENTIALS();
      },
    },
  );
  assert.equal(sent, []);
});

test('every request waits for its turn and its answer is told; a mutating call was admitted before', async () => {
  const turns: string[] = [];
  const answers: [EC2Action, boolean][] = [];
  await withEC2(
    describe,
    async (ec2) => {
      const request = { region: REGION, networkInterfaceIDs: ['eni-1'], allocationIDs: ['eipalloc-1'] };
      await ec2.read(request, 'Confirm', signal);
      await ec2.call(REGION, assign, signal);
    },
    {
      budget: {
        take: async (region, action, purpose) => void turns.push(`${region} ${action} ${purpose}`),
        answered: (_region: string, action: EC2Action, { ok }: EC2Result) => void answers.push([action, ok]),
      },
    },
  );
  assert.equal(turns, [`${REGION} DescribeNetworkInterfaces Confirm`, `${REGION} DescribeAddresses Confirm`]);
  assert.equal(answers.sort(), [
    ['AssignPrivateIpAddresses', true],
    ['DescribeAddresses', true],
    ['DescribeNetworkInterfaces', true],
  ]);
});

test('each request is told with its result and its time', async () => {
  const told: string[] = [];
  await withEC2(
    (_, response) => error(response, 400, 'UnauthorizedOperation'),
    async (ec2) => {
      await ec2.read(
        { region: REGION, networkInterfaceIDs: ['eni-1'], allocationIDs: [] },
        'Confirm',
        signal,
      );
      await ec2.call(REGION, assign, signal);
    },
    {
      onAnswer: (action, result, ms) => {
        told.push(`${action} ${result.ok ? 'ok' : result.class} ${ms >= 0}`);
      },
    },
  );
  assert.equal(told, [
    'DescribeNetworkInterfaces Unauthorized true',
    'AssignPrivateIpAddresses Unauthorized true',
  ]);
});

test('credentials that EC2 refuses are fetched anew, but not for every request', async () => {
  let fetches = 0;
  await withEC2(
    (_, response) => error(response, 400, 'ExpiredToken'),
    async (ec2) => {
      for (let n = 0; n < 3; n++) await ec2.call(REGION, assign, signal);
    },
    {
      credentials: async () => {
        fetches++;
        return CREDENTIALS();
      },
    },
  );
  assert.is(fetches, 2);
});

test.run();
