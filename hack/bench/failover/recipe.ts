/** The recipe as a contender: keepalived and its scripts on the second pair, as a person would run them. */
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { nowMs } from '../../lab/clock.ts';
import { ACCESS_KEYS } from '../../lab/ec2/credentials.ts';
import { awsArguments, awsEnvironment, findTools } from '../../lab/environment.ts';
import { type LabProcess, within } from '../../lab/handles.ts';
import type { LabInstance } from '../../lab/types.ts';
import { findDebianPrograms, RECIPE_PROGRAMS } from '../../setup/debian.ts';
import { run } from '../../setup/run.ts';
import { eventually, PATIENCE_MS } from '../common/wait.ts';
import type { Contender, Place } from './contender.ts';
import { type Harness, nodesFrom, RECIPE_PAIR as pair } from './harness.ts';
import { firstAdvert } from './measure.ts';
import { callsOf, lastCallID, untilAnswered, untilServing } from './observe.ts';
import { CALLS_PER_SCRIPT, keepalivedConf, moveScript } from './recipe-files.ts';

/** The programs of the recipe and what they say they are. */
export type RecipeTools = { keepalived: string; aws: string; path: string; versions: string };

/**
 * Finds or installs them; before a world is started, which has no way out.
 * @param awsCommand default: the distribution's, which the figures are told for
 * @throws Error as findDebianPrograms, or when a program does not say its version.
 */
export const findRecipeTools = async (awsCommand?: string): Promise<RecipeTools> => {
  const { env } = await findTools();
  const { keepalived, curl, aws: debianAWS } = await findDebianPrograms(RECIPE_PROGRAMS);
  const aws = awsCommand ?? debianAWS;
  const versions = await Promise.all([
    run(keepalived, ['--version']).then(({ stdout, stderr }) => /Keepalived v\S+/.exec(stderr + stdout)?.[0]),
    run(aws, ['--version']).then(({ stdout, stderr }) => /aws-cli\/\S+ \S+/.exec(stdout + stderr)?.[0]),
  ]);
  const path = [env.PATH, dirname(curl)].join(delimiter);
  return { keepalived, aws, path, versions: versions.join(', ') };
};

const [first, second] = pair.nodes;

/** Its process on each node; none: it does not run. */
type Running = Map<string, LabProcess>;

/** Writes the files; nothing runs yet. */
export const createRecipe = (harness: Harness, tools: RecipeTools): Contender => {
  const { lab } = harness;
  const running: Running = new Map();
  const { AWS_REGION: _, AWS_DEFAULT_REGION: __, ...credentials } = awsEnvironment(lab.vpc, 'person');
  const env = { ...credentials, PATH: tools.path };
  const command = [tools.aws, ...awsArguments(credentials.AWS_ENDPOINT_URL ?? '', ['ec2'])].join(' ');
  const scripts = writeFiles(harness, command);

  const startKeepalived = async ({ name }: LabInstance): Promise<void> => {
    const { dir } = lab.node(name);
    const pidFiles = [join(dir, 'keepalived.pid'), join(dir, 'vrrp.pid')] as const;
    // As at a boot, where /run is empty: a crash leaves them, and after it the PIDs in them are somebody's again.
    for (const file of pidFiles) rmSync(file, { force: true });
    const started = await lab.spawn({
      name: `${name}-keepalived`,
      where: name,
      argv: [
        ...[process.execPath, join(import.meta.dirname, 'keepalived.ts')],
        ...[tools.keepalived, '--dont-fork', '--log-console', '--vrrp'],
        ...['--use-file', join(dir, 'keepalived.conf')],
        ...['--pid', pidFiles[0], '--vrrp_pid', pidFiles[1]],
      ],
      env,
    });
    running.set(name, started);
    void started.exited.then(() => {
      if (running.get(name) === started) running.delete(name);
    });
  };

  const startUnlessRunning = async (node: LabInstance): Promise<void> => {
    if (!running.has(node.name)) await startKeepalived(node);
  };

  /** One call moves both; a person who knows EC2 puts it right so. */
  const deliverTo = async ({ networkInterfaceID }: LabInstance): Promise<void> => {
    const { routes, nat } = await lab.ec2.settledMapping();
    const target = ['--network-interface-id', networkInterfaceID];
    if (routes[pair.vip] !== networkInterfaceID) {
      const vip = ['--private-ip-addresses', pair.vip, '--allow-reassignment'];
      await lab.aws(['ec2', 'assign-private-ip-addresses', ...target, ...vip]);
    }
    if (nat[pair.publicIP] !== pair.vip) {
      const eip = ['--allocation-id', pair.allocationID, '--private-ip-address', pair.vip];
      await lab.aws(['ec2', 'associate-address', ...target, ...eip]);
    }
  };

  const recipe: Contender = {
    name: 'recipe',
    pair,
    accessKeyID: ACCESS_KEYS.person.id,
    start: () => recipe.bring(0),
    bring: async (place: Place) => {
      await startInstances(harness);
      if (place === 1) {
        if (running.has(first.name)) {
          await startUnlessRunning(second);
          await untilServing(harness, pair, first);
          const sinceID = await lastCallID(harness);
          await recipe.stop();
          await untilCalled(harness, recipe, sinceID);
        }
        return untilServing(harness, pair, second);
      }
      // The second node alone would take over and have its script run.
      if (!running.has(first.name)) {
        const fromMs = nowMs();
        await startKeepalived(first);
        const look = () => firstAdvert(harness.adverts, first, fromMs);
        await eventually(`${first.name} should become Master`, look);
      }
      await startUnlessRunning(second);
      await deliverTo(first);
      await untilServing(harness, pair, first);
    },
    stop: async () => {
      const keepalived = running.get(first.name);
      if (keepalived === undefined) throw new Error(`keepalived does not run on ${first.name}.`);
      running.delete(first.name);
      await keepalived.kill('SIGTERM');
      await within(keepalived.exited, PATIENCE_MS, `keepalived of ${first.name} did not end`);
    },
    failback: async () => {
      await startKeepalived(first);
      await lab.spawn({ name: 'failback', where: first.name, argv: [scripts.failback], env });
    },
    boot: async (sooner) => {
      await startInstances(harness);
      await Promise.all(nodesFrom(pair, sooner).map(startKeepalived));
    },
    idle: (sinceID) => untilIdle(harness, recipe, sinceID),
  };
  return recipe;
};

/** Boots those of the pair that are off. */
const startInstances = async ({ lab }: Harness): Promise<void> => {
  await Promise.all(
    pair.nodes.map(async ({ name }) => {
      const node = lab.node(name);
      if (!(await node.state()).running) await node.start();
    }),
  );
};

/** Returns where the scripts are. */
const writeFiles = ({ lab }: Harness, command: string): { failback: string } => {
  const [failover, failback] = [
    join(lab.node(second.name).dir, 'failover.sh'),
    join(lab.node(first.name).dir, 'failback.sh'),
  ];
  const log = (name: string): string => join(lab.dir, `${name}.log`);
  const script = (file: string, text: string): void => {
    writeFileSync(file, text);
    chmodSync(file, 0o700);
  };
  script(failover, moveScript(pair, { from: first, to: second }, command, log('failover')));
  script(failback, moveScript(pair, { from: second, to: first }, command, log('failback')));
  const conf = (own: LabInstance, text: string): void =>
    // keepalived warns about a configuration that anybody may execute.
    writeFileSync(join(lab.node(own.name).dir, 'keepalived.conf'), text, { mode: 0o600 });
  conf(first, keepalivedConf(pair, first, second, { state: 'MASTER', priority: 101 }));
  const backup = { state: 'BACKUP', priority: 100, notifyMaster: failover } as const;
  conf(second, keepalivedConf(pair, second, first, backup));
  return { failback };
};

/** Waits for a script's calls, to begin and to end. */
const untilCalled = async (harness: Harness, recipe: Contender, sinceID: number): Promise<void> => {
  const look = async () => (await callsOf(harness, recipe, sinceID)).length >= CALLS_PER_SCRIPT || undefined;
  await eventually('The script should have made its calls', look);
  await untilIdle(harness, recipe, sinceID);
};

/** A script that has begun has ended when the last of its calls is answered. */
const untilIdle = async (harness: Harness, recipe: Contender, sinceID: number): Promise<void> => {
  await eventually('The scripts should come to their end', async () => {
    const calls = await untilAnswered(harness, recipe, sinceID);
    return calls.length % CALLS_PER_SCRIPT === 0 || undefined;
  });
};
