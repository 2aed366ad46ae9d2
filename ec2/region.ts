/**
 * EC2 of one Region: requests with a deadline of their own and one attempt, since the operator's loop retries, knowing what
 * else is urgent. Reads wait for their turn in the account's call budget, and every answer is told to it.
 */
import type { InstanceTypeInfo } from '@aws-sdk/client-ec2';
import { type EC2Action, type EC2Call, requestOf } from './actions.ts';
import type { EC2API, EC2Input, EC2Output, RequestBounds } from './api.ts';
import type { Budget } from './budget.ts';
import { classify, failureOf } from './errors.ts';
import { elasticIPOf, networkInterfaceOf, rawErrorOf, securityGroupRulesOf } from './shapes.ts';
import type {
  CallPurpose,
  EC2Facts,
  EC2Result,
  ElasticIP,
  Instance,
  NetworkInterface,
  SecurityGroupRule,
  Subnet,
} from './types.ts';

/** Told how one request ended, for metrics; `ms` is the time from sending it, its turn in the budget apart. */
export type OnAnswer = (action: EC2Action, result: EC2Result, ms: number) => void;

/** What a Region's requests need besides EC2's API. */
type RegionOptions = {
  region: string;
  api: Pick<EC2API, 'send'>;
  /** Milliseconds that one request may take. */
  timeouts: { readMs: number; writeMs: number };
  /** Absent: reads wait for nobody, and nobody is told of answers. */
  budget?: Pick<Budget, 'take' | 'answered'>;
  /** Monotonic milliseconds. */
  now: () => number;
  /** Told of each request that was answered or given up; absent: nobody is. */
  onAnswer?: OnAnswer;
};

/** On whose behalf a read is made; those of one share take turns with the others. */
export type Errand = { purpose: CallPurpose; signal: AbortSignal; share?: string };

/** `ID`: an unknown one fails the request. `Filter`: it is left out. */
export type By = 'ID' | 'Filter';

/** Where a DryRun of AssociateAddress asks whether an EIP may go. */
export type Association = { allocationID: string; networkInterfaceID: string; privateIPAddress: string };

/** A private address, and the ENIs that have it. */
export type Holders = { address: string; networkInterfaces: NetworkInterface[] };

/** Each method makes one request, or one for each page, and rejects with what the SDK threw. */
export type RegionRequests = {
  networkInterfaces(ids: readonly string[], errand: Errand, by?: By): Promise<NetworkInterface[]>;
  /** By private address, the ENIs that have it, in whatever VPC. */
  holders(addresses: readonly string[], errand: Errand): Promise<Holders[]>;
  addresses(ids: readonly string[], errand: Errand, by?: By): Promise<ElasticIP[]>;
  instances(ids: readonly string[], errand: Errand): Promise<Instance[]>;
  subnets(ids: readonly string[], errand: Errand): Promise<Subnet[]>;
  /** By group; a group without rules is an empty list. */
  securityGroupRules(
    ids: readonly string[],
    errand: Errand,
  ): Promise<{ groupID: string; rules: SecurityGroupRule[] }[]>;
  instanceTypes(names: readonly string[], errand: Errand): Promise<{ name: string; addresses: number }[]>;
  mayAssociate(association: Association, errand: Errand): Promise<EC2Facts['mayAssociate'][string]>;
  /** Never rejects. */
  call(call: EC2Call, signal: AbortSignal): Promise<EC2Result>;
};

/** Pages of one Describe call; a bound, as every loop has one. */
const MOST_PAGES = 100;

/** Thrown in place of a request that leaves open what it is about. */
class NothingNamedError extends Error {
  override readonly name = 'NothingNamed';
  constructor(action: EC2Action) {
    super(`${action} names nothing; it was not sent`);
  }
}

/**
 * Something is named by an empty text, or by an empty list. The SDK leaves an empty list out: EC2 then tells of everything, or
 * chooses an address by itself.
 */
const namesNothing = (input: unknown): boolean => {
  if (Array.isArray(input)) return input.length === 0 || input.some(namesNothing);
  if (typeof input === 'object' && input !== null) return Object.values(input).some(namesNothing);
  return input === '';
};

const instanceTypeOf = ({ InstanceType, NetworkInfo }: InstanceTypeInfo) =>
  InstanceType !== undefined && NetworkInfo?.Ipv4AddressesPerInterface !== undefined
    ? [{ name: InstanceType, addresses: NetworkInfo.Ipv4AddressesPerInterface }]
    : [];

/** Requests of any kind: each has its deadline, and its answer is told; reads have waited for their turn. */
const createRequester = ({ region, api, timeouts, budget, now, onAnswer }: RegionOptions) => {
  const send = async <A extends EC2Action>(
    action: A,
    input: EC2Input<A>,
    bounds: RequestBounds,
  ): Promise<EC2Output<A>> => {
    if (namesNothing(input)) throw new NothingNamedError(action);
    return api.send(region, action, input, bounds);
  };

  const tell = (action: EC2Action, result: EC2Result, sentAtMs: number): void => {
    budget?.answered(region, action, result);
    onAnswer?.(action, result, now() - sentAtMs);
  };

  /** One request of a read: its turn, its deadline, its answer told. */
  const read = async <A extends EC2Action>(
    action: A,
    { purpose, signal }: Errand,
    input: EC2Input<A>,
  ): Promise<EC2Output<A>> => {
    await budget?.take(region, action, purpose, signal);
    const sentAtMs = now();
    try {
      const answer = await send(action, input, { timeoutMs: timeouts.readMs, signal });
      tell(action, { ok: true }, sentAtMs);
      return answer;
    } catch (error) {
      tell(action, failureOf(rawErrorOf(error)), sentAtMs);
      throw error;
    }
  };

  /** All pages of a read, each asked for with the token of the one before. */
  const pages = async <Page extends { NextToken?: string | undefined }>(
    readPage: (token: { NextToken?: string }) => Promise<Page>,
  ): Promise<Page[]> => {
    const answers: Page[] = [];
    let NextToken: string | undefined;
    do {
      const answer = await readPage(NextToken === undefined ? {} : { NextToken });
      answers.push(answer);
      NextToken = answer.NextToken || undefined;
    } while (NextToken !== undefined && answers.length < MOST_PAGES);
    return answers;
  };

  const call = async (planned: EC2Call, signal: AbortSignal): Promise<EC2Result> => {
    const sentAtMs = now();
    const bounds = { timeoutMs: timeouts.writeMs, signal };
    // What EC2 answers is read back, not believed.
    const result = await send(planned.action, requestOf(planned), bounds).then(
      (): EC2Result => ({ ok: true }),
      (error: unknown): EC2Result => failureOf(rawErrorOf(error)),
    );
    tell(planned.action, result, sentAtMs);
    return result;
  };

  return { read, pages, call };
};

/** Makes the requests of a Region; asks nothing yet. */
export const createRegionRequests = (options: RegionOptions): RegionRequests => {
  const { read, pages, call } = createRequester(options);
  return {
    call,

    async networkInterfaces(ids, errand, by = 'ID') {
      const which =
        by === 'ID'
          ? { NetworkInterfaceIds: [...ids] }
          : { Filters: [{ Name: 'network-interface-id', Values: [...ids] }] };
      const answers = await pages((token) =>
        read('DescribeNetworkInterfaces', errand, { ...which, ...token }),
      );
      return answers.flatMap(({ NetworkInterfaces = [] }) => NetworkInterfaces.map(networkInterfaceOf));
    },

    async holders(addresses, errand) {
      const Filters = [{ Name: 'addresses.private-ip-address', Values: [...addresses] }];
      const answers = await pages((token) =>
        read('DescribeNetworkInterfaces', errand, { Filters, ...token }),
      );
      const found = answers.flatMap(({ NetworkInterfaces = [] }) =>
        NetworkInterfaces.map(networkInterfaceOf),
      );
      return addresses.map((address) => ({
        address,
        networkInterfaces: found.filter(({ privateIPAddresses }) =>
          privateIPAddresses.some(({ privateIPAddress }) => privateIPAddress === address),
        ),
      }));
    },

    async addresses(ids, errand, by = 'ID') {
      const which =
        by === 'ID'
          ? { AllocationIds: [...ids] }
          : { Filters: [{ Name: 'allocation-id', Values: [...ids] }] };
      const answer = await read('DescribeAddresses', errand, which);
      return (answer.Addresses ?? []).map(elasticIPOf);
    },

    async instances(ids, errand) {
      const answers = await pages((token) =>
        read('DescribeInstances', errand, { InstanceIds: [...ids], ...token }),
      );
      return answers
        .flatMap(({ Reservations = [] }) => Reservations.flatMap(({ Instances = [] }) => Instances))
        .map(({ InstanceId = '', State, InstanceType = '', NetworkInterfaces = [] }) => ({
          instanceID: InstanceId,
          state: State?.Name ?? '',
          instanceType: InstanceType,
          networkInterfaceIDs: NetworkInterfaces.flatMap(({ NetworkInterfaceId: id }) => id ?? []),
        }));
    },

    async subnets(ids, errand) {
      const answers = await pages((token) =>
        read('DescribeSubnets', errand, { SubnetIds: [...ids], ...token }),
      );
      return answers
        .flatMap(({ Subnets = [] }) => Subnets)
        .map(({ SubnetId = '', CidrBlock = '', AvailabilityZone = '' }) => ({
          subnetID: SubnetId,
          cidrBlock: CidrBlock,
          availabilityZone: AvailabilityZone,
        }));
    },

    async securityGroupRules(ids, errand) {
      const Filters = [{ Name: 'group-id', Values: [...ids] }];
      const answers = await pages((token) =>
        read('DescribeSecurityGroupRules', errand, { Filters, ...token }),
      );
      const rules = answers.flatMap(({ SecurityGroupRules = [] }) => SecurityGroupRules);
      return ids.map((groupID) => ({
        groupID,
        rules: rules.filter(({ GroupId }) => GroupId === groupID).flatMap(securityGroupRulesOf),
      }));
    },

    async instanceTypes(names, errand) {
      // A filter, not the list of names: the SDK's type of that list knows only the types of its own day.
      const Filters = [{ Name: 'instance-type', Values: [...names] }];
      const answers = await pages((token) => read('DescribeInstanceTypes', errand, { Filters, ...token }));
      return answers.flatMap(({ InstanceTypes = [] }) => InstanceTypes).flatMap(instanceTypeOf);
    },

    async mayAssociate({ allocationID, networkInterfaceID, privateIPAddress }, errand) {
      const input = {
        AllocationId: allocationID,
        NetworkInterfaceId: networkInterfaceID,
        PrivateIpAddress: privateIPAddress,
        AllowReassociation: true,
        DryRun: true,
      };
      try {
        await read('AssociateAddress', errand, input);
        return 'Unknown';
      } catch (error) {
        const raw = rawErrorOf(error);
        if (raw.code === 'DryRunOperation') return 'Allowed';
        if (raw.code === 'UnauthorizedOperation') return 'Denied';
        if (classify(raw) === 'AddressInUse') return 'Held';
        if (raw.httpStatus === 400) return 'Unknown';
        throw error;
      }
    },
  };
};
