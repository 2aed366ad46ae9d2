/** Starts the agent on this machine. */
import { agentLeaseName } from '../crds/types.ts';
import { connect } from '../kube/client.ts';
import { findRival } from '../kube/lease.ts';
import { createHolderWatch } from '../kube/lease-holder.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { createResolver, createSystemLookup, lookupBy, type Resolve } from '../runtime/names.ts';
import { type Agent, RivalError, runAgent } from './agent.ts';
import { createLeftovers } from './checks/leftovers.ts';
import { createUnprivilegedStart } from './checks/privileges.ts';
import { createCheckRunner } from './checks/runner.ts';
import type { AgentConfig } from './config.ts';
import { healthChecks, readinessChecks } from './metrics/health.ts';
import { createMetrics } from './metrics/metrics.ts';
import { openWeb, type Web } from './metrics/web.ts';
import { loadRecords, openDisk } from './node/disk.ts';
import { createIMDSClient } from './node/imds.ts';
import { watchInterfaces } from './node/interface.ts';
import type { AgentHandover } from './pair/handover.ts';
import type { StartWorker } from './reload/early-worker.ts';
import { startVRRPWorker } from './worker/worker-client.ts';

/** How the agent comes to run. */
export type Start = {
  /** Of this agent, to tell it from another of the same node name. */
  holderIdentity: string;
  /** Default: a worker of its own. */
  startWorker?: StartWorker | undefined;
  /** Of the program that this one has replaced in place. */
  handover?: AgentHandover | undefined;
};

/**
 * Starts the agent on this machine: the election from disk at once, the API server as soon as it answers.
 * @throws RivalError when another agent of this node name lives; nothing was claimed or reported then
 */
export const startAgent = async (
  config: AgentConfig,
  agentVersion: string,
  log: Log,
  { holderIdentity, startWorker = startVRRPWorker, handover }: Start,
): Promise<Agent> => {
  const { stateDir, nodeName, leaseNamespace, commands, checks, file } = config;
  const records = loadRecords(stateDir, log);
  const start = createUnprivilegedStart(createLeftovers(systemClock));
  const resolve = createResolver({ system: createSystemLookup(start) });
  const lookup = lookupBy(resolve);
  const kube = await connect({
    kubeconfigPath: config.kubeconfig,
    userAgent: `hapair-agent/${agentVersion}`,
    lookup,
    start,
    // With something to serve, a lost credential is the same case as an API server that is away.
    patient: records.some(({ spec }) => spec !== null),
  });
  const holderWatch = createHolderWatch(holderIdentity);
  // Who goes on where a predecessor was has held the Lease a moment ago.
  const rival =
    handover !== undefined
      ? null
      : await findRival({
          client: kube,
          key: `${leaseNamespace}/${agentLeaseName(nodeName)}`,
          holderIdentity,
          watch: holderWatch,
          signal: new AbortController().signal,
          onWait: (holder) =>
            log.warn(
              { reason: 'LeaseHeldElsewhere', holder },
              'another agent holds this node’s Lease; waiting until it renews, or is gone',
            ),
        });
  if (rival !== null) throw new RivalError(nodeName, rival);
  return runAgent(config, agentVersion, log, {
    kube,
    holderIdentity,
    holderWatch,
    handover,
    records,
    openDisk: (record) => openDisk(stateDir, record),
    startWorker,
    watchInterfaces,
    imds: createIMDSClient(process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT, lookup),
    checkRunner: createCheckRunner({
      ...{ nodeName, commands, checks, configFile: file, clock: systemClock },
      resolve,
      start,
    }),
    clock: systemClock,
    random: Math.random,
    openWeb: (agent) => serveWeb(agent, config, agentVersion, resolve, log),
  });
};

const serveWeb = (
  agent: Agent,
  { metrics }: AgentConfig,
  agentVersion: string,
  resolve: Resolve,
  log: Log,
): Pick<Web, 'close'> => {
  const ending = new AbortController();
  const snapshot = () => agent.snapshot();
  const web = openWeb({
    config: metrics,
    server: {
      healthz: healthChecks(snapshot, systemClock, ending.signal),
      readyz: readinessChecks(snapshot),
      metrics: createMetrics(agent, agentVersion),
    },
    clock: systemClock,
    resolve,
    log,
  });
  return {
    async close() {
      ending.abort();
      await web.close();
    },
  };
};
