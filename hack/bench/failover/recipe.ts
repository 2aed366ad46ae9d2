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
 * Finds or installs them; before a lab is started, which has no way out.
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

/** keepalived on both nodes of the pair, and its scripts. */
export class Recipe implements Contender {
  readonly name = 'recipe';
  readonly pair = pair;
  readonly accessKeyID = ACCESS_KEYS.person.id;
  readonly #harness: Harness;
  readonly #tools: RecipeTools;
  readonly #env: Record<string, string>;
  readonly #scripts: { failback: string };
  /** Its process on each node; none: it does not run. */
  readonly #running = new Map<string, LabProcess>();

  /** Writes the files; nothing runs yet. */
  constructor(harness: Harness, tools: RecipeTools) {
    const environment = awsEnvironment(harness.lab.vpc, 'person');
    const { AWS_REGION: _, AWS_DEFAULT_REGION: __, ...credentials } = environment;
    const command = [tools.aws, ...awsArguments(credentials.AWS_ENDPOINT_URL ?? '', ['ec2'])].join(' ');
    this.#harness = harness;
    this.#tools = tools;
    this.#env = { ...credentials, PATH: tools.path };
    this.#scripts = writeFiles(harness, command);
  }

  start(): Promise<void> {
    return this.bring(0);
  }

  async bring(place: Place): Promise<void> {
    await startInstances(this.#harness);
    return place === 0 ? this.#bringFirst() : this.#bringSecond();
  }

  async stop(): Promise<void> {
    const keepalived = this.#running.get(first.name);
    if (keepalived === undefined) throw new Error(`keepalived does not run on ${first.name}.`);
    this.#running.delete(first.name);
    await keepalived.kill('SIGTERM');
    await within(keepalived.exited, PATIENCE_MS, `keepalived of ${first.name} did not end`);
  }

  async failback(): Promise<void> {
    await this.#startKeepalived(first);
    const argv = [this.#scripts.failback];
    await this.#harness.lab.spawn({ name: 'failback', where: first.name, argv, env: this.#env });
  }

  async boot(sooner: Place): Promise<void> {
    await startInstances(this.#harness);
    await Promise.all(nodesFrom(pair, sooner).map((node) => this.#startKeepalived(node)));
  }

  idle(sinceID: number): Promise<void> {
    return untilIdle(this.#harness, this, sinceID);
  }

  async #bringFirst(): Promise<void> {
    // The second node alone would take over and have its script run.
    if (!this.#running.has(first.name)) {
      const fromMs = nowMs();
      await this.#startKeepalived(first);
      const look = () => firstAdvert(this.#harness.adverts, first, fromMs);
      await eventually(`${first.name} should become Master`, look);
    }
    await this.#startUnlessRunning(second);
    await deliverTo(this.#harness, first);
    await untilServing(this.#harness, pair, first);
  }

  async #bringSecond(): Promise<void> {
    if (this.#running.has(first.name)) {
      await this.#startUnlessRunning(second);
      await untilServing(this.#harness, pair, first);
      const sinceID = await lastCallID(this.#harness);
      await this.stop();
      await untilCalled(this.#harness, this, sinceID);
    }
    await untilServing(this.#harness, pair, second);
  }

  async #startUnlessRunning(node: LabInstance): Promise<void> {
    if (!this.#running.has(node.name)) await this.#startKeepalived(node);
  }

  async #startKeepalived({ name }: LabInstance): Promise<void> {
    const { lab } = this.#harness;
    const { dir } = lab.node(name);
    const pidFiles = [join(dir, 'keepalived.pid'), join(dir, 'vrrp.pid')] as const;
    // As at a boot, where /run is empty: a crash leaves them, and after it the PIDs in them are somebody's again.
    for (const file of pidFiles) rmSync(file, { force: true });
    const started = await lab.spawn({
      name: `${name}-keepalived`,
      where: name,
      argv: [
        ...[process.execPath, join(import.meta.dirname, 'keepalived.ts')],
        ...[this.#tools.keepalived, '--dont-fork', '--log-console', '--vrrp'],
        ...['--use-file', join(dir, 'keepalived.conf')],
        ...['--pid', pidFiles[0], '--vrrp_pid', pidFiles[1]],
      ],
      env: this.#env,
    });
    this.#running.set(name, started);
    void started.exited.then(() => {
      if (this.#running.get(name) === started) this.#running.delete(name);
    });
  }
}

/** One call moves both; a person who knows EC2 puts it right so. */
const deliverTo = async ({ lab }: Harness, { networkInterfaceID }: LabInstance): Promise<void> => {
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
