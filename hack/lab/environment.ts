/** The people's commands on the lab: where they are, and the environment that leads them to the lab's own API server and EC2. */
import { join } from 'node:path';
import { ensureTools, type ToolEnvironment } from '../setup/tools.ts';
import { ACCESS_KEYS } from './ec2/credentials.ts';
import type { LabVPC } from './types.ts';
import { MANAGEMENT } from './vpc.ts';

let foundTools: Promise<ToolEnvironment> | undefined;

/** Finds the tools, once per process. */
export const findTools = (): Promise<ToolEnvironment> => {
  foundTools ??= ensureTools();
  return foundTools;
};

/** The environment of kubectl and helm: what they cache stays in the lab's folder. */
export const kubeEnvironment = (dir: string, kubeconfig: string): Record<string, string> => ({
  KUBECONFIG: kubeconfig,
  KUBECACHEDIR: join(dir, 'cache', 'kube'),
  HELM_CACHE_HOME: join(dir, 'cache', 'helm'),
  HELM_CONFIG_HOME: join(dir, 'cache', 'helm-config'),
  HELM_DATA_HOME: join(dir, 'cache', 'helm-data'),
});

/** Where EC2 answers inside the world. */
export const EC2_ENDPOINT = `http://${MANAGEMENT.fabric}:${MANAGEMENT.ec2Port}`;

/** Points the `aws` command at the endpoint by its arguments: Debian 12's version 2.9 does not read the endpoint from the environment, as 2.13 and later do. */
export const awsArguments = (endpoint: string, args: readonly string[]): string[] => [
  '--endpoint-url',
  endpoint,
  ...args,
];

/** For the SDK and the `aws` command, with one of the lab's own access keys, which open nothing but the lab. */
export const awsEnvironment = (
  vpc: LabVPC,
  who: keyof typeof ACCESS_KEYS,
  endpoint = EC2_ENDPOINT,
): Record<string, string> => ({
  AWS_ENDPOINT_URL_EC2: endpoint,
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: ACCESS_KEYS[who].id,
  AWS_SECRET_ACCESS_KEY: ACCESS_KEYS[who].secret,
  AWS_REGION: vpc.region,
  AWS_DEFAULT_REGION: vpc.region,
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_PAGER: '',
});
