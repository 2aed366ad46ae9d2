/** Real-time scheduling of the VRRP worker: asked for, used where granted by its thread alone, and no loss where refused. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { forkUnpreempted } from '../../agent/sys/libc.ts';
import type { FromWorker } from '../../agent/worker/messages.ts';

const PROGRAM = fileURLToPath(new URL('../vrrp-node.ts', import.meta.url));
const DEADLINE_MS = 60_000;
const SCHED_OTHER = '0';
const SCHED_RR = '2';

/** Scheduling policy in a `stat` of /proc: field 41, the 39th after the name, which may hold spaces. */
const policyIn = (stat: string): string => stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38] ?? '';

/** Scheduling policies of the threads of a process. */
const policiesOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) =>
    policyIn(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')),
  );

/** Starts a worker by way of `wrapper`. @returns what it says of its scheduling, and the policies of its process's threads */
const startWorker = async (
  wrapper: readonly string[],
): Promise<{ realtime: boolean; policies: string[] }> => {
  const [command = '', ...args] = [...wrapper, process.execPath, PROGRAM];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  try {
    child.stdin.write(`${JSON.stringify({ type: 'ping', id: 1 })}\n`);
    const signal = AbortSignal.timeout(DEADLINE_MS); // its end alone would not end the wait for a line
    const [line] = await once(createInterface({ input: child.stdout }), 'line', { signal });
    const pong: FromWorker = JSON.parse(line);
    if (pong.type !== 'pong') throw new Error(`a pong was asked for, not ${line}`);
    const policies = policiesOf(child.pid ?? 0);
    child.stdin.end();
    assert.equal(await exited, [0, null], 'it ends in order');
    return { realtime: pong.realtime, policies };
  } finally {
    clearTimeout(deadline);
    child.kill('SIGKILL');
  }
};

/** Whether the system grants it, as another program finds. */
const isGranted = (wrapper: readonly string[], priority = 50): boolean => {
  const [command = '', ...args] = [...wrapper, 'chrt', '--rr', String(priority), 'true'];
  return spawnSync(command, args).status === 0;
};

/** Root loses the capability; whoever is not root has none to lose. */
const REFUSED = [
  'prlimit',
  '--rtprio=0',
  ...(process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-sys_nice'] : []),
];

test('a fork is in real time where that is granted; what it starts, and this thread afterwards, are not', () => {
  const ownPolicy = (): string => policyIn(readFileSync('/proc/thread-self/stat', 'utf8'));
  let during = '';
  const { stdout } = forkUnpreempted(() => {
    during = ownPolicy();
    return spawnSync('cat', ['/proc/self/stat'], { encoding: 'utf8' });
  });
  assert.is(during, isGranted([], 1) ? SCHED_RR : SCHED_OTHER);
  assert.is(policyIn(stdout), SCHED_OTHER);
  assert.is(ownPolicy(), SCHED_OTHER);
});

test('where a limit grants real time, and not the capability, this thread leaves it after a fork as well', () => {
  const libc = new URL('../../agent/sys/libc.ts', import.meta.url).href;
  const program = `
    import { execFileSync } from 'node:child_process';
    import { readFileSync } from 'node:fs';
    import { forkUnpreempted } from ${JSON.stringify(libc)};
    for (let count = 0; count < 2; count++) forkUnpreempted(() => execFileSync('true'));
    process.stdout.write(readFileSync('/proc/thread-self/stat', 'utf8'));`;
  const withoutCapability = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-sys_nice'] : [];
  const limited = ['prlimit', '--rtprio=1', ...withoutCapability];
  const [command = '', ...args] = isGranted(limited, 1) ? limited : [...withoutCapability, 'env'];
  const argv = [...args, process.execPath, '--input-type=module', '--eval', program];
  const { stdout, stderr } = spawnSync(command, argv, { encoding: 'utf8' });
  assert.is(policyIn(stdout), SCHED_OTHER, stderr);
});

test('without CAP_SYS_NICE the system refuses', () => {
  assert.not(isGranted(REFUSED));
});

for (const [name, wrapper] of [
  ['as this test may', []],
  ['without CAP_SYS_NICE', REFUSED],
] as const) {
  test(`${name}, the worker has what the system grants, and its thread alone`, async () => {
    const { realtime, policies } = await startWorker(wrapper);
    assert.is(realtime, isGranted(wrapper));
    assert.is(policies.filter((policy) => policy === SCHED_RR).length, realtime ? 1 : 0);
  });
}

test.run();
