/** The agent's configuration file. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { messageOf } from '../runtime/error-text.ts';
import type { AllowedCommand } from './checks/command.ts';
import { isHostEntry } from './checks/hosts.ts';
import type { ChecksConfig } from './checks/runner.ts';
import type { Limits } from './rules/limits.ts';

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
  /** Where `/metrics`, `/healthz` and `/readyz` are served. */
  metrics: MetricsConfig;
  /** What the pairs of this node may cost it. */
  limits: Limits;
  /** Health checks of a HAPair may run these, by name, and nothing else; default none. */
  commands: Record<string, AllowedCommand>;
  /** Which hosts the other health checks may ask, and what is told of an answer. */
  checks: ChecksConfig;
  /** Where all this was read from; not a field of the file. */
  file: string;
};

/** Plain HTTP, nothing secret, and no way to change anything. */
export type MetricsConfig = {
  /** Default 127.0.0.1; 0.0.0.0: every address, for a scraper on another machine. */
  bindAddress: string;
  /** Default 8112; 0: the kernel chooses, and the log says which. */
  port: number;
};

const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** As `healthChecks[].command.name` of a HAPair. */
const COMMAND_NAME = '^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$';
/** What the kernel can pass on. */
const NO_NUL = '^[^\\u0000]*$';

const ABSOLUTE_PATH = '^/[^\\u0000]*$';

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
    metrics: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        bindAddress: { type: 'string', minLength: 1, default: '127.0.0.1' },
        port: { type: 'integer', minimum: 0, maximum: 65_535, default: 8112 },
      },
    },
    checks: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        hosts: {
          type: 'array',
          maxItems: 64,
          default: [],
          items: { type: 'string', format: 'host', maxLength: 253 },
        },
        body: { type: 'boolean', default: false },
      },
    },
    limits: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        pairs: { type: 'integer', minimum: 0, maximum: 1024, default: 256 },
        minimumAdvertisementIntervalMilliseconds: {
          type: 'integer',
          minimum: 10,
          maximum: 40_950,
          default: 10,
        },
      },
    },
    commands: {
      type: 'object',
      maxProperties: 64,
      default: {},
      propertyNames: { pattern: COMMAND_NAME, maxLength: 63 },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['command'],
        properties: {
          command: {
            type: 'array',
            minItems: 1,
            maxItems: 64,
            items: { type: 'string', pattern: NO_NUL, maxLength: 4096 },
            // No PATH decides what runs.
            prefixItems: [{ type: 'string', pattern: ABSOLUTE_PATH, maxLength: 4096 }],
          },
          environment: {
            type: 'object',
            maxProperties: 64,
            propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
            additionalProperties: { type: 'string', pattern: NO_NUL, maxLength: 4096 },
          },
        },
      },
    },
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
  limits: 'what the pairs of this node may cost it',
  commands: 'what the health checks of a HAPair may run on this node, by name',
  checks:
    'the hosts that health checks may ask besides the own address: names, addresses, ranges such as 10.0.0.0/8; and whether a failure quotes the answer',
};

const validate = new Ajv2020({
  allErrors: true,
  useDefaults: true,
  verbose: true,
  strictTuples: false,
  formats: { host: isHostEntry },
}).compile<Omit<AgentConfig, 'file'>>(SCHEMA);

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
    const why = messageOf(error);
    throw new ConfigError(`cannot read the configuration file ${path}: ${why}`, { cause: error });
  }
  return checkConfig(document, path);
};

/** @throws ConfigError as `loadConfig` does */
export const checkConfig = (document: unknown, path: string): AgentConfig => {
  if (validate(document)) return { ...document, file: path };
  const faults = (validate.errors ?? []).map((error) => `  ${explain(error)}`);
  throw new ConfigError(`${path} is no valid agent configuration:\n${faults.join('\n')}`);
};

const explain = (error: ErrorObject): string => {
  const { instancePath, keyword, params, message, data, propertyName, parentSchema } = error;
  const field = fieldOf(instancePath);
  if (keyword === 'required') {
    const missing = fieldOf(instancePath, params.missingProperty);
    return `${missing}: is missing; add it${meaning(missing)}`;
  }
  if (keyword === 'additionalProperties') {
    const known = Object.keys(parentSchema?.properties ?? {}).join(', ');
    return `${fieldOf(instancePath, params.additionalProperty)}: is not known; known are ${known}`;
  }
  if (keyword === 'propertyNames')
    return `${fieldOf(instancePath, params.propertyName)}: no valid name; choose another`;
  if (propertyName !== undefined)
    return `${fieldOf(instancePath, propertyName)}: the name ${JSON.stringify(propertyName)} ${message}`;
  const allowed = keyword === 'enum' ? `: ${params.allowedValues.join(', ')}` : '';
  const fault = `${JSON.stringify(data)} ${message ?? 'is not valid'}${allowed}`;
  return field === '' ? `the document: ${fault}` : `${field}: ${fault}${meaning(field)}`;
};

const meaning = (field: string): string => {
  const text = MEANING[/^\w+/.exec(field)?.[0] ?? ''];
  return text === undefined ? '' : ` (${text})`;
};

/** `/commands/app/command/0` as `commands.app.command[0]`. */
const fieldOf = (instancePath: string, property?: string): string => {
  const path = instancePath
    .replace(/^\//, '')
    .replace(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.');
  return property === undefined || path === '' ? (property ?? path) : `${path}.${property}`;
};
