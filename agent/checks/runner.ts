/** Makes runs of checks on this machine. */
import type { StartProcess } from '../../runtime/child.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Resolve } from '../../runtime/names.ts';
import { type AllowedCommand, createCommandRunner } from './command.ts';
import { createHostPolicy } from './hosts.ts';
import { runHTTPGet } from './http-get.ts';
import { runTCPSocket } from './tcp-socket.ts';
import type { CheckRunner } from './types.ts';

/** What health checks by network may do. */
export type ChecksConfig = {
  /** As `HostPolicyOptions.hosts`; default none. The node's own address may always be asked. */
  hosts: string[];
  /** Whether the message of a failed httpGet quotes the beginning of the answer; default false. */
  body: boolean;
};

export type CheckRunnerOptions = {
  nodeName: string;
  /** By name: what the node's own configuration allows. Nobody who can edit a HAPair adds to it. */
  commands: Readonly<Record<string, AllowedCommand>>;
  /** What the node's configuration says of the others. */
  checks: ChecksConfig;
  /** Where the node's configuration was read from, for messages. */
  configFile: string;
  clock: Clock;
  resolve: Resolve;
  /** Of commands. */
  start: StartProcess;
};

export const createCheckRunner = ({
  nodeName,
  commands,
  checks,
  configFile,
  clock,
  resolve,
  start,
}: CheckRunnerOptions): CheckRunner => {
  const hostsOf = createHostPolicy({ hosts: checks.hosts, nodeName, configFile, resolve });
  const run = createCommandRunner(clock, start);

  return async ({ name, httpGet, tcpSocket, command }, place, signal) => {
    const { sourceAddress } = place;
    const ask = hostsOf(sourceAddress);
    if (httpGet !== undefined)
      return runHTTPGet(httpGet, { sourceAddress, resolve: ask, quotes: checks.body, signal });
    if (tcpSocket !== undefined) return runTCPSocket(tcpSocket, sourceAddress, ask, signal);
    const wanted = command?.name ?? '';
    const allowed = Object.hasOwn(commands, wanted) ? commands[wanted] : undefined;
    if (allowed === undefined) {
      const message = `node ${nodeName} allows no command ${wanted}; add it under commands in ${configFile} there and reload the agent (hapair-agent reload), or name another in spec.healthChecks of the HAPair`;
      return { result: 'failure', cause: 'not allowed', message };
    }
    return run({ check: name, allowed, place, signal });
  };
};
