/** What an agent's Lease says: its worker's loop runs (DESIGN.md, "Who is master"; trace T19). */
import type { Pong, VRRPWorker } from './worker-client.ts';

export type SignOfLifeOptions = {
  ping: VRRPWorker['ping'];
  /** Hears each answer. */
  onPong: (pong: Pong) => void;
  /** The worker does not answer, or has ended: it serves nobody, and the process must end. */
  onDead: (error: Error) => void;
};

/** To be asked before each renewal of the Lease; a worker that hangs makes it fall silent. */
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
