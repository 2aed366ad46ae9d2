/** The machine's addresses, read and changed by `ip` (iproute2). */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import type { InterfaceReading, NodeInterface, PairAddresses } from '../ports.ts';
import { whyNoChangesHere } from '../sys/capabilities.ts';
import { forkUnpreempted } from '../sys/libc.ts';

/** An `ip` that takes longer hangs. */
const DEADLINE_MS = 2_000;
const OUTPUT_BYTES = 4 * 1024 * 1024;
/** Glanced at so often even if nothing is announced. */
const GLANCE_MS = 1_000;
/** Read again so often whatever a glance says. */
const REREAD_MS = 10_000;
const RESERVED_MS = 10_000;

/** Watches and changes the machine's addresses. */
export type Interfaces = PairAddresses & {
  /** The newest reading. */
  read(): Promise<InterfaceReading>;
};

export type InterfacesOptions = {
  clock: Clock;
  log: Log;
  /** Told of every reading: after each change the kernel announces or a glance each second shows, and every ten seconds. */
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
    last = last.then(async () => {
      const batch = waiting.splice(0);
      // Whatever happens, each hears of its own change, and the next batch has its turn.
      await carryOut(batch).catch((error: unknown) => {
        for (const { answer } of batch) answer.reject(error);
      });
    });
    return answer.promise;
  };
  const reserved = createReservedReader(clock);
  const why = whyNoChangesHere();
  if (why !== null) log.error({ reason: 'InterfaceChangeDenied', err: why }, 'addresses cannot be changed');
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
  /** Waits until there may be news. @param seen the glance before the last reading; null: that one failed */
  const news = async (seen: string | null): Promise<void> => {
    const rereadAtMs = clock.now() + REREAD_MS;
    do {
      const rung = await Promise.race([bell.rung(), sleep(clock, GLANCE_MS, signal)]);
      if (rung === true || signal.aborted) return;
    } while (seen !== null && glance() === seen && clock.now() < rereadAtMs);
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      bell.reset();
      let seen = glance();
      try {
        onReading(await read());
      } catch (error) {
        seen = null;
        log.warn({ reason: 'InterfacesUnreadable', err: messageOf(error) }, 'interfaces could not be read');
      }
      await news(seen);
    }
  };
  void run();

  return {
    read,
    add: (name, address) => change(adding(name, address)),
    remove: (name, address) => change(removing(name, address)),
  };
};

/**
 * What Node itself sees of the interfaces; null: nothing. It leaves out those that are down, so it only says when to read: an
 * `ip` each second would cost more processor time than all the rest of an agent.
 */
const glance = (): string | null => {
  try {
    return JSON.stringify(networkInterfaces());
  } catch {
    return null; // so the next reading is not left out, and says what is wrong
  }
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
  isDone: (interfaces: readonly NodeInterface[]) => boolean;
  answer: PromiseWithResolvers<void>;
};

/**
 * Puts a VIP on an interface. A /32 of scope host is never chosen as the source of the node's own connections, whatever the
 * order of addresses and routes: the kernel skips it for every destination beyond the node (`inet_select_addr`). With scope
 * link or global it would become the source on routes that name none, such as one to IMDS. Nobody else puts an address up in
 * this form, so it also tells a leftover of ours (`rules/vip.ts`).
 */
const adding = (name: string, address: string): Pick<Change, 'words' | 'isDone'> => ({
  words: ['address', 'add', `${address}/32`, 'dev', name, 'scope', 'host'],
  isDone: (interfaces) => lengthsOf(interfaces, name, address).length > 0,
});

/** Takes a VIP that we put there off an interface; the same address with another prefix length is not ours. */
const removing = (name: string, address: string): Pick<Change, 'words' | 'isDone'> => ({
  words: ['address', 'del', `${address}/32`, 'dev', name],
  isDone: (interfaces) => !lengthsOf(interfaces, name, address).includes(32),
});

/** The prefix lengths with which an interface carries an address. */
const lengthsOf = (interfaces: readonly NodeInterface[], name: string, address: string): number[] =>
  interfaces
    .filter((entry) => entry.name === name)
    .flatMap(({ addresses }) => addresses.filter((entry) => entry.address === address))
    .map(({ prefixLength }) => prefixLength);

/**
 * Makes the changes in one process: with a process for each, the last of fifty pairs that fail over together, or whose
 * interface has vanished, would wait for seconds. Each hears of its own trouble.
 */
const carryOut = async (changes: readonly Change[]): Promise<void> => {
  if (changes.length === 0) return;
  const refused = await refusals(changes);
  const interfaces = refused.size === 0 ? [] : await readInterfaces().catch(() => null);
  for (const [index, { words, isDone, answer }] of changes.entries()) {
    const why = refused.get(index);
    if (why === undefined || (interfaces !== null && isDone(interfaces))) answer.resolve();
    else answer.reject(new Error(`ip ${words.join(' ')}: ${why}`));
  }
};

/** Lets one `ip` make the changes, on beyond those it refuses. Why it refused which, by their index. */
const refusals = async (changes: readonly Change[]): Promise<ReadonlyMap<number, string>> => {
  const lines = changes.map(({ words }) => `${words.join(' ')}\n`).join('');
  const { stderr, fault, killed } = await runIP(['-force', '-batch', '-'], lines);
  const refused = new Map<number, string>();
  let said: string[] = [];
  for (const line of stderr.split('\n')) {
    const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
    if (number === undefined) said.push(line.trim());
    else {
      refused.set(Number(number) - 1, said.join(' ').trim());
      said = [];
    }
  }
  // Of an `ip` that did not come to its end, or said nothing of a line, every other line is in doubt.
  if (fault !== null && (killed || refused.size === 0))
    for (const index of changes.keys()) if (!refused.has(index)) refused.set(index, fault);
  return refused;
};

/** The fields of `ip -j address` and `ip -j route` that matter. */
type IPLink = {
  ifname: string;
  flags: string[];
  addr_info: { family?: string; local?: string; prefixlen?: number; scope?: string }[];
};
type IPRoute = { gateway?: string; nexthops?: { gateway?: string }[] };

/** Where name servers are written; with systemd-resolved the first file names its stub alone. */
const RESOLVER_FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

/** @throws Error when `ip` fails or does not answer in time */
const readInterfaces = async (): Promise<NodeInterface[]> =>
  parse<IPLink>(await ip(['-j', 'address', 'show'])).map(toInterface);

/** Default gateways, those in tables of their own too, and name servers. @throws Error as `readInterfaces` does */
const readReserved = async (): Promise<string[]> => {
  const [routes, ...resolvers] = await Promise.all([
    ip(['-j', '-4', 'route', 'show', 'table', 'all', 'default']),
    ...RESOLVER_FILES.map((path) => readFile(path, 'utf8').catch(() => '')),
  ]);
  const gateways = parse<IPRoute>(routes)
    .flatMap(({ gateway, nexthops = [] }) => [gateway, ...nexthops.map((hop) => hop.gateway)])
    .filter((gateway) => gateway !== undefined);
  const nameServers = [...resolvers.join('\n').matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)/gm)].map(
    ([, server = '']) => server,
  );
  return [...new Set([...gateways, ...nameServers])];
};

const toInterface = ({ ifname, flags, addr_info }: IPLink): NodeInterface => ({
  name: ifname,
  up: flags.includes('UP') && flags.includes('LOWER_UP'),
  addresses: addr_info.flatMap(({ family, local, prefixlen, scope }) =>
    family === 'inet' && local !== undefined && prefixlen !== undefined
      ? [{ address: local, prefixLength: prefixlen, ...(scope !== undefined && { scope }) }]
      : [],
  ),
});

const parse = <T>(text: string): T[] => (text.trim() === '' ? [] : JSON.parse(text));

/** Runs `ip`. @throws Error with what was attempted and what `ip` says */
const ip = async (args: readonly string[]): Promise<string> => {
  const { stdout, fault } = await runIP(args);
  if (fault !== null) throw new Error(`ip ${args.join(' ')}: ${fault}`);
  return stdout;
};

/** How an `ip` ended; `fault`: what it says is wrong, null when all went well; `killed`: it did not answer in time. */
type IPResult = { stdout: string; stderr: string; fault: string | null; killed: boolean };

/** Node throws at once for some errors of fork and exec, such as ENOMEM and E2BIG, and tells of the others later: here all are alike. */
const runIP = (args: readonly string[], input = ''): Promise<IPResult> =>
  new Promise((resolve) => {
    const options = { timeout: DEADLINE_MS, killSignal: 'SIGKILL' as const, maxBuffer: OUTPUT_BYTES };
    try {
      const child = forkUnpreempted(() =>
        execFile('ip', args, options, (error, stdout, stderr) => {
          const killed = error?.killed === true;
          const why = killed ? `no answer within ${DEADLINE_MS} ms` : stderr.trim() || error?.message;
          resolve({ stdout, stderr, fault: error === null ? null : (why ?? 'failed'), killed });
        }),
      );
      // An `ip` that ended before it had read everything says so by its exit code.
      child.stdin?.on('error', () => undefined).end(input);
    } catch (error) {
      resolve({ stdout: '', stderr: '', fault: messageOf(error), killed: false });
    }
  });

/** Rings whenever the kernel announces a change of an address or a link. What changed is read, not taken from the words. */
const doorbell = (signal: AbortSignal, log: Log, clock: Clock) => {
  let bell = Promise.withResolvers<true>();
  const sayFailed = (error: unknown): void =>
    log.warn({ reason: 'InterfaceMonitorFailed', err: messageOf(error) }, 'ip monitor failed');

  const listen = (): void => {
    if (signal.aborted) return;
    try {
      const monitor: ChildProcess = forkUnpreempted(() =>
        spawn('ip', ['-o', 'monitor', 'address', 'link'], { stdio: ['ignore', 'pipe', 'ignore'] }),
      );
      const stop = () => monitor.kill('SIGKILL');
      signal.addEventListener('abort', stop, { once: true });
      monitor.on('error', sayFailed);
      monitor.on('close', () => {
        signal.removeEventListener('abort', stop);
        clock.setTimer(GLANCE_MS, listen);
      });
      // None without a descriptor left for it (EMFILE).
      monitor.stdout?.on('data', () => bell.resolve(true));
    } catch (error) {
      sayFailed(error);
      clock.setTimer(GLANCE_MS, listen);
    }
  };
  listen();
  return {
    reset() {
      bell = Promise.withResolvers<true>();
    },
    rung: () => bell.promise,
  };
};
