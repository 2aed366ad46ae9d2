/** What the agent's hold on the interfaces survives; what it does to them is tested where there are namespaces. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { forbidSpawning } from '../testing/spawn-trouble.ts';
import { watchInterfaces } from './interface.ts';

/** No machine has it, so nothing here is changed. */
const NOWHERE = 'hapair-none';
const VIP = '10.10.10.10';

/** The machine's own interfaces, with timers that fire when a test says so. */
const createWatch = () => {
  const told: string[] = [];
  let timers: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer(_, fire) {
      timers.push(fire);
      return () => {
        timers = timers.filter((other) => other !== fire);
      };
    },
  };
  const ending = new AbortController();
  const note = (fields: object) => told.push(JSON.stringify(fields));
  const interfaces = watchInterfaces({
    clock,
    log: { info: note, warn: note, error: note },
    onReading: () => undefined,
    signal: ending.signal,
  });
  const fireAll = () => {
    for (const fire of timers.splice(0)) fire();
  };
  return { interfaces, told, fireAll, end: () => ending.abort() };
};

const answerOf = (change: Promise<void>) =>
  change.then(
    () => 'done',
    ({ message }: Error) => message,
  );

test('when no process can be started each change is refused, and those after it are made', async () => {
  const allow = forbidSpawning();
  const { interfaces, told, fireAll, end } = createWatch();
  try {
    const both = [interfaces.add(NOWHERE, VIP), interfaces.remove(NOWHERE, VIP)].map(answerOf);
    for (const answer of await Promise.all(both)) assert.match(answer, 'E2BIG');
    assert.match(await answerOf(interfaces.add(NOWHERE, VIP)), 'E2BIG');
    const failed = () => told.filter((line) => line.includes('InterfaceMonitorFailed')).length;
    assert.is(failed(), 1);
    fireAll();
    assert.is(failed(), 2, 'listening is tried again');
    allow();
    assert.not.match(await answerOf(interfaces.add(NOWHERE, VIP)), 'E2BIG');
    fireAll();
    assert.is(failed(), 2);
  } finally {
    allow();
    end();
  }
});

test('without a descriptor left it is tried on and on to listen to the kernel', () => {
  const { href: module } = new URL('interface.ts', import.meta.url);
  const { href: trouble } = new URL('../testing/spawn-trouble.ts', import.meta.url);
  const { href: clock } = new URL('../../runtime/clock.ts', import.meta.url);
  const program = `
    import { watchInterfaces } from '${module}';
    import { useUpDescriptors } from '${trouble}';
    import { systemClock } from '${clock}';
    let failures = 0;
    const says = ({ reason }) => {
      if (reason !== 'InterfaceMonitorFailed') return;
      failures += 1;
      if (failures === 1) useUpDescriptors();
      if (failures === 3) process.exit(0);
    };
    const log = { info: () => {}, warn: says, error: () => {} };
    process.env.PATH = '/nonexistent';
    watchInterfaces({ clock: systemClock, log, onReading: () => {}, signal: new AbortController().signal });`;
  const { status, stderr } = runWithFewDescriptors(program);
  assert.is(status, 0, stderr);
});

/** Runs an ES module in a process of its own that may open a hundred descriptors. */
const runWithFewDescriptors = (program: string) =>
  spawnSync(
    '/bin/sh',
    ['-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, '--input-type=module', '--eval', program],
    {
      encoding: 'utf8',
      cwd: join(import.meta.dirname, '../..'),
    },
  );

test.run();
