import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STANDARD_VPC } from '../vpc.ts';
import { findAction } from './actions.ts';
import { EC2Error } from './errors.ts';
import type { Parameters } from './parameters.ts';
import { holderOf, initialState, mappingOf, omitAddress, type State } from './state.ts';

const VPC = {
  ...STANDARD_VPC,
  instances: STANDARD_VPC.instances.map((instance) => ({ ...instance, instanceType: 't3.small' })),
  elasticIPs: [
    ...STANDARD_VPC.elasticIPs,
    { allocationID: 'eipalloc-0ddddddddddddddd4', publicIP: '203.0.113.11' },
  ],
};

type Request = { action: string; parameters: Parameters };

const INTERFACES = [
  'eni-0aaaaaaaaaaaaaaa1',
  'eni-0bbbbbbbbbbbbbbb2',
  'eni-01111111111111117',
  'eni-0eeeeeeeeeeeeeee5',
];
const ADDRESSES = ['10.10.10.10', '10.10.10.20', '10.10.10.21', '10.10.10.11', '10.10.10.12', '10.10.11.1'];

const list = (name: string, values: string[]): Parameters =>
  Object.fromEntries(values.map((value, index) => [`${name}.${index + 1}`, value]));

const anInterface = fc.constantFrom(...INTERFACES);
const someAddresses = fc.uniqueArray(fc.constantFrom(...ADDRESSES), { minLength: 1, maxLength: 3 });
const truth = fc.constantFrom('true', 'false');

const aRequest: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ NetworkInterfaceId: anInterface, wanted: someAddresses, AllowReassignment: truth }).map(
    ({ wanted, ...rest }): Request => ({
      action: 'AssignPrivateIpAddresses',
      parameters: { ...rest, ...list('PrivateIpAddress', wanted) },
    }),
  ),
  fc.record({ NetworkInterfaceId: anInterface, gone: someAddresses }).map(
    ({ gone, NetworkInterfaceId }): Request => ({
      action: 'UnassignPrivateIpAddresses',
      parameters: { NetworkInterfaceId, ...list('PrivateIpAddress', gone) },
    }),
  ),
  fc
    .record({
      NetworkInterfaceId: anInterface,
      AllocationId: fc.constantFrom('eipalloc-0ccccccccccccccc3', 'eipalloc-0ddddddddddddddd4'),
      PrivateIpAddress: fc.constantFrom(...ADDRESSES),
      AllowReassociation: truth,
    })
    .map((parameters): Request => ({ action: 'AssociateAddress', parameters })),
  fc.integer({ min: 1, max: 5 }).map(
    (n): Request => ({
      action: 'DisassociateAddress',
      parameters: { AssociationId: `eipassoc-0000000000000000${n}` },
    }),
  ),
);

/** The state after a request; a refused one changes nothing. */
const step = (state: State, { action, parameters }: Request): State => {
  try {
    return findAction(action).run(state, parameters).state;
  } catch (error) {
    assert.instance(error, EC2Error);
    return state;
  }
};

/** Every state on the way, whatever is called. */
const everyState = (check: (before: State, request: Request, after: State) => void): void => {
  fc.assert(
    fc.property(fc.array(aRequest, { maxLength: 25 }), (requests) => {
      requests.reduce((before, request) => {
        const after = step(before, request);
        check(before, request, after);
        return after;
      }, initialState(VPC));
    }),
    { numRuns: 200 },
  );
};

test('an address is never on two ENIs, and never twice on one', () => {
  everyState((_before, _request, after) => {
    const held = after.networkInterfaces.flatMap((eni) => eni.addresses);
    assert.is(new Set(held).size, held.length);
  });
});

test('an association always points at an address that some ENI holds, and no address has two', () => {
  everyState((_before, _request, after) => {
    const targets = after.elasticIPs.flatMap((eip) => eip.association?.privateIPAddress ?? []);
    assert.ok(targets.every((address) => holderOf(after, address) !== undefined));
    assert.is(new Set(targets).size, targets.length);
  });
});

test('every ENI keeps its primary address', () => {
  everyState((before, _request, after) => {
    assert.equal(
      after.networkInterfaces.map((eni) => eni.addresses[0]),
      before.networkInterfaces.map((eni) => eni.addresses[0]),
    );
  });
});

test('several addresses move all or none', () => {
  everyState((before, { action, parameters }, after) => {
    if (action === 'AssignPrivateIpAddresses' && after !== before) {
      const wanted = Object.entries(parameters).filter(([name]) => name.startsWith('PrivateIpAddress.'));
      for (const [, address] of wanted)
        assert.is(holderOf(after, address)?.networkInterfaceID, parameters.NetworkInterfaceId);
    }
  });
});

test('a move keeps every association as it is', () => {
  everyState((before, { action }, after) => {
    if (action === 'AssignPrivateIpAddresses') assert.is(after.elasticIPs, before.elasticIPs);
  });
});

test('no ENI holds more addresses than its instance type allows', () => {
  everyState((_before, _request, after) => {
    assert.ok(after.networkInterfaces.every((eni) => eni.instanceType === null || eni.addresses.length <= 4));
  });
});

test('the mapping is the state: a route per private address, NAT per association', () => {
  everyState((_before, _request, after) => {
    const { routes, nat } = mappingOf(after);
    assert.is(routes.size, after.networkInterfaces.flatMap((eni) => eni.addresses).length);
    assert.ok([...nat.values()].every((address) => routes.has(address)));
  });
});

test('an omitted address is missing from its ENI; a primary never is', () => {
  const state = step(initialState(VPC), {
    action: 'AssignPrivateIpAddresses',
    parameters: { NetworkInterfaceId: 'eni-0aaaaaaaaaaaaaaa1', 'PrivateIpAddress.1': '10.10.10.10' },
  });
  assert.is(holderOf(omitAddress(state, '10.10.10.10'), '10.10.10.10'), undefined);
  assert.is(holderOf(omitAddress(state, '10.10.10.11'), '10.10.10.11')?.description, 'node1');
});

test.run();
