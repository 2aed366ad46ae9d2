/**
 * Control planes for the stories: each serves one story at a time, and the next one when that has ended well. So a story pays
 * for its own world alone, and as many planes are started as stories run side by side.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from '../controlplane/controlplane.ts';
import { installChart, type KubeTools } from '../lab/chart.ts';
import { kubeEnvironment } from '../lab/environment.ts';
import type { SharedPlane } from '../lab/lab.ts';
import { MANAGEMENT, STANDARD_VPC } from '../lab/vpc.ts';
import { run } from '../setup/run.ts';
import { ensureTools } from '../setup/tools.ts';

/** Where a story finds the plane it is lent, as JSON of {@link SharedPlane}. */
export const PLANE_VARIABLE = 'LAB_PLANE';

const DIR = join(import.meta.dirname, '..', '..', '.lab', 'planes');
/** Every instance of every VPC that a story has. */
const NODES = ['node1', 'node2', 'node3', 'node4'];
const NAMESPACES = ['prod'];
const TOOL_MS = 120_000;

export type LentPlane = {
  /** For the story's process. */
  env: Record<string, string>;
  /** Takes it back; one that was spoiled is stopped. */
  giveBack(isClean: boolean): Promise<void>;
};

export type Planes = {
  /** A plane that nobody uses, started if there is none. */
  lend(): Promise<LentPlane>;
  stop(): Promise<void>;
};

const start = async (dir: string): Promise<{ plane: ControlPlane; shared: SharedPlane }> => {
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { env, tools } = await ensureTools();
  const plane = await startControlPlane({ dir: join(dir, 'kube') });
  try {
    const environment = { ...process.env, ...env, ...kubeEnvironment(dir, plane.kubeconfig) };
    const tool =
      (name: 'kubectl' | 'helm'): KubeTools['kubectl'] =>
      async (args, input = '') =>
        (await run(tools[name], args, { env: environment, input, timeoutMs: TOOL_MS })).stdout;
    const kubeTools = { kubectl: tool('kubectl'), helm: tool('helm') };
    await installChart(kubeTools, { nodes: NODES, namespaces: NAMESPACES, region: STANDARD_VPC.region });
    await plane.startControllerManager();
    const inside = `https://${MANAGEMENT.world}:${MANAGEMENT.kubernetesPort}`;
    const shared = {
      port: Number(new URL(plane.server).port),
      kubeconfig: plane.kubeconfig,
      insideKubeconfig: await plane.writeAdminKubeconfig(join(dir, 'inside.kubeconfig'), inside),
      caFile: plane.caFile,
    };
    return { plane, shared };
  } catch (error) {
    await plane.stop();
    throw error;
  }
};

/** Starts none yet. */
export const createPlanes = (): Planes => {
  const free: { plane: ControlPlane; shared: SharedPlane }[] = [];
  let started = 0;
  return {
    lend: async () => {
      const one = free.pop() ?? (await start(join(DIR, String(started++))));
      return {
        env: { [PLANE_VARIABLE]: JSON.stringify(one.shared) },
        giveBack: async (isClean) => {
          if (isClean) free.push(one);
          else await one.plane.stop();
        },
      };
    },
    stop: async () => {
      await Promise.all(free.splice(0).map(({ plane }) => plane.stop()));
    },
  };
};
