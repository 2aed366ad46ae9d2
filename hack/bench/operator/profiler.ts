/** The operator's processor profiles and heap, taken over its inspector (started with `--inspect`). */
import { writeFileSync } from 'node:fs';

/** The engine's profiler in another process. */
export type Profiler = {
  start(): Promise<void>;
  /** Writes a `.cpuprofile` of all since `start`. */
  stop(file: string): Promise<void>;
  /** Bytes in use after a full collection. */
  heapBytes(): Promise<number>;
  close(): void;
};

type Answer = { id?: number; result?: unknown; error?: { message: string } };

const SAMPLE_MICROSECONDS = 500;

/** @param url `ws://127.0.0.1:PORT/ID`, as Node prints it */
export const connectProfiler = async (url: string): Promise<Profiler> => {
  const socket = new WebSocket(url);
  const waiting = new Map<number, (answer: Answer) => void>();
  let lastID = 0;
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error(`The inspector does not answer at ${url}.`)), {
      once: true,
    });
  });
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    waiting.get(answer.id ?? 0)?.(answer);
    waiting.delete(answer.id ?? 0);
  });
  const call = async <T>(method: string, params: object = {}): Promise<T> => {
    const id = ++lastID;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answered;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result as T;
  };
  await call('Profiler.enable');
  await call('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
  return {
    start: () => call('Profiler.start'),
    async stop(file) {
      const { profile } = await call<{ profile: object }>('Profiler.stop');
      writeFileSync(file, JSON.stringify(profile));
    },
    async heapBytes() {
      await call('HeapProfiler.collectGarbage');
      return (await call<{ usedSize: number }>('Runtime.getHeapUsage')).usedSize;
    },
    close: () => socket.close(),
  };
};
