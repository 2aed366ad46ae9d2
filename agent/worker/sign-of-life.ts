/** What an agent's Lease says: its worker's loop runs (DESIGN.md, "Who is master"; trace T19). */
import type { Pong, VRRPWorker } from './worker-client.ts';

export type SignOfLifeOptions = {
  ping: VRRPWorker['ping'];
  /** Hears each answer. */
  onPong: (pong: Pong) => void;
  /** The worker does not answer, or has ended: it serves nobody, and the process must end. */
  onDead: (error: Error) => void;
};

/** Makes the question `isAlive` of a Lease's renewal: it pings the worker, so that the Lease of one that hangs runs out. */
export const aliveWhileAnswering =
  ({ ping, onPong, onDead }: SignOfLifeOptions) =>
  async (): Promise<boolean> => {
    try {
      onPong(await ping());
      return true;
    } catch (error) {
      onDead(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  };
