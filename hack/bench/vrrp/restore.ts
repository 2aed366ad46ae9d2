/** Takes the VIP off the Master's interface, as a DHCP client might, and waits for it to come back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../../lab/fabric.ts';
import { eventually } from '../common/wait.ts';
import { timingOf } from './contender.ts';
import { type AddressChange, type Removal, readAddressChange } from './measure.ts';
import { type BenchPair, endPair, type Harness, startPair } from './pair.ts';
import { type Program, startProgram } from './program.ts';

/** By then the tap has told what it saw. */
const TAP_MS = 250;
const DAY_MS = 24 * 60 * 60_000;
/** Between a restoration and the next removal, so that it comes at any phase of what a program does each second. */
const PAUSE_MS = { least: 300, random: 1000 } as const;

/** A pair, and the monitor in its Master's namespace. */
type Watched = { pair: BenchPair; changes: AddressChange[]; monitor: Program };

/**
 * @param removals of each pair
 * @param windowMs an address that is not back by then never comes
 */
export const runRestorations = async (
  harness: Harness,
  { removals, pairsEach, windowMs }: { removals: number; pairsEach: number; windowMs: number },
): Promise<Removal[]> => {
  const watched = await Promise.all(
    harness.sites.slice(0, pairsEach * harness.contenders.length).flatMap((site, index) => {
      const contender = harness.contenders[index % harness.contenders.length];
      const terms = { timing: timingOf('v3 1 s'), priorities: [200, 100], keepsVIP: true } as const;
      return contender === undefined ? [] : [startPair(harness, contender, site, terms).then(watch)];
    }),
  );
  try {
    const found = await Promise.all(
      watched.map(async (each) => {
        const own: Removal[] = [];
        for (let count = 0; count < removals; count += 1) {
          await sleep(PAUSE_MS.least + Math.random() * PAUSE_MS.random);
          const { contender, site } = each.pair;
          harness.capture.forget(site);
          const backAfterMs = await removeOnce(each, windowMs);
          await sleep(TAP_MS);
          const hasResigned = harness.capture.adverts(site).some(({ priority }) => priority === 0);
          own.push({ program: contender.name, backAfterMs, hasResigned });
        }
        return own;
      }),
    );
    return found.flat();
  } finally {
    for (const { monitor } of watched) monitor.kill('SIGKILL');
    await Promise.all(watched.map(({ pair }) => endPair(pair)));
  }
};

const watch = async (pair: BenchPair): Promise<Watched> => {
  const { namespace } = pair.site.ends[0];
  const { vip } = pair.site;
  const hasVIP = async (): Promise<true | undefined> =>
    (await ip(['address show dev eth0'], namespace)).includes(`${vip}/32`) || undefined;
  await eventually(`${namespace} should have ${vip}`, hasVIP);
  const changes: AddressChange[] = [];
  const monitor = startProgram({
    name: `monitor of ${namespace}`,
    namespace,
    argv: ['ip', '-ts', '-o', 'monitor', 'address'],
    onLine: (line) => {
      const change = readAddressChange(line);
      if (change?.address === vip) changes.push(change);
    },
  });
  return { pair, changes, monitor };
};

const removeOnce = async ({ pair, changes }: Watched, windowMs: number): Promise<number | null> => {
  const { site } = pair;
  const { namespace } = site.ends[0];
  changes.length = 0;
  const came = (): AddressChange | undefined => changes.find(({ isDeleted }) => !isDeleted);
  await ip([`address del ${site.vip}/32 dev eth0`], namespace);
  const gone = await eventually('The monitor should tell of the removal', () =>
    changes.find(({ isDeleted }) => isDeleted),
  );
  const back = await eventually('back', came, windowMs).catch(() => undefined);
  if (back !== undefined) return (back.atMs - gone.atMs + DAY_MS) % DAY_MS;
  await ip([`address add ${site.vip}/32 dev eth0`], namespace);
  await eventually('The monitor should tell of the address', came);
  return null;
};
