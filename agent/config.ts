/** The agent's configuration file. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** Everything the node's owner decides. */
export type AgentConfig = {
  /** The node's name in `HAPair.spec.nodes`. */
  nodeName: string;
  /** Namespaces whose pairs this node serves. */
  namespaces: string[];
  /** Default: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config. */
  kubeconfig?: string;
  /** Default /var/lib/hapair. */
  stateDir: string;
  /** Namespace of the agents' ServiceAccounts and Leases; default hapair-system. */
  leaseNamespace: string;
  /** Default: the environment's LOG_LEVEL, else info. */
  logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  /** How long a stopping agent keeps an address that EC2 still delivers here; default 20. */
  stopTimeoutSeconds: number;
};

const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['nodeName', 'namespaces'],
  properties: {
    nodeName: { type: 'string', pattern: DNS_LABEL, maxLength: 63 },
    namespaces: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      uniqueItems: true,
      items: { type: 'string', pattern: DNS_LABEL, maxLength: 63 },
    },
    kubeconfig: { type: 'string', minLength: 1 },
    stateDir: { type: 'string', pattern: '^/', default: '/var/lib/hapair' },
    leaseNamespace: { type: 'string', pattern: DNS_LABEL, maxLength: 63, default: 'hapair-system' },
    logLevel: { enum: ['trace', 'debug', 'info', 'warn', 'error'] },
    stopTimeoutSeconds: { type: 'number', minimum: 0, maximum: 3600, default: 20 },
  },
} as const;

/** What each field is for, to end the message of its fault with. */
const MEANING: Partial<Record<string, string>> = {
  nodeName: "the node's name in HAPair.spec.nodes, a DNS label such as node1",
  namespaces: 'the namespaces whose HAPairs this node serves, such as [prod]',
  kubeconfig: "the path of a kubeconfig with the agent's own ServiceAccount",
  stateDir: "an absolute path to a directory of the agent's own",
  leaseNamespace: "the namespace of the agents' ServiceAccounts, as the chart was installed to",
  logLevel: 'how much is logged',
  stopTimeoutSeconds: 'how long a stopping agent waits for EC2, below the service manager’s own timeout',
};

const validate = new Ajv2020({ allErrors: true, useDefaults: true, verbose: true }).compile<AgentConfig>(
  SCHEMA,
);

/** A configuration the agent cannot start with; the message is for its owner. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads and checks the file at `path`.
 * @throws ConfigError that names the file, each faulty field, its value and what is allowed
 */
export const loadConfig = (path: string): AgentConfig => {
  let document: unknown;
  try {
    document = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`cannot read the configuration file ${path}: ${why}`, { cause: error });
  }
  return checkConfig(document, path);
};

/** @throws ConfigError as `loadConfig` does */
export const checkConfig = (document: unknown, path: string): AgentConfig => {
  if (validate(document)) return document;
  const faults = (validate.errors ?? []).map((error) => `  ${explain(error)}`);
  throw new ConfigError(`${path} is no valid agent configuration:\n${faults.join('\n')}`);
};

const explain = ({ instancePath, keyword, params, message, data }: ErrorObject): string => {
  const field = instancePath
    .replace(/^\//, '')
    .replace(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
  if (keyword === 'required')
    return `${params.missingProperty}: is missing; add it${meaning(params.missingProperty)}`;
  if (keyword === 'additionalProperties')
    return `${params.additionalProperty}: is not known; known are ${Object.keys(SCHEMA.properties).join(', ')}`;
  const allowed = keyword === 'enum' ? `: ${params.allowedValues.join(', ')}` : '';
  const fault = `${JSON.stringify(data)} ${message ?? 'is not valid'}${allowed}`;
  return field === '' ? `the document: ${fault}` : `${field}: ${fault}${meaning(field)}`;
};

const meaning = (field: string): string => {
  const text = MEANING[/^\w+/.exec(field)?.[0] ?? ''];
  return text === undefined ? '' : ` (${text})`;
};
