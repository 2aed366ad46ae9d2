/** A control plane whose programs can be killed and started again on the same data. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './controlplane.ts';
import { type Spawn, spawnBound } from './process.ts';
import type { Program } from './programs.ts';

/** A control plane and what can be done to its programs. */
export type RestartableControlPlane = ControlPlane & {
  /** SIGKILL; resolves when it is gone. */
  kill(program: Program): Promise<void>;
  /** Starts it again as it was started first; it takes a few seconds until it answers. */
  start(program: Program): void;
  /** Copies etcd's data as it is at this moment, over an earlier copy. */
  copyData(): Promise<void>;
  /** As an administrator restores a backup: API server and etcd end, the copy takes the place of the data, both start again. */
  putBackData(): Promise<void>;
};

/** As `startControlPlane`. */
export const startRestartableControlPlane = async (
  options: Omit<ControlPlaneOptions, 'spawn'>,
): Promise<RestartableControlPlane> => {
  const [data, copy] = ['etcd', 'etcd.copy'].map((name) => join(options.dir, name)) as [string, string];
  const programs = new Map<string, { child: ChildProcess; again: () => ChildProcess }>();
  const spawn: Spawn = (file, args, options) => {
    const again = () => spawnBound(file, args, options);
    const child = again();
    programs.set(basename(file), { child, again });
    return child;
  };
  const kill = async (program: string): Promise<void> => {
    const child = programs.get(program)?.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const start = (program: string): void => {
    const entry = programs.get(program);
    if (entry === undefined) throw new Error(`${program} was never started`);
    entry.child = entry.again();
  };
  const replaceBy = async (from: string, to: string): Promise<void> => {
    await rm(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true });
  };
  const plane = await startControlPlane({ ...options, spawn });
  return {
    ...plane,
    kill,
    start,
    async copyData() {
      const { child } = programs.get('etcd') ?? {};
      // Stopped in the middle of whatever it does, it leaves what a crash would.
      child?.kill('SIGSTOP');
      try {
        await replaceBy(data, copy);
      } finally {
        child?.kill('SIGCONT');
      }
    },
    async putBackData() {
      for (const program of ['kube-apiserver', 'etcd']) await kill(program);
      await replaceBy(copy, data);
      for (const program of ['etcd', 'kube-apiserver']) start(program);
    },
    async stop() {
      // What was started again is not the control plane's own.
      for (const program of [...programs.keys()].reverse()) await kill(program);
      await plane.stop();
    },
  };
};
