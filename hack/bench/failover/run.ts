/** One run: bring the pair to where it starts, do the deed, wait, look. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../../lab/clock.ts';
import { type ProbeClient, within } from '../../lab/handles.ts';
import type { Sample } from '../../lab/outage.ts';
import { eventually, PATIENCE_MS } from '../common/wait.ts';
import type { Contender, Place, Scenario, Switch } from './contender.ts';
import type { Harness } from './harness.ts';
import {
  type Evidence,
  firstAdvert,
  mastersIn,
  type RunRecord,
  type SwitchRecord,
  switchFigures,
  type WatchRecord,
  watchFigures,
} from './measure.ts';
import { callsOf, deliveryOf, lastCallID, TWO_ADVERTS_MS } from './observe.ts';

/** A run to be made. */
export type Plan<S extends Scenario = Scenario> = { contender: Contender; scenario: S; run: number };

/**
 * Runs one. It never throws: a run that told nothing is a record that says why.
 * @param exclusive does deeds one at a time, each until somebody is Master
 */
export const runOne = async (
  harness: Harness,
  plan: Plan,
  windowMs: number,
  exclusive: <T>(deed: () => Promise<T>) => Promise<T>,
): Promise<RunRecord> => {
  const { contender, scenario, run } = plan;
  try {
    return scenario === 'flap' || scenario === 'boot'
      ? await watchOne(harness, { contender, scenario, run }, windowMs, exclusive)
      : await switchOne(harness, { contender, scenario, run });
  } catch (error) {
    return { contender: contender.name, scenario, run, error: (error as Error).message };
  }
};

/** From which node to which. */
const WAYS: Record<Switch, [from: Place, to: Place]> = { crash: [0, 1], stop: [0, 1], failback: [1, 0] };

const switchOne = async (harness: Harness, plan: Plan<Switch>): Promise<SwitchRecord> => {
  const { contender, scenario, run } = plan;
  const { pair } = contender;
  const [from, to] = WAYS[scenario];
  await contender.bring(from);
  const clients = await startClients(harness, plan);
  try {
    await clients.answeredBy(pair.nodes[from].name);
    const sinceID = await lastCallID(harness);
    const fromMs = nowMs();
    await act(harness, plan);
    await clients.answeredBy(pair.nodes[to].name);
    const evidence = await gather(harness, contender, clients, sinceID, fromMs);
    // A person moves the recipe's addresses back, whoever is Master; in all else the election comes first.
    const isByHand = scenario === 'failback' && contender.name === 'recipe';
    const figures = switchFigures(evidence, to, isByHand ? fromMs : undefined);
    return { contender: contender.name, scenario, run, ...figures };
  } finally {
    await clients.stop();
  }
};

const act = ({ lab }: Harness, { contender, scenario }: Plan<Switch>): Promise<void> => {
  if (scenario === 'crash') return lab.node(contender.pair.nodes[0].name).crash();
  return scenario === 'stop' ? contender.stop() : contender.failback();
};

const watchOne = async (
  harness: Harness,
  plan: Plan<'flap' | 'boot'>,
  windowMs: number,
  exclusive: <T>(deed: () => Promise<T>) => Promise<T>,
): Promise<WatchRecord> => {
  const { contender, scenario, run } = plan;
  const { pair } = contender;
  const [first] = pair.nodes;
  await contender.bring(0);
  const clients = await startClients(harness, plan);
  try {
    await clients.answeredBy(first.name);
    const sinceID = await lastCallID(harness);
    const deed = () =>
      scenario === 'flap' ? flap(harness, contender) : boot(harness, contender, run % 2 === 1 ? 0 : 1);
    const fromMs = await exclusive(deed);
    await sleep(Math.max(0, fromMs + windowMs - nowMs()));
    const evidence = await gather(harness, contender, clients, sinceID, fromMs);
    return { contender: contender.name, scenario, run, ...watchFigures(evidence, windowMs) };
  } finally {
    await clients.stop();
  }
};

/** Returns when the false resignation was sent, once the second node has believed it. */
const flap = async (harness: Harness, { pair }: Contender): Promise<number> => {
  const [first, second] = pair.nodes;
  const forger = await harness.lab.spawn({
    name: 'forger',
    where: first.name,
    argv: [process.execPath, join(import.meta.dirname, 'forger.ts'), first.address, second.address],
  });
  const begunMs = nowMs();
  const { code } = await within(forger.exited, PATIENCE_MS, 'The forger did not end');
  if (code !== 0) throw new Error(`The forger failed; see ${forger.logFile}.`);
  const forged = harness.adverts.find(
    ({ source, priority, atMs }) => source === first.address && priority === 0 && atMs >= begunMs,
  );
  if (forged === undefined) throw new Error('The forged resignation was not seen on the wire.');
  const look = () => firstAdvert(harness.adverts, second, forged.atMs);
  await eventually(`${second.name} should have believed it`, look, TWO_ADVERTS_MS);
  return forged.atMs;
};

/** Returns when the instances began to start, once one of them is Master. */
const boot = async ({ lab, adverts }: Harness, contender: Contender, sooner: Place): Promise<number> => {
  const { nodes } = contender.pair;
  await Promise.all(nodes.map(({ name }) => lab.node(name).crash()));
  const fromMs = nowMs();
  await contender.boot(sooner);
  const look = () =>
    nodes.map((node) => firstAdvert(adverts, node, fromMs)).find((seen) => seen !== undefined);
  await eventually('One of two nodes that start should become Master', look);
  return fromMs;
};

const gather = async (
  harness: Harness,
  contender: Contender,
  clients: Clients,
  sinceID: number,
  fromMs: number,
): Promise<Evidence> => {
  const { pair } = contender;
  const toMs = nowMs();
  // About a second, for the fate of the last probes: a call that comes late is seen as well.
  const samples = await clients.stop();
  await contender.idle(sinceID);
  const delivery = await deliveryOf(harness, pair);
  const endMs = nowMs();
  const masters = mastersIn(harness.adverts, pair, endMs - TWO_ADVERTS_MS, endMs);
  const calls = await callsOf(harness, contender, sinceID);
  return { pair, fromMs, toMs, adverts: harness.adverts, calls, masters, delivery, ...samples };
};

/** A probing client in the subnet and one on the internet, for one run alone. */
type Clients = {
  /** Waits until both get an answer from this node to a probe sent from now on. */
  answeredBy(node: string): Promise<void>;
  /** Ends them once every probe has its fate. Idempotent. */
  stop(): Promise<{ lan: Sample[]; wan: Sample[] }>;
};

const startClients = async ({ lab }: Harness, { contender, scenario, run }: Plan): Promise<Clients> => {
  const { vip, publicIP } = contender.pair;
  const name = `${contender.name}-${scenario}-${run}`;
  const [lan, wan] = await Promise.all([
    lab.probe({ name: `${name}-lan`, from: 'lan', target: vip }),
    lab.probe({ name: `${name}-wan`, from: 'internet', target: publicIP }),
  ]);
  let samples: Promise<{ lan: Sample[]; wan: Sample[] }> | undefined;
  const stop = async (clients: [ProbeClient, ProbeClient]): Promise<{ lan: Sample[]; wan: Sample[] }> => {
    const [ofLAN, ofWAN] = await Promise.all([clients[0].stop(), clients[1].stop()]);
    return { lan: ofLAN, wan: ofWAN };
  };
  return {
    answeredBy: async (node) => {
      await Promise.all([lan, wan].map((client) => client.answeredBy(node, PATIENCE_MS)));
    },
    stop: () => {
      samples ??= stop([lan, wan]);
      return samples;
    },
  };
};
