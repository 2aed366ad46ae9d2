/** What a replica says of itself over HTTP: health, readiness, metrics. Neither health nor readiness asks whether it leads. */
import type { Clock } from '../runtime/clock.ts';
import { eventLoopCheck, syncedCheck, taskCheck, watchCheck } from '../runtime/health.ts';
import { LEADER_LEASE, type OperatorConfig } from './config.ts';
import { exposeGauges } from './gauges.ts';
import type { Parts } from './parts.ts';
import type { Endpoints } from './surroundings.ts';

/** What the endpoints tell of. */
type EndpointsOptions = {
  parts: Parts;
  config: Pick<OperatorConfig, 'namespace'>;
  clock: Clock;
  /** Runs as long as the process does. */
  election: Promise<unknown>;
  /** Ends the checks. */
  signal: AbortSignal;
};

/** Makes the endpoints; to be called once. */
export const createEndpoints = ({ parts, config, clock, election, signal }: EndpointsOptions): Endpoints => {
  const { queue, account, elector, events, metrics, series, stores } = parts;
  const { pairs, instances, leases } = stores;
  const watches = { hapairs: pairs, vrrpinstances: instances, leases };
  const named = Object.entries(watches);
  exposeGauges(metrics.registry, {
    queue,
    watches,
    budget: () => account.budget.levels(),
    isLeader: () => elector.isLeader(),
    leaseTransitions: () => leases.get(`${config.namespace}/${LEADER_LEASE}`)?.spec?.leaseTransitions ?? 0,
    eventsDropped: () => events.dropped(),
    now: clock.now,
  });
  return {
    healthz: [
      eventLoopCheck(clock, signal),
      taskCheck('elector', election),
      ...named.map(([plural, store]) => watchCheck(plural, store, clock)),
    ],
    readyz: [...named.map(([plural, store]) => syncedCheck(plural, store)), account.reachability.check],
    metrics: {
      contentType: metrics.registry.contentType,
      text: async () => `${await metrics.registry.metrics()}${series.text()}`,
    },
  };
};
