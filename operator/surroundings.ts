/** What an operator's process is connected to, and the real ones: the API server, EC2 through the SDK, the machine's clock, a port. */
import { setImmediate } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import type { EC2API, EC2Connection } from '../ec2/api.ts';
import { connectSDK } from '../ec2/sdk.ts';
import { connect, type WatchSource } from '../kube/client.ts';
import type { KubeClient } from '../kube/types.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { type HTTPServer, type ServerOptions, serve } from '../runtime/http-server.ts';
import type { Log } from '../runtime/log.ts';
import { createResolver, lookupBy } from '../runtime/names.ts';
import { type OperatorConfig, WORKERS } from './config.ts';

/** What is served over HTTP. */
export type Endpoints = Pick<ServerOptions, 'healthz' | 'readyz' | 'metrics'>;

/** What an operator is connected to. */
export type Surroundings = {
  kube: KubeClient & WatchSource;
  /** The same API server by connections of its own: renewals must not stand in line behind the writes of a thousand pairs. */
  electorKube: KubeClient;
  connectEC2(connection: EC2Connection): EC2API;
  clock: Clock;
  /** Numbers in [0, 1). */
  random: () => number;
  /** Lets the event loop turn once. */
  yieldToEventLoop: () => Promise<unknown>;
  /** Serves metrics and health. Default: nobody asks for them. @throws Error when the port cannot be had */
  serve?: (endpoints: Endpoints) => Promise<HTTPServer>;
  /** Where metrics are registered. Default: a registry with the process's own metrics. */
  registry?: Registry;
  /** Told of each step that failed while this process led; it is repeated. Default: nobody is. */
  onStepFailed?: (error: unknown) => void;
};

const DEFAULT_PORT = 8080;

/** One for each worker, and some for Events and lists: a write that waited in line here could be sent when we lead no more. */
const CONNECTIONS = WORKERS + 8;

/**
 * Makes the real surroundings; no connection is opened yet.
 * @throws Error when there is no usable kubeconfig
 */
export const connectSurroundings = async (
  { kubeconfigPath, version, region, http = {} }: OperatorConfig,
  log: Log,
): Promise<Surroundings> => {
  const userAgent = `hapair-operator/${version}`;
  const { bindAddress, port = DEFAULT_PORT } = http;
  const resolve = createResolver();
  const lookup = lookupBy(resolve);
  return {
    kube: await connect({ kubeconfigPath, userAgent, lookup, callConnections: CONNECTIONS }),
    electorKube: await connect({ kubeconfigPath, userAgent: `${userAgent} leader-election`, lookup }),
    connectEC2: (connection) =>
      connectSDK({
        ...connection,
        defaultRegion: region,
        clock: systemClock,
        lookup,
        onNotRenewed: ({ message }) =>
          log.warn(
            { reason: 'CredentialsNotRenewed', error: message },
            'credentials for EC2 are not renewed',
          ),
      }),
    clock: systemClock,
    random: Math.random,
    yieldToEventLoop: setImmediate,
    serve: (endpoints) => serve({ ...endpoints, bindAddress, port, resolve, log }),
  };
};
