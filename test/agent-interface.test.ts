/**
 * VIPs on a real interface, with the real `ip`, in network namespaces of their own and without root: this file runs itself
 * again in a new world, which ends with it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import { watchInterfaces } from '../agent/interface.ts';
import type { InterfaceReading } from '../agent/pair-types.ts';
import { createBackup, VIP } from '../agent/testing/pair-bench.ts';
import { systemClock } from '../kube/clock.ts';

const INSIDE = 'HAPAIR_TEST_INTERFACE';
const WORLD_ARGUMENTS = '--map-root-user --user --net --mount --pid --fork --kill-child'.split(' ');
const OWN = '10.10.10.11';
const DEADLINE_MS = 5_000;

const ip = (command: string): string => execFileSync('ip', command.split(' '), { encoding: 'utf8' });

/** A node with a gateway, and a route that names no source address, as DHCP clients write one for IMDS. */
const buildNode = (): void => {
  ip('link set lo up');
  ip('link add eth0 type veth peer name fabric');
  ip('link set fabric up');
  ip(`address add ${OWN}/24 dev eth0`);
  ip('link set eth0 up');
  addRoutes();
};
const addRoutes = (): void => {
  ip('route replace default via 10.10.10.1');
  ip('route replace 169.254.169.254 dev eth0');
};
const addresses = (): string[] =>
  [...ip('-o -4 address show dev eth0').matchAll(/inet (\S+)/g)].map(([, address = '']) => address).sort();
const sourceTo = (destination: string): string | undefined =>
  / src (\S+)/.exec(ip(`route get ${destination}`))?.[1];

/** Watches the namespace's interfaces for the length of a test. */
const watching = async (act: (watched: Watched) => Promise<void>): Promise<void> => {
  const ending = new AbortController();
  let newest: InterfaceReading | undefined;
  let changed = Promise.withResolvers<void>();
  const faults: string[] = [];
  const note = (fields: object, message: string) => faults.push(`${message} ${JSON.stringify(fields)}`);
  const listeners: ((reading: InterfaceReading) => void)[] = [];
  const interfaces = watchInterfaces({
    clock: systemClock,
    log: { info: note, warn: note, error: note },
    signal: ending.signal,
    onReading(reading) {
      newest = reading;
      for (const listener of listeners) listener(reading);
      changed.resolve();
      changed = Promise.withResolvers();
    },
  });
  const until = async (what: string, condition: (reading: InterfaceReading) => boolean): Promise<void> => {
    const deadline = Promise.withResolvers<void>();
    const cancel = systemClock.setTimer(DEADLINE_MS, () => deadline.reject(new Error(`not seen: ${what}`)));
    try {
      while (newest === undefined || !condition(newest))
        await Promise.race([changed.promise, deadline.promise]);
    } finally {
      cancel();
      deadline.promise.catch(() => {});
    }
  };
  try {
    await act({ interfaces, until, onReading: (listener) => listeners.push(listener) });
    assert.equal(faults, []);
  } finally {
    ending.abort();
  }
};
type Watched = {
  interfaces: ReturnType<typeof watchInterfaces>;
  until: (what: string, condition: (reading: InterfaceReading) => boolean) => Promise<void>;
  onReading: (listener: (reading: InterfaceReading) => void) => void;
};

const eth0 = (reading: InterfaceReading) => reading.interfaces.find(({ name }) => name === 'eth0');
const has = (address: string) => (reading: InterfaceReading) =>
  eth0(reading)?.addresses.some((entry) => entry.address === address) ?? false;

const inside = suite('a VIP on the interface');

inside.before(buildNode);
inside.after.each(() => {
  spawnSync('ip', ['address', 'del', `${VIP}/32`, 'dev', 'eth0']);
});

inside('it goes up as /32 and comes off again; both may be said twice', () =>
  watching(async ({ interfaces }) => {
    await interfaces.add('eth0', VIP);
    await interfaces.add('eth0', VIP);
    assert.equal(addresses(), [`${VIP}/32`, `${OWN}/24`]);
    await interfaces.remove('eth0', VIP);
    await interfaces.remove('eth0', VIP);
    assert.equal(addresses(), [`${OWN}/24`]);
  }),
);

inside(
  'it is never the source of the node’s own connections, whatever the order of addresses and routes',
  () =>
    watching(async ({ interfaces }) => {
      await interfaces.add('eth0', VIP);
      const destinations = ['10.10.10.12', '198.51.100.1', '169.254.169.254'];
      assert.equal(destinations.map(sourceTo), [OWN, OWN, OWN]);
      // A DHCP client that renews its lease anew.
      ip(`address del ${OWN}/24 dev eth0`);
      ip(`address add ${OWN}/24 dev eth0`);
      addRoutes();
      assert.equal(destinations.map(sourceTo), [OWN, OWN, OWN]);
    }),
);

inside('a reading shows addresses, prefix lengths, link state, and the gateway', () =>
  watching(async ({ interfaces }) => {
    const reading = await interfaces.read();
    assert.equal(eth0(reading), {
      name: 'eth0',
      up: true,
      addresses: [{ address: OWN, prefixLength: 24 }],
    });
    assert.ok(reading.reserved.includes('10.10.10.1'));
  }),
);

inside('changes of address and of link are seen', () =>
  watching(async ({ until }) => {
    await until('the first reading', has(OWN));
    ip(`address add ${VIP}/32 dev eth0`);
    await until('the address', has(VIP));
    ip('link set fabric down');
    await until('the link without a carrier', (reading) => eth0(reading)?.up === false);
    ip('link set fabric up');
    await until('the carrier', (reading) => eth0(reading)?.up === true);
  }),
);

inside('a change that nobody announces is seen all the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hapair-ip-'));
  const { PATH = '' } = process.env;
  const real = execFileSync('sh', ['-c', 'command -v ip'], { encoding: 'utf8' }).trim();
  const script = `#!/bin/sh\ncase "$*" in *monitor*) exec sleep 60 ;; esac\nexec ${real} "$@"\n`;
  writeFileSync(join(directory, 'ip'), script, { mode: 0o755 });
  process.env.PATH = `${directory}:${PATH}`;
  try {
    await watching(async ({ until }) => {
      await until('the first reading', has(OWN));
      ip(`address add ${VIP}/32 dev eth0`);
      await until('the address', has(VIP));
      ip('link set fabric down');
      await until('the link without a carrier', (reading) => eth0(reading)?.up === false);
    });
  } finally {
    process.env.PATH = PATH;
    rmSync(directory, { recursive: true });
    ip('link set fabric up');
  }
});

inside('an error names what was attempted and what the kernel said', () =>
  watching(async ({ interfaces }) => {
    try {
      await interfaces.add('eth7', VIP);
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), /ip address add 10\.10\.10\.10\/32 dev eth7 .*Cannot find device "eth7"/);
    }
  }),
);

inside('fifty VIPs that go up together take one `ip`; the one that cannot go up hears so alone', () =>
  watching(async ({ interfaces }) => {
    const vips = Array.from({ length: 50 }, (_, index) => `10.10.10.${150 + index}`);
    const directory = mkdtempSync(join(tmpdir(), 'hapair-ip-'));
    const { PATH = '' } = process.env;
    const real = execFileSync('sh', ['-c', 'command -v ip'], { encoding: 'utf8' }).trim();
    const script = `#!/bin/sh\necho "$@" >>${directory}/said\nexec ${real} "$@"\n`;
    writeFileSync(join(directory, 'ip'), script, { mode: 0o755 });
    process.env.PATH = `${directory}:${PATH}`;
    try {
      await Promise.all(vips.map((vip) => interfaces.add('eth0', vip)));
      const said = readFileSync(join(directory, 'said'), 'utf8').split('\n');
      assert.equal(
        said.filter((line) => /^-batch|^address add/.test(line)),
        ['-batch -'],
      );
      assert.equal(addresses().length, 51);
      const [bad, ...good] = await Promise.allSettled([
        interfaces.remove('eth7', VIP),
        ...vips.map((vip) => interfaces.remove('eth0', vip)),
        interfaces.add('eth7', VIP),
      ]);
      assert.is(bad?.status, 'fulfilled', 'it is not there');
      assert.is(good.pop()?.status, 'rejected');
      assert.ok(good.every(({ status }) => status === 'fulfilled'));
      assert.equal(addresses(), [`${OWN}/24`]);
    } finally {
      process.env.PATH = PATH;
      rmSync(directory, { recursive: true });
    }
  }),
);

inside(
  'a Master’s VIP that something removes is back at once; one that was there before stays after the Master',
  () =>
    watching(async ({ interfaces, until, onReading }) => {
      const bench = await createBackup({}, interfaces);
      onReading((reading) => bench.pair.interfaces(reading));
      await bench.enter('Master', 'MasterDownTimerExpired');
      await until('the VIP', has(VIP));
      ip(`address del ${VIP}/32 dev eth0`);
      await until('it is gone', (reading) => !has(VIP)(reading));
      await until('it is back', has(VIP));
      bench.pair.imds(bench.imdsReading());
      await bench.enter('Backup', 'HigherPriorityAdvert');
      await until('it left', (reading) => !has(VIP)(reading));

      ip(`address add ${VIP}/32 dev eth0`);
      await until('the machine has it of its own', has(VIP));
      await bench.enter('Master', 'MasterDownTimerExpired');
      await bench.enter('Backup', 'HigherPriorityAdvert');
      bench.pair.interfaces(await interfaces.read());
      await bench.quiet();
      assert.ok(addresses().includes(`${VIP}/32`));
    }),
);

if (process.env[INSIDE] === '1') inside.run();
else {
  test('VIPs on an interface, in a world of their own', () => {
    const program = fileURLToPath(import.meta.url);
    const result = spawnSync('unshare', [...WORLD_ARGUMENTS, process.execPath, program], {
      env: { ...process.env, [INSIDE]: '1' },
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.is(result.status, 0, `${result.stdout}\n${result.stderr}`);
  });
  test.run();
}
