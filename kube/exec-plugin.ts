/**
 * The exec plugin of a kubeconfig's user. It may ask somebody by network, and may hang: one process at a time, with a deadline,
 * and a bound on what it may print.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { killGroup, type StartProcess } from '../runtime/child.ts';
import type { User } from './kubeconfig.ts';

export type ExecPlugin = {
  /** What it says of the user, from its last run as long as that is good. @throws PluginError */
  credential(): Promise<RequestOptions>;
  /** What is waited for just now, for people; undefined: nothing. */
  waitsFor(): string | undefined;
  /** The next request runs it again, or waits for the run under way. */
  forget(): void;
  /** Ends what runs. */
  close(): void;
};

/** The plugin gave no credential. The message names the plugin, and quotes nothing that it has printed. */
export class PluginError extends Error {}

/** No credential is longer. */
const MOST_BYTES = 1024 * 1024;

/** A run under way: who needs a credential meanwhile waits for this one. */
type Run = { credential: Promise<RequestOptions>; end: (why: string) => void };

/** @returns undefined for a user without a plugin */
export const createExecPlugin = (
  user: User,
  start: StartProcess,
  deadlineMs: number,
): ExecPlugin | undefined => {
  if (!new ExecAuth().isAuthProvider(user)) return undefined;
  const name = `the exec plugin ${user.exec?.command ?? ''}`.trim();
  let plugin = new ExecAuth();
  let running: Run | undefined;

  const run = (): Run => {
    const ended = Promise.withResolvers<never>();
    let child: ChildProcess | undefined;
    const end = (why: string): void => {
      ended.reject(new PluginError(`${name} ${why}`));
      if (child !== undefined) endAll(child);
    };
    const timer = setTimeout(
      () => end(`was ended after ${deadlineMs / 1_000} s without a credential`),
      deadlineMs,
    );
    const execFn = (command: string, args: string[] | undefined, { env }: SpawnOptions): ChildProcess => {
      child = start(command, args ?? [], { ...(env && { env }), stdio: ['ignore', 'pipe', 'pipe'] });
      bound(child, () => end(`was ended because it printed more than ${MOST_BYTES} bytes`));
      return child;
    };
    // Private there, but how its own tests replace it; client-node.test.ts tells when it is gone.
    Object.assign(plugin, { execFn });
    const options: RequestOptions = { headers: {} };
    // Until its end, though it may have been given up: what cannot be ended is not begun a second time.
    const whole = plugin.applyAuthentication(user, options).finally(() => {
      clearTimeout(timer);
      running = undefined;
    });
    const credential = Promise.race([whole.then(() => options), ended.promise]).catch((error: unknown) => {
      throw error instanceof PluginError ? error : new PluginError(`${name} ${reasonOf(error)}`);
    });
    return { credential, end };
  };
  return {
    credential() {
      running ??= run();
      return running.credential;
    },
    waitsFor: () => running && name,
    forget() {
      // A run that is under way writes what it finds into its own, and is no older than the refusal.
      if (running === undefined) plugin = new ExecAuth();
    },
    close: () => running?.end('was ended because the kubeconfig has changed'),
  };
};

/** What it printed stays out: it may be a credential. */
const reasonOf = (error: unknown): string => {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? 'failed or printed no credential' : `cannot be run: ${code}`;
};

const endAll = ({ pid, stdout, stderr }: ChildProcess): void => {
  if (pid !== undefined) killGroup(pid);
  // What has left its group may hold its output open.
  for (const stream of [stdout, stderr]) stream?.destroy();
};

const bound = ({ stdout, stderr }: ChildProcess, onExcess: () => void): void => {
  let length = 0;
  for (const stream of [stdout, stderr])
    stream?.on('data', (piece: Buffer | string) => {
      length += piece.length;
      if (length > MOST_BYTES) onExcess();
    });
};
