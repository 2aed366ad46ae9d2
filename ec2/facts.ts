/** Reading what the preflight rests on: batched over pairs, and never an answer taken for more than it says. */
import { failureOf, type RawError } from './errors.ts';
import { inChunks, type Reader } from './read.ts';
import type { Association, Errand, RegionRequests } from './region.ts';
import { rawErrorOf } from './shapes.ts';
import type { EC2Facts } from './types.ts';

/** What to read; see EC2Facts. */
export type FactsRequest = {
  region: string;
  instanceIDs: readonly string[];
  subnetIDs: readonly string[];
  securityGroupIDs: readonly string[];
  /** One DryRun each, from a bucket that failovers need: few at a time. */
  associations: readonly Association[];
};

/** Error codes that say an id is unknown; a filter finds nothing instead. */
const ERRORS_OF_A_MISSING = {
  instance: ['InvalidInstanceID.NotFound', 'InvalidInstanceID.Malformed'],
  subnet: ['InvalidSubnetID.NotFound', 'InvalidSubnetId.Malformed', 'InvalidSubnetID.Malformed'],
};

/** DryRuns, one after another, until one cannot be made. */
const dryRuns = async (
  associations: readonly Association[],
  ask: (association: Association) => ReturnType<RegionRequests['mayAssociate']>,
): Promise<{ answers: EC2Facts['mayAssociate']; failure?: RawError }> => {
  const answers: EC2Facts['mayAssociate'] = {};
  for (const association of associations) {
    try {
      answers[association.allocationID] = await ask(association);
    } catch (error) {
      return { answers, failure: rawErrorOf(error) };
    }
  }
  return { answers };
};

/** Never rejects. */
export const readFacts = async (
  requests: RegionRequests,
  request: FactsRequest,
  errand: Errand,
  readAtMs: number,
): Promise<EC2Facts> => {
  const chunks = <T>(ids: readonly string[], reader: Omit<Reader<T>, 'rawErrorOf'>) =>
    inChunks(ids, { ...reader, rawErrorOf });
  const [instances, subnets, groups, permissions] = await Promise.all([
    chunks(request.instanceIDs, {
      read: (ids) => requests.instances(ids, errand),
      idOf: ({ instanceID }) => instanceID,
      missingCodes: ERRORS_OF_A_MISSING.instance,
    }),
    chunks(request.subnetIDs, {
      read: (ids) => requests.subnets(ids, errand),
      idOf: ({ subnetID }) => subnetID,
      missingCodes: ERRORS_OF_A_MISSING.subnet,
    }),
    chunks(request.securityGroupIDs, {
      read: (ids) => requests.securityGroupRules(ids, errand),
      idOf: ({ groupID }) => groupID,
      missingCodes: [],
    }),
    dryRuns(request.associations, (association) => requests.mayAssociate(association, errand)),
  ]);
  const names = Object.values(instances.found).flatMap((instance) => instance?.instanceType || []);
  const types = await chunks(names, {
    read: (some) => requests.instanceTypes(some, errand),
    idOf: ({ name }) => name,
    missingCodes: [],
  });
  const raw = instances.failure ?? subnets.failure ?? groups.failure ?? types.failure ?? permissions.failure;
  const failure = raw && failureOf(raw);
  return {
    readAtMs,
    instances: instances.found,
    subnets: subnets.found,
    securityGroupRules: Object.fromEntries(
      Object.entries(groups.found).map(([id, group]) => [id, group?.rules ?? null]),
    ),
    addressesPerInterface: Object.fromEntries(
      Object.values(types.found).flatMap((type) => (type ? [[type.name, type.addresses]] : [])),
    ),
    mayAssociate: permissions.answers,
    ...(failure && { failure: { class: failure.class, message: failure.message } }),
  };
};
