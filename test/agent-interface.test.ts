/**
 * VIPs on a real interface, with the real `ip`, in network namespaces of their own and without root: this file runs itself
 * again in a new world, which ends with it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadRecords, openDisk } from '../agent/node/disk.ts';
import { watchInterfaces } from '../agent/node/interface.ts';
import { emptyRecord, type InterfaceReading } from '../agent/ports.ts';
import { addressesOf, createBackup, VIP } from '../agent/testing/pair-bench.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';

const INSIDE = 'HAPAIR_TEST_INTERFACE';
const WORLD_ARGUMENTS = '--map-root-user --user --net --mount --pid --fork --kill-child'.split(' ');
const OWN = '10.10.10.11';
const DEADLINE_MS = 60_000;
const NAME_SERVER = '10.10.10.2';

const ip = (command: string): string => execFileSync('ip', command.split(' '), { encoding: 'utf8' });

/** The ENI, without an address. */
const addLink = (): void => {
  ip('link add eth0 type veth peer name fabric');
  ip('link set fabric up');
  ip('link set eth0 up');
};
/** As a DHCP client does: with a route that names no source address, such as that to IMDS. */
const configure = (name = 'eth0'): void => {
  ip(`address add ${OWN}/24 dev ${name}`);
  ip(`route replace default via 10.10.10.1 dev ${name}`);
  ip(`route replace 169.254.169.254 dev ${name}`);
};
const removeLink = (): void => void ip('link del fabric');
const addresses = (): string[] =>
  [...ip('-o -4 address show dev eth0').matchAll(/inet (\S+)/g)].map(([, address = '']) => address).sort();
const sourceTo = (destination: string): string | undefined =>
  / src (\S+)/.exec(ip(`route get ${destination}`))?.[1];

/** Watches the namespace's interfaces for the length of a test. */
const watching = async (
  act: (watched: Watched) => Promise<void>,
  clock: Clock = systemClock,
): Promise<void> => {
  const ending = new AbortController();
  let newest: InterfaceReading | undefined;
  let changed = Promise.withResolvers<void>();
  const faults: string[] = [];
  const note = (fields: object, message: string) => faults.push(`${message} ${JSON.stringify(fields)}`);
  const listeners: ((reading: InterfaceReading) => void)[] = [];
  const interfaces = watchInterfaces({
    clock,
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

/** Hears the machine's interfaces of a pair on a bench. */
const follow = ({ onReading }: Watched, { pair }: Awaited<ReturnType<typeof createBackup>>): void =>
  onReading((reading) => pair.interfaces(reading));

/** How often `ip` is started, and with what, while `act` runs. */
const countingIP = async (act: () => Promise<void>): Promise<string[]> => {
  const directory = mkdtempSync(join(tmpdir(), 'hapair-ip-'));
  const { PATH = '' } = process.env;
  const real = execFileSync('sh', ['-c', 'command -v ip'], { encoding: 'utf8' }).trim();
  const script = `#!/bin/sh\necho "$@" >>${directory}/said\nexec ${real} "$@"\n`;
  writeFileSync(join(directory, 'ip'), script, { mode: 0o755 });
  process.env.PATH = `${directory}:${PATH}`;
  try {
    await act();
    return readFileSync(join(directory, 'said'), 'utf8').split('\n');
  } finally {
    process.env.PATH = PATH;
    rmSync(directory, { recursive: true });
  }
};
const isChange = (line: string): boolean => /-batch|^address (add|del)/.test(line);

const FIFTY = Array.from({ length: 50 }, (_, index) => `10.10.10.${150 + index}`);

const inside = suite('a VIP on the interface');

inside.before(() => {
  ip('link set lo up');
});
// Whatever the row before has left, each begins on a machine just configured.
inside.before.each(() => {
  for (const name of ['fabric', 'fabric2']) spawnSync('ip', ['link', 'del', name]);
  addLink();
  configure();
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

const DESTINATIONS = {
  'the subnet': '10.10.10.12',
  'the default route': '198.51.100.1',
  'IMDS, by a route without a gateway': '169.254.169.254',
  'a route by another gateway': '192.0.2.1',
  'a table of its own': '203.0.113.1',
};

for (const [what, destination] of Object.entries(DESTINATIONS)) {
  inside(`it is never the source of the node’s own connections: ${what}`, () =>
    watching(async ({ interfaces }) => {
      const addRoutes = () => {
        ip('route replace 192.0.2.0/24 via 10.10.10.5');
        ip('route replace 203.0.113.0/24 dev eth0 table 100');
      };
      ip('rule add to 203.0.113.0/24 lookup 100');
      try {
        addRoutes();
        await interfaces.add('eth0', VIP);
        assert.is(sourceTo(destination), OWN, 'put up last');
        ip(`address del ${OWN}/24 dev eth0`);
        configure();
        addRoutes();
        assert.is(sourceTo(destination), OWN, 'there before the own address, as when a lease is renewed');
        ip('link set eth0 down');
        ip('link set eth0 up');
        configureRoutesAgain();
        addRoutes();
        assert.is(sourceTo(destination), OWN, 'after the link was down');
      } finally {
        ip('rule del to 203.0.113.0/24 lookup 100');
      }
    }),
  );
}
const configureRoutesAgain = (): void => {
  ip(`address del ${OWN}/24 dev eth0`);
  configure();
};

inside('a reading shows addresses, prefix lengths, link state, and the gateway', () =>
  watching(async ({ interfaces }) => {
    const reading = await interfaces.read();
    assert.equal(eth0(reading), {
      name: 'eth0',
      up: true,
      addresses: [{ address: OWN, prefixLength: 24, scope: 'global' }],
    });
    assert.ok(reading.reserved.includes('10.10.10.1'));
  }),
);

inside('gateways of every table and of every hop are told, and name servers', () => {
  ip('route add default via 10.10.10.3 table 10001');
  ip('route add default metric 50 nexthop via 10.10.10.4 nexthop via 10.10.10.5');
  const directory = mkdtempSync(join(tmpdir(), 'hapair-resolver-'));
  const file = join(directory, 'resolv.conf');
  writeFileSync(file, `# written by a test\nnameserver ${NAME_SERVER}\nnameserver fd00::2\n`);
  const mounted = existsSync('/etc/resolv.conf');
  if (mounted) execFileSync('mount', ['--bind', file, '/etc/resolv.conf']);
  return watching(async ({ interfaces }) => {
    const { reserved } = await interfaces.read();
    const gateways = ['10.10.10.1', '10.10.10.3', '10.10.10.4', '10.10.10.5'];
    assert.equal(
      [...reserved].sort(),
      mounted ? ['10.10.10.1', NAME_SERVER, ...gateways.slice(1)] : gateways,
    );
  }).finally(() => {
    if (mounted) execFileSync('umount', ['/etc/resolv.conf']);
    rmSync(directory, { recursive: true });
  });
});

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
    const said = await countingIP(async () => {
      await Promise.all(FIFTY.map((vip) => interfaces.add('eth0', vip)));
    });
    assert.equal(said.filter(isChange), ['-force -batch -']);
    assert.equal(addresses().length, 51);
    const [bad, ...good] = await Promise.allSettled([
      interfaces.remove('eth7', VIP),
      ...FIFTY.map((vip) => interfaces.remove('eth0', vip)),
      interfaces.add('eth7', VIP),
    ]);
    assert.is(bad?.status, 'fulfilled', 'it is not there');
    assert.is(good.pop()?.status, 'rejected');
    assert.ok(good.every(({ status }) => status === 'fulfilled'));
    assert.equal(addresses(), [`${OWN}/24`]);
  }),
);

inside('an interface that has vanished costs one `ip` and one look, however many pairs ask for it', () =>
  watching(async ({ interfaces }) => {
    removeLink();
    const answers: PromiseSettledResult<void>[] = [];
    const said = await countingIP(async () => {
      answers.push(...(await Promise.allSettled(FIFTY.map((vip) => interfaces.add('eth0', vip)))));
    });
    assert.equal(said.filter(isChange), ['-force -batch -']);
    assert.ok(answers.every(({ status }) => status === 'rejected'));
    for (const [index, vip] of FIFTY.entries()) {
      const answer = answers[index];
      if (answer?.status === 'rejected') assert.match(String(answer.reason), `${vip}/32 dev eth0`);
    }
  }),
);

/** Puts back what `remove` removes, by the kernel's word: the clock never asks for another reading. */
const isPutBack = (remove: () => void): Promise<void> => {
  let frozen = false;
  const clock: Clock = {
    ...systemClock,
    setTimer: (delayMs, fire) => systemClock.setTimer(delayMs, () => frozen || fire()),
  };
  return watching(async (watched) => {
    const bench = await createBackup({}, watched.interfaces);
    follow(watched, bench);
    await bench.enter('Master', 'MasterDownTimerExpired');
    await watched.until('the VIP', has(VIP));
    await listening();
    frozen = true;
    remove();
    await watched.until('it is gone', (reading) => !has(VIP)(reading));
    if (!addresses().includes(`${OWN}/24`)) configure();
    await watched.until('it is back', has(VIP));
    assert.ok(addresses().includes(`${VIP}/32`));
    frozen = false;
  }, clock);
};

/** `ip monitor` hears the kernel: its socket belongs to a multicast group. */
const listening = async (): Promise<void> => {
  const deadlineMs = performance.now() + DEADLINE_MS;
  const hears = () =>
    readFileSync('/proc/net/netlink', 'utf8')
      .split('\n')
      .some((line) => /^\S+\s+0\s+\d+\s+(?!00000000)[0-9a-f]{8}\s/.test(line));
  while (!hears()) {
    if (performance.now() > deadlineMs) throw new Error('ip monitor does not listen');
    await new Promise((resolve) => setImmediate(resolve));
  }
};

inside('a Master’s VIP that something deletes is put back by the kernel’s word', () =>
  isPutBack(() => ip(`address del ${VIP}/32 dev eth0`)),
);
inside('… that is flushed with every other address', () => isPutBack(() => ip('address flush dev eth0')));
inside('… whose interface is made anew', () =>
  isPutBack(() => {
    removeLink();
    addLink();
  }),
);

inside('a VIP outlives its interface being down, and follows it to another name', () =>
  watching(async (watched) => {
    const bench = await createBackup({}, watched.interfaces);
    follow(watched, bench);
    bench.world.delivered = [OWN, VIP];
    bench.pair.imds(bench.imdsReading());
    await watched.until('the VIP', has(VIP));
    ip('link set eth0 down');
    await watched.until('the link is down', (reading) => eth0(reading)?.up === false);
    assert.is(bench.told('fault').at(-1)?.fault, 'SourceAddressMissing');
    assert.ok(addresses().includes(`${VIP}/32`));
    ip('link set eth0 name ens5');
    ip('link set ens5 up');
    const ens5 = (reading: InterfaceReading) => reading.interfaces.find(({ name }) => name === 'ens5');
    await watched.until('another name', (reading) => ens5(reading)?.up === true);
    assert.is(bench.told('fault').at(-1)?.fault, null);
    assert.is(bench.told('set').at(-1)?.config.interface, 'ens5');
    ip(`address del ${VIP}/32 dev ens5`);
    const isBack = (reading: InterfaceReading) =>
      ens5(reading)?.addresses.some(({ address }) => address === VIP) ?? false;
    await watched.until('it is gone', (reading) => !isBack(reading));
    await watched.until('it is back under the other name', isBack);
  }),
);

inside(
  'V5: what EC2 delivers here goes up although the own address is missing; nothing is claimed meanwhile',
  () =>
    watching(async (watched) => {
      const bench = await createBackup({ addresses: addressesOf(VIP, '10.10.10.20') }, watched.interfaces);
      follow(watched, bench);
      bench.world.delivered = [OWN, VIP];
      bench.pair.imds(bench.imdsReading());
      await watched.until('the VIP', has(VIP));
      ip('address flush dev eth0');
      await watched.until(
        'both are gone, the VIP is back',
        (reading) => has(VIP)(reading) && !has(OWN)(reading),
      );
      assert.is(bench.told('fault').at(-1)?.fault, 'SourceAddressMissing');
      configure();
      await watched.until('the own address', has(OWN));
      assert.is(bench.told('fault').at(-1)?.fault, null);
      assert.equal(addresses(), [`${VIP}/32`, `${OWN}/24`], 'the other VIP was never delivered here');
    }),
);

/** What the machine had before the agent: still there after the agent was Master. */
const isLeftAlone = (address: string) =>
  watching(async (watched) => {
    ip(`address add ${address} dev eth0`);
    const bench = await createBackup({}, watched.interfaces);
    follow(watched, bench);
    bench.pair.interfaces(await watched.interfaces.read());
    bench.pair.imds(bench.imdsReading());
    await bench.enter('Master', 'MasterDownTimerExpired');
    await bench.enter('Backup', 'HigherPriorityAdvert');
    bench.pair.interfaces(await watched.interfaces.read());
    await bench.quiet();
    assert.ok(addresses().includes(address));
  });
inside('an address that the machine has of its own stays: /32, as ec2-net-utils writes it', () =>
  isLeftAlone(`${VIP}/32`),
);
inside('an address that the machine has of its own stays: /24, as cloud-init writes it', () =>
  isLeftAlone(`${VIP}/24`),
);

inside('what somebody else puts up in the place of ours is theirs', () =>
  watching(async (watched) => {
    const bench = await createBackup({}, watched.interfaces);
    follow(watched, bench);
    bench.pair.imds(bench.imdsReading());
    await bench.enter('Master', 'MasterDownTimerExpired');
    await watched.until('the VIP', has(VIP));
    bench.pair.imds(null);
    await bench.enter('Fault', 'SourceAddressMissing');
    ip(`address del ${VIP}/32 dev eth0`);
    ip(`address add ${VIP}/32 dev eth0`);
    await watched.until('theirs', (reading) => {
      const found = eth0(reading)?.addresses.find(({ address }) => address === VIP);
      return found?.scope === 'global';
    });
    bench.pair.imds(bench.imdsReading());
    await bench.quiet();
    bench.pair.interfaces(await watched.interfaces.read());
    await bench.quiet();
    assert.ok(addresses().includes(`${VIP}/32`));
    assert.equal(bench.world.disk?.added, [], 'and known as theirs');
  }),
);

inside('a Master’s leftover goes though the agent’s file is lost; not while EC2 delivers it here', () =>
  watching(async (watched) => {
    await watched.interfaces.add('eth0', VIP);
    const bench = await createBackup({}, watched.interfaces);
    follow(watched, bench);
    await watched.until('the leftover', has(VIP));
    bench.world.delivered = [OWN, VIP];
    bench.pair.imds(bench.imdsReading());
    bench.pair.interfaces(await watched.interfaces.read());
    await bench.quiet();
    assert.equal(bench.world.disk?.added, [VIP]);
    assert.ok(addresses().includes(`${VIP}/32`));
    bench.world.delivered = [OWN];
    bench.pair.imds(bench.imdsReading());
    await watched.until('it left', (reading) => !has(VIP)(reading));
    assert.equal(bench.world.disk?.added, []);
  }),
);

inside('fifty pairs whose interface vanished have their VIPs back with a handful of `ip`s', () =>
  watching(async (watched) => {
    const benches = await Promise.all(
      FIFTY.map((vip) => createBackup({ addresses: addressesOf(vip) }, watched.interfaces)),
    );
    const said = await countingIP(async () => {
      for (const bench of benches) follow(watched, bench);
      await Promise.all(benches.map((bench) => bench.enter('Master', 'MasterDownTimerExpired')));
      const all = (reading: InterfaceReading) => FIFTY.every((vip) => has(vip)(reading));
      await watched.until('all VIPs', all);
      removeLink();
      await watched.until('no interface', (reading) => eth0(reading) === undefined);
      addLink();
      configure();
      await watched.until('all VIPs again', all);
    });
    const changes = said.filter((line) => line.includes('-batch'));
    assert.ok(changes.length <= 10, `${changes.length} times ip`);
    assert.equal(
      benches.map(({ world }) => world.disk?.added),
      FIFTY.map((vip) => [vip]),
    );
  }),
);

inside(
  'a full disk: the file stays as it was, the error says what to look at, and the next save finds room',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hapair-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'tmpfs', directory]);
    const told: string[] = [];
    const note = (_: object, message: string) => told.push(message);
    const load = () => loadRecords(directory, { info: note, warn: note, error: note });
    try {
      const record = { ...emptyRecord('prod', 'web'), highestTerm: 7 };
      const disk = openDisk(directory, record);
      await disk.save(record);
      const fill = spawnSync('dd', ['if=/dev/zero', `of=${join(directory, 'filler')}`, 'bs=4k']);
      assert.match(String(fill.stderr), 'No space left');
      for (const write of [disk.save, disk.note]) {
        const error: unknown = await write({ ...record, highestTerm: 8 }).catch((thrown: unknown) => thrown);
        assert.match(
          String(error),
          /cannot write .*prod\.web\.pair: ENOSPC.*check the state directory's space/,
        );
        assert.equal(load(), [record]);
      }
      rmSync(join(directory, 'filler'));
      await disk.save({ ...record, highestTerm: 8 });
      assert.is(load()[0]?.highestTerm, 8);
      assert.equal(told, []);
    } finally {
      execFileSync('umount', [directory]);
      rmSync(directory, { recursive: true });
    }
  },
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
