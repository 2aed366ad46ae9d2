/** `hapair-operator`: flags, logger, signals and the real surroundings; what runs in them is operator.ts. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import packageJSON from '../package.json' with { type: 'json' };
import { createCalmLog } from '../runtime/calm-log.ts';
import { systemClock } from '../runtime/clock.ts';
import { messageOf } from '../runtime/error-text.ts';
import { openLogOutput } from '../runtime/log-output.ts';
import { createLogger } from '../runtime/logger.ts';
import type { OperatorConfig } from './config.ts';
import { runOperator } from './operator.ts';
import { connectSurroundings } from './surroundings.ts';

const USAGE = `usage: hapair-operator [flags]
  --region REGION                     where HAPairs without spec.region lie (default: AWS_REGION)
  --kubeconfig FILE                   (default: KUBECONFIG, else the pod's ServiceAccount)
  --namespace NAME                    where the agents' Leases are (default: the pod's own, else hapair-system)
  --agent-username-template TEMPLATE  who may write the report of <node>
                                      (default: system:serviceaccount:NAMESPACE:hapair-agent-<node>)
  --require-tag KEY=VALUE             ENIs and EIPs without this tag are not touched (default: no tag is asked for)
  --identity NAME                     of this replica, unique among them (default: POD_NAME, else HOSTNAME_UUID)
  --lease-duration-seconds SECONDS    how long a standby waits for a silent leader; whole seconds (default: 15)
  --renew-deadline-seconds SECONDS    a leader stops that long after its last renewal (default: 11)
  --retry-period-seconds SECONDS      between two renewals (default: 2)
  --bind-address ADDRESS              of /metrics, /healthz and /readyz (default: every address)
  --port PORT                         of the same; 0: a free one (default: 8080)
  --log-level LEVEL                   trace, debug, info, warn, error (default: LOG_LEVEL, else info)
AWS_ENDPOINT_URL_EC2 points it at another EC2 endpoint.`;

const OWN_NAMESPACE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** Ends the process with a sentence for people, no stack trace. */
const refuse = (message: string, usage = `${USAGE}\n`): never => {
  process.stderr.write(`hapair-operator: ${message}\n${usage}`);
  process.exit(2);
};

const ownNamespace = (): string => {
  try {
    return readFileSync(OWN_NAMESPACE, 'utf8').trim();
  } catch {
    // Not in a pod: the file is the only thing that could say otherwise.
    return 'hapair-system';
  }
};

const readFlags = () => {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      options: {
        region: text,
        kubeconfig: text,
        namespace: text,
        'agent-username-template': text,
        'require-tag': text,
        identity: text,
        'lease-duration-seconds': text,
        'renew-deadline-seconds': text,
        'retry-period-seconds': text,
        'bind-address': text,
        port: text,
        'log-level': text,
      },
    }).values;
  } catch (error) {
    return refuse(messageOf(error));
  }
};

const flags = readFlags();

type NumberFlag = Extract<keyof typeof flags, 'port' | `${string}-seconds`>;

const numberOf = (name: NumberFlag, byDefault: number): number => {
  const text = flags[name];
  if (text === undefined) return byDefault;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return Number.isNaN(value) ? refuse(`--${name} takes a number, not ${text}`) : value;
};

const region = flags.region ?? process.env.AWS_REGION ?? refuse('no region: give --region or set AWS_REGION');
const namespace = flags.namespace ?? ownNamespace();
const agentUsernameTemplate =
  flags['agent-username-template'] ?? `system:serviceaccount:${namespace}:hapair-agent-<node>`;
if (!agentUsernameTemplate.includes('<node>')) refuse('--agent-username-template lacks <node>');

const readTag = (text: string | undefined): { key: string; value: string } | undefined => {
  if (text === undefined) return undefined;
  const at = text.indexOf('=');
  if (at < 1) return refuse(`--require-tag takes KEY=VALUE, not ${text}`);
  return { key: text.slice(0, at), value: text.slice(at + 1) };
};
const requireTag = readTag(flags['require-tag']);

const openLog = () => {
  try {
    return createLogger({ level: flags['log-level'], base: {} }, openLogOutput());
  } catch (error) {
    return refuse(messageOf(error), '');
  }
};
const lines = openLog();
/** What EC2 or the API server refuses again and again is said once, then counted. */
const log = createCalmLog(lines, systemClock.now);
setInterval(log.tick, 1_000).unref();
process.once('exit', () => log.flush());

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    const err = error instanceof Error ? error : new Error(String(error));
    lines.fatal({ reason: 'OperatorFailed', err }, 'operator failed');
    process.exit(1);
  });
}

const end = Promise.withResolvers<void>();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.resolve());

const { version } = packageJSON;
const config: OperatorConfig = {
  kubeconfigPath: flags.kubeconfig,
  region,
  agentUsernameTemplate,
  ...(requireTag && { requireTag }),
  namespace,
  version,
  identity: flags.identity ?? (process.env.POD_NAME || undefined),
  election: {
    leaseDurationMs: numberOf('lease-duration-seconds', 15) * 1000,
    renewDeadlineMs: numberOf('renew-deadline-seconds', 11) * 1000,
    retryPeriodMs: numberOf('retry-period-seconds', 2) * 1000,
  },
  http: { bindAddress: flags['bind-address'], port: numberOf('port', 8080) },
};
const operator = await connectSurroundings(config, log)
  .then((surroundings) => runOperator(config, log, surroundings))
  .catch((error: Error) => refuse(error.message));
const { identity, port } = operator;
const started = { version, region, namespace, identity, port, pid: process.pid };
log.info({ reason: 'OperatorStarted', ...started }, 'operator started');

await end.promise;
log.info({ reason: 'OperatorStopping' }, 'operator is stopping');
await operator.stop();
process.exit(0);
