/** The machine's addresses, read and changed by `ip` (iproute2). */
import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { type Clock, sleep } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import { whyNoChangesHere } from './capabilities.ts';
import type { InterfaceReading, NodeInterface, PairAddresses } from './pair-types.ts';

/** An `ip` that takes longer hangs. */
const DEADLINE_MS = 2_000;
const OUTPUT_BYTES = 4 * 1024 * 1024;
/** Looked at so often even if nothing is announced. */
const REREAD_MS = 1_000;
/** Read again so often even if nothing is announced and nothing is seen to have changed. */
const FULL_REREAD_MS = 10_000;
const RESERVED_MS = 10_000;

/** Watches and changes the machine's addresses. */
export type Interfaces = PairAddresses & {
  /** The newest reading. */
  read(): Promise<InterfaceReading>;
};

export type InterfacesOptions = {
  clock: Clock;
  log: Log;
  /** Told of every reading: after each change that the kernel announces or a look each second shows, and every ten seconds. */
  onReading: (reading: InterfaceReading) => void;
  /** Ends the watch. */
  signal: AbortSignal;
};

/** Starts to watch at once; a failed reading is logged and tried again. */
export const watchInterfaces = ({ clock, log, onReading, signal }: InterfacesOptions): Interfaces => {
  // A change waits for no reading; instead a reading that a change overtook is made again, so that none shows what was
  // true before a change of ours. Changes that come while others are under way go together in the next `ip`.
  let last: Promise<void> = Promise.resolve();
  let changes = 0;
  const waiting: Change[] = [];
  const change = (command: Pick<Change, 'words' | 'isDone'>): Promise<void> => {
    changes += 1;
    const answer = Promise.withResolvers<void>();
    waiting.push({ ...command, answer });
    last = last.then(() => carryOut(waiting.splice(0)));
    return answer.promise;
  };
  const reserved = createReservedReader(clock);
  const why = whyNoChangesHere();
  if (why !== null) log.error({ err: why }, 'addresses cannot be changed');
  const read = async (): Promise<InterfaceReading> => {
    for (;;) {
      const awaited = last;
      await awaited;
      if (awaited !== last) continue;
      const before = changes;
      const [interfaces, addresses] = await Promise.all([readInterfaces(), reserved()]);
      if (changes === before)
        return { interfaces, reserved: addresses, ...(why !== null && { denied: why }) };
    }
  };

  const bell = doorbell(signal, log, clock);
  const run = async (): Promise<void> => {
    let readAtMs = Number.NEGATIVE_INFINITY;
    let seen = '';
    for (let announced = true; !signal.aborted; ) {
      bell.reset();
      // One system call instead of a process, which would cost an idle agent more than its adverts.
      const look = JSON.stringify(networkInterfaces());
      if (announced || look !== seen || clock.now() - readAtMs >= FULL_REREAD_MS) {
        try {
          onReading(await read());
          [seen, readAtMs] = [look, clock.now()];
        } catch (error) {
          log.warn({ err: messageOf(error) }, 'interfaces could not be read');
          seen = '';
        }
      }
      const rung = bell.rung().then(() => true);
      announced = await Promise.race([rung, sleep(clock, REREAD_MS, signal).then(() => false)]);
    }
  };
  void run();

  return {
    read,
    add: (name, address) => change(adding(name, address)),
    remove: (name, address) => change(removing(name, address)),
  };
};

/** Gateways and name servers hardly ever change: read again only so often. */
const createReservedReader = (clock: Clock): (() => Promise<string[]>) => {
  let newest: string[] | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (newest !== undefined && clock.now() - readAtMs < RESERVED_MS) return newest;
    readAtMs = clock.now();
    newest = await readReserved();
    return newest;
  };
};

/** One change of an interface that `ip` is to make. */
type Change = {
  /** What follows `ip`. */
  words: readonly string[];
  /** `ip` refused: whether the interface is as wanted all the same. */
  isDone: () => Promise<boolean>;
  answer: PromiseWithResolvers<void>;
};

/**
 * Puts a VIP on an interface. A /32 of scope host is never chosen as the source of the node's own connections, whatever the
 * order of addresses and routes: the kernel skips it for every destination beyond the node (`inet_select_addr`). With scope
 * link or global it would become the source on routes that name none, such as one to IMDS.
 */
const adding = (name: string, address: string): Pick<Change, 'words' | 'isDone'> => ({
  words: ['address', 'add', `${address}/32`, 'dev', name, 'scope', 'host'],
  isDone: () => hasAddress(name, address),
});

/** Takes a VIP that we put there off an interface; the same address with another prefix length is not ours. */
const removing = (name: string, address: string): Pick<Change, 'words' | 'isDone'> => ({
  words: ['address', 'del', `${address}/32`, 'dev', name],
  isDone: async () => !(await hasAddress(name, address)),
});

/**
 * Makes the changes, in one process if that goes well: with a process for each, the last of fifty pairs that fail over together
 * would wait for seconds. If not, each is made by itself, so that each hears of its own trouble.
 */
const carryOut = async (changes: readonly Change[]): Promise<void> => {
  if (changes.length > 1 && (await areMadeTogether(changes))) {
    for (const { answer } of changes) answer.resolve();
    return;
  }
  for (const { words, isDone, answer } of changes) {
    try {
      await ip(words);
      answer.resolve();
    } catch (error) {
      const done = await isDone().catch(() => false);
      if (done) answer.resolve();
      else answer.reject(error);
    }
  }
};

const areMadeTogether = (changes: readonly Change[]): Promise<boolean> =>
  ip(['-batch', '-'], changes.map(({ words }) => `${words.join(' ')}\n`).join('')).then(
    () => true,
    () => false,
  );

const hasAddress = async (name: string, address: string): Promise<boolean> => {
  const interfaces = await readInterfaces();
  const found = interfaces.find((entry) => entry.name === name);
  return found?.addresses.some((entry) => entry.address === address) ?? false;
};

/** The fields of `ip -j address` and `ip -j route` that matter. */
type IPLink = {
  ifname: string;
  flags: string[];
  addr_info: { family?: string; local?: string; prefixlen?: number }[];
};
type IPRoute = { gateway?: string };

/** @throws Error when `ip` fails or does not answer in time */
const readInterfaces = async (): Promise<NodeInterface[]> =>
  parse<IPLink>(await ip(['-j', 'address', 'show'])).map(toInterface);

/** Default gateways and name servers. @throws Error as `readInterfaces` does */
const readReserved = async (): Promise<string[]> => {
  const [routes, resolver] = await Promise.all([
    ip(['-j', '-4', 'route', 'show', 'default']),
    readFile('/etc/resolv.conf', 'utf8').catch(() => ''),
  ]);
  const gateways = parse<IPRoute>(routes).flatMap(({ gateway }) => gateway ?? []);
  const nameServers = [...resolver.matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)/gm)].map(
    ([, server = '']) => server,
  );
  return [...new Set([...gateways, ...nameServers])];
};

const toInterface = ({ ifname, flags, addr_info }: IPLink): NodeInterface => ({
  name: ifname,
  up: flags.includes('UP') && flags.includes('LOWER_UP'),
  addresses: addr_info.flatMap(({ family, local, prefixlen }) =>
    family === 'inet' && local !== undefined && prefixlen !== undefined
      ? [{ address: local, prefixLength: prefixlen }]
      : [],
  ),
});

const parse = <T>(text: string): T[] => (text.trim() === '' ? [] : JSON.parse(text));

/** Runs `ip`. @throws Error with what was attempted and what `ip` says */
const ip = (args: readonly string[], input = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { timeout: DEADLINE_MS, killSignal: 'SIGKILL' as const, maxBuffer: OUTPUT_BYTES };
    const child = execFile('ip', args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const why =
        error.killed === true ? `no answer within ${DEADLINE_MS} ms` : stderr.trim() || error.message;
      reject(new Error(`ip ${args.join(' ')}: ${why}`, { cause: error }));
    });
    // An `ip` that ended before it had read everything says so by its exit code.
    child.stdin?.on('error', () => undefined).end(input);
  });

/** Rings whenever the kernel announces a change of an address or a link. What changed is read, not taken from the words. */
const doorbell = (signal: AbortSignal, log: Log, clock: Clock) => {
  let bell = Promise.withResolvers<void>();

  const listen = (): void => {
    if (signal.aborted) return;
    const monitor = spawn('ip', ['-o', 'monitor', 'address', 'link'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const stop = () => monitor.kill('SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    monitor.stdout.on('data', () => bell.resolve());
    monitor.on('error', (error) => log.warn({ err: error.message }, 'ip monitor failed'));
    monitor.on('close', () => {
      signal.removeEventListener('abort', stop);
      clock.setTimer(REREAD_MS, listen);
    });
  };
  listen();
  return {
    reset() {
      bell = Promise.withResolvers<void>();
    },
    rung: () => bell.promise,
  };
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
