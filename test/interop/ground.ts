/**
 * Where two ends meet: namespaces a, b and c (a third host) behind one bridge, as many such grounds side by side as are
 * asked for. Runs as the root of a world of its own. A cut takes a port off the bridge: no end loses its carrier by it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SeenAdvert } from '../../hack/lab/adverts.ts';

/** An end of a pair; a has the lower address. */
export type Place = 'a' | 'b';
/** A place to run something in: an end, or the third host. */
export type HostName = Place | 'c';

const HOSTS: readonly HostName[] = ['a', 'b', 'c'];
const LAST_OCTET: Record<HostName, number> = { a: 11, b: 12, c: 66 };
/** A tmpfs of the world. */
const RUN = '/run';

export const otherPlace = (place: Place): Place => (place === 'a' ? 'b' : 'a');

/** One pair's network. */
export type Ground = {
  /** The command that runs `argv` on a host. */
  enter(host: HostName, argv: readonly string[]): string[];
  address(host: HostName): string;
  vip: string;
  /** A folder of one end, on a tmpfs. */
  dirOf(place: Place): string;
  /** Both ways between a and b. */
  cut(): void;
  heal(): void;
  /** What this ground's hosts have sent so far, as the bridge saw it; a forger's packets count as of whom they name. */
  adverts(host: HostName): SeenAdvert[];
};

const ip = (commands: readonly string[]): void => {
  execFileSync('ip', ['-batch', '-'], {
    input: commands.join('\n'),
    stdio: ['pipe', 'inherit', 'inherit'],
  });
};

/**
 * Builds the grounds and listens to all of them.
 * @throws Error when a command fails or the tap does not start.
 */
export async function buildGrounds(count: number): Promise<Ground[]> {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', RUN]);
  const indexes = [...Array(count).keys()];
  for (const index of indexes) build(index);
  const adverts = await listen();
  return indexes.map((index) => groundOf(index, adverts));
}

const addressOf = (index: number, host: HostName): string => `10.77.${index}.${LAST_OCTET[host]}`;
const macOf = (index: number, host: HostName): string =>
  `02:00:00:00:${index.toString(16).padStart(2, '0')}:${LAST_OCTET[host]}`;

function build(index: number): void {
  ip([
    // Promiscuous, a bridge hands its own machine a copy of every frame: that is what the tap hears.
    `link add switch${index} type bridge`,
    `link set switch${index} up promisc on`,
    ...HOSTS.flatMap((host) => [
      `netns add ${host}${index}`,
      `link add port-${host}${index} type veth peer name eth0 address ${macOf(index, host)} netns ${host}${index}`,
      `link set port-${host}${index} master switch${index} up`,
    ]),
  ]);
  for (const host of HOSTS) buildHost(index, host);
}

function buildHost(index: number, host: HostName): void {
  const others = HOSTS.filter((other) => other !== host);
  const commands = [
    'link set lo up',
    `addr add ${addressOf(index, host)}/24 dev eth0`,
    'link set eth0 up',
    // Across a cut nobody would answer ARP, and an advert that was never sent would tell nothing.
    ...others.map(
      (other) =>
        `neigh replace ${addressOf(index, other)} lladdr ${macOf(index, other)} dev eth0 nud permanent`,
    ),
  ];
  execFileSync('ip', ['-n', `${host}${index}`, '-batch', '-'], {
    input: commands.join('\n'),
    stdio: ['pipe', 'inherit', 'inherit'],
  });
}

async function listen(): Promise<readonly SeenAdvert[]> {
  const adverts: SeenAdvert[] = [];
  const program = join(import.meta.dirname, '..', '..', 'hack', 'lab', 'adverts.ts');
  const tap = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: tap.stdout });
  const ready = once(lines, 'line');
  const ended = once(tap, 'exit').then(() => {
    throw new Error('The tap on the bridges ended.');
  });
  // While rows run, an end of the tap shows as adverts that are missing.
  ended.catch(() => undefined);
  await Promise.race([ready, ended]);
  lines.on('line', (line) => adverts.push(JSON.parse(line)));
  return adverts;
}

function groundOf(index: number, adverts: readonly SeenAdvert[]): Ground {
  const port = `port-b${index}`;
  return {
    enter: (host, argv) => ['ip', 'netns', 'exec', `${host}${index}`, ...argv],
    address: (host) => addressOf(index, host),
    vip: `10.77.${index}.100`,
    dirOf: (place) => {
      const dir = join(RUN, `${place}${index}`);
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      return dir;
    },
    cut: () => ip([`link set ${port} nomaster`]),
    heal: () => ip([`link set ${port} master switch${index}`]),
    adverts: (host) => {
      const source = addressOf(index, host);
      return adverts.filter((advert) => advert.source === source);
    },
  };
}
