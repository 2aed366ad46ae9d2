/** Signs of life: changes of an agent's Lease or report that this process saw happen, on its own monotonic clock. */
import type { Life } from './plan/types.ts';

export type LifeBook = {
  /** Something of an agent was seen. The first sight of it is no sign; equal text is no change. */
  observe(source: string, text: string | undefined, nowMs: number): void;
  /** Forgets a source that is gone. */
  forget(source: string): void;
  /** The last two signs over all of these sources. */
  of(sources: readonly string[]): Life;
};

type Seen = { text: string | undefined; life: Life };

export const createLifeBook = (): LifeBook => {
  const book = new Map<string, Seen>();
  return {
    observe(source, text, nowMs) {
      const seen = book.get(source);
      if (!seen) {
        book.set(source, { text, life: {} });
        return;
      }
      if (seen.text === text) return;
      const { lastMs } = seen.life;
      book.set(source, {
        text,
        life: { lastMs: nowMs, ...(lastMs !== undefined && { previousMs: lastMs }) },
      });
    },
    forget(source) {
      book.delete(source);
    },
    of(sources) {
      const times = sources
        .flatMap((source) => {
          const { lastMs, previousMs } = book.get(source)?.life ?? {};
          return [lastMs, previousMs].filter((timeMs) => timeMs !== undefined);
        })
        .sort((a, b) => b - a);
      const [lastMs, previousMs] = times;
      return { ...(lastMs !== undefined && { lastMs }), ...(previousMs !== undefined && { previousMs }) };
    },
  };
};
