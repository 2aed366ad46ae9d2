/**
 * Looks host names up, each lookup with a deadline. Node's own `lookup` asks getaddrinfo(3) in libuv's threads, where no more
 * than two may be under way: a resolver that is away holds both for many seconds, whoever needs another name waits for them, and
 * so does the end of the program. Here nothing waits in those threads: what needs no lookup gets none, c-ares asks the name
 * servers by sockets, and what the machine knows from elsewhere (nsswitch.conf(5): search domains, mDNS, a directory) is asked
 * for by getent(1), a process that can be ended.
 */
import { Resolver } from 'node:dns/promises';
import { isIP, isIPv6, type LookupFunction } from 'node:net';
import { text } from 'node:stream/consumers';
import { killGroup, type StartProcess, startProcess } from './child.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { createFileCache } from './file-cache.ts';

/** The addresses of a host, those of IPv4 first; never none. @throws Error when it has none, or nobody knows in time */
export type Resolve = (host: string) => Promise<readonly string[]>;

export type ResolverOptions = {
  clock?: Clock;
  /** Default /etc/hosts; read again when it has changed. */
  hostsFile?: string;
  /** Default {@link askNameServers}. */
  nameServers?: Resolve;
  /** Default {@link createSystemLookup}. */
  system?: Resolve;
};

/** Without an answer for so long, the one before is given where there is one (as RFC 8767 has it of resolvers). */
const PATIENCE_MS = 300;
/** What name servers are waited for in all. */
const NAME_SERVERS_MS = 4_000;
/** For one of them; longer the second time. */
const NAME_SERVER_MS = 1_000;
const TRIES = 2;
/** For everything else that the machine knows names by, the wait for one's turn included. */
const SYSTEM_MS = 4_000;

/** Of names whose last addresses are remembered; beyond, the one that was looked up longest ago is forgotten. */
const MOST_KNOWN = 1_000;

/** What a name server says of a name that has no address; it has the last word on an answer of before. */
const isDenial = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOTFOUND' || error.code === 'ENODATA');

/**
 * An address stands for itself, `localhost` for the loopback addresses (RFC 6761 section 6.3), then /etc/hosts is asked, then
 * name servers, then the system. Whoever asks for a name that is being looked up waits for the same answer, so that there are
 * never more lookups than names. While nobody answers, a name keeps its last addresses.
 */
export const createResolver = ({
  clock = systemClock,
  hostsFile = '/etc/hosts',
  nameServers = askNameServers,
  system = createSystemLookup(),
}: ResolverOptions = {}): Resolve => {
  const hosts = createHosts(hostsFile);
  const pending = new Map<string, Promise<readonly string[]>>();
  const known = new Map<string, readonly string[]>();

  const find = async (name: string): Promise<readonly string[]> => {
    try {
      return await nameServers(name);
    } catch (error) {
      return await system(name).catch(() => {
        throw error;
      });
    }
  };
  const look = async (name: string): Promise<readonly string[]> => {
    try {
      const found = inOrder(await find(name));
      known.delete(name);
      known.set(name, found);
      for (const oldest of known.keys()) {
        if (known.size <= MOST_KNOWN) break;
        known.delete(oldest);
      }
      return found;
    } catch (error) {
      if (isDenial(error)) known.delete(name);
      throw error;
    } finally {
      pending.delete(name);
    }
  };
  const inPatience = async (
    answer: Promise<readonly string[]>,
    before: readonly string[],
  ): Promise<readonly string[]> => {
    const answered = new AbortController();
    try {
      return await Promise.race([answer, sleep(clock, PATIENCE_MS, answered.signal).then(() => before)]);
    } catch (error) {
      if (isDenial(error)) throw error;
      return before;
    } finally {
      answered.abort();
    }
  };

  return async (host) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (isIP(name) !== 0) return [name];
    if (name === 'localhost' || name.endsWith('.localhost')) return ['127.0.0.1', '::1'];
    const listed = hosts(name);
    if (listed.length > 0) return listed;
    const answer = pending.get(name) ?? look(name);
    pending.set(name, answer);
    const before = known.get(name);
    return before === undefined ? answer : inPatience(answer, before);
  };
};

/** For sockets: as Node's own `lookup` answers. */
export const lookupBy =
  (resolve: Resolve): LookupFunction =>
  (host, { family, all }, done) => {
    const end = (addresses: readonly string[]): void => {
      const found = addresses.map((address) => ({ address, family: isIP(address) }));
      const wanted = found.filter((one) => !family || family === one.family || family === `IPv${one.family}`);
      const [first] = wanted;
      if (first === undefined) done(failure(host, 'ENOTFOUND'), '', 0);
      else if (all === true) done(null, wanted);
      else done(null, first.address, first.family);
    };
    resolve(host).then(end, (error: NodeJS.ErrnoException) => done(error, '', 0));
  };

/** Of hosts(5): by name in lower case. */
const createHosts = (path: string): ((name: string) => readonly string[]) => {
  const read = createFileCache(path);
  let version = '';
  let table = new Map<string, readonly string[]>();
  return (name) => {
    try {
      const file = read();
      if (file.version !== version) table = tableOf(file.content.toString('utf8'));
      version = file.version;
    } catch {
      // There is none, or it is being written; what was in it last is good.
    }
    return table.get(name) ?? [];
  };
};

const tableOf = (hosts: string): Map<string, readonly string[]> => {
  const table = new Map<string, readonly string[]>();
  for (const line of hosts.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names.map((one) => one.toLowerCase().replace(/\.$/, '')))
      table.set(name, inOrder([...(table.get(name) ?? []), address]));
  }
  return table;
};

const inOrder = (addresses: readonly string[]): readonly string[] =>
  [...addresses].sort((a, b) => Number(isIPv6(a)) - Number(isIPv6(b)));

/** The codes are those of `dns`; names are in lower case and may be anything. */
const failure = (name: string, code: string): Error =>
  Object.assign(new Error(`the name ${name} could not be looked up: ${code}`), { code });

/**
 * Asks the name servers of /etc/resolv.conf, as it is now, by c-ares.
 * @param servers default: those of /etc/resolv.conf
 * @throws Error with the code of `dns`: ENOTFOUND, ENODATA, ETIMEOUT, ECANCELLED …
 */
export const askNameServers = async (
  name: string,
  servers?: readonly string[],
  deadlineMs = NAME_SERVERS_MS,
): Promise<readonly string[]> => {
  // One for each lookup: it has read the file afresh, and ends without the others.
  const resolver = new Resolver({ timeout: NAME_SERVER_MS, tries: TRIES });
  if (servers !== undefined) resolver.setServers(servers);
  const timer = setTimeout(() => resolver.cancel(), deadlineMs);
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  clearTimeout(timer);
  const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (addresses.length > 0) return addresses;
  const codes = answers.map((answer) => (answer.status === 'rejected' ? answer.reason.code : 'ENODATA'));
  // One that says nothing of IPv6 has still said all of IPv4, but only both together deny a name.
  throw failure(name, codes.find((code) => code !== 'ENODATA' && code !== 'ENOTFOUND') ?? codes[0]);
};

/**
 * Asks for what the machine knows from elsewhere, one name at a time.
 * @param start default: with this program's privileges
 */
export const createSystemLookup = (
  start: StartProcess = startProcess,
  deadlineMs = SYSTEM_MS,
  program = 'getent',
): Resolve => {
  let turn: Promise<unknown> = Promise.resolve();
  return (name) => {
    const late = AbortSignal.timeout(deadlineMs);
    const answer = turn.then(() => ask(start, program, name, late));
    turn = answer.catch(() => undefined);
    return answer;
  };
};

/** `ADDRESS STREAM NAME`, a line for each address and kind of socket. */
const STREAM = /^(\S+)\s+STREAM\b/gm;

const ask = async (
  start: StartProcess,
  program: string,
  name: string,
  late: AbortSignal,
): Promise<readonly string[]> => {
  if (late.aborted) throw failure(name, 'ETIMEOUT');
  const child = start(program, ['ahosts', '--', name], { stdio: ['ignore', 'pipe', 'ignore'] });
  const end = (): void => {
    if (child.pid !== undefined) killGroup(child.pid);
    child.stdout?.destroy();
  };
  late.addEventListener('abort', end, { once: true });
  try {
    const said = await Promise.all([
      child.stdout === null ? '' : text(child.stdout),
      new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject)),
    ]);
    const addresses = [...said[0].matchAll(STREAM)].map(([, address = '']) => address);
    const found = addresses.filter((address) => isIP(address) !== 0);
    if (found.length === 0) throw failure(name, 'ENOTFOUND');
    return found;
  } catch (error) {
    throw late.aborted ? failure(name, 'ETIMEOUT') : error;
  } finally {
    late.removeEventListener('abort', end);
  }
};
