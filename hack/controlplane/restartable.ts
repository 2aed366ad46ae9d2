/** A control plane whose programs can be killed and started again on the same data. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { type ControlPlane, startControlPlane } from './controlplane.ts';
import { type Spawn, spawnBound } from './process.ts';
import type { Program } from './programs.ts';

/** A control plane and what can be done to its programs. */
export type RestartableControlPlane = ControlPlane & {
  /** SIGKILL; resolves when it is gone. */
  kill(program: Program): Promise<void>;
  /** Starts it again as it was started first; it takes a few seconds until it answers. */
  start(program: Program): void;
};

/** As `startControlPlane`, in `dir`. */
export const startRestartableControlPlane = async (dir: string): Promise<RestartableControlPlane> => {
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
  const plane = await startControlPlane({ dir, spawn });
  return {
    ...plane,
    kill,
    start(program) {
      const entry = programs.get(program);
      if (entry === undefined) throw new Error(`${program} was never started`);
      entry.child = entry.again();
    },
    async stop() {
      // What was started again is not the control plane's own.
      for (const program of [...programs.keys()].reverse()) await kill(program);
      await plane.stop();
    },
  };
};
