/**
 * Commands that health checks run, with real processes: whatever they do, nothing of them is left, and nothing of the agent's
 * is theirs. A file of its own, because the process it runs in adopts orphans from the first command on.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCommandRunner } from '../agent/checks/command.ts';
import { createLeftovers } from '../agent/checks/leftovers.ts';
import { createUnprivilegedStart } from '../agent/checks/privileges.ts';
import { createCheckRunner } from '../agent/checks/runner.ts';
import type { Outcome } from '../agent/rules/verdict.ts';
import { createCredentials } from '../kube/credentials.ts';
import { systemClock } from '../runtime/clock.ts';
import { createResolver } from '../runtime/names.ts';

const INSIDE = 'HAPAIR_TEST_CAPABILITIES';
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;
const place = { pair: 'prod/web', sourceAddress: '10.10.10.11' };
const never = new AbortController().signal;
const start = createUnprivilegedStart(createLeftovers(systemClock));
const runCommand = createCommandRunner(systemClock, start);

const run = (command: string[], signal = never, environment?: Record<string, string>): Promise<Outcome> =>
  runCommand({ check: 'app', allowed: { command, ...(environment && { environment }) }, place, signal });
const sh = (script: string, signal = never): Promise<Outcome> => run(['/bin/sh', '-c', script], signal);

/** What a script that fails has said. */
const saidBy = async (script: string, environment?: Record<string, string>): Promise<string> => {
  const outcome = await run(['/bin/sh', '-c', `${script}; exit 1`], never, environment);
  return outcome.result === 'success' ? 'it passed' : outcome.message.replace('/bin/sh exits with 1: ', '');
};

/** Processes whose command line has this word, zombies among children of ours too. */
const processes = (word: string): string[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return line.includes(word) && Number(name) !== process.pid ? [line] : [];
    } catch {
      return []; // it has ended
    }
  });

/** Children of this process that nobody has waited for. */
const zombies = (): string[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' && Number(parent) === process.pid ? [text] : [];
    } catch {
      return [];
    }
  });

const until = async (what: string, isSo: () => boolean): Promise<void> => {
  const deadlineMs = systemClock.now() + PATIENCE_MS;
  while (!isSo()) {
    if (systemClock.now() > deadlineMs) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await sleep(LOOK_MS);
  }
};

let lastWord = 0;
/** A number of seconds for sleep(1) that no other process has: it names what a test has started. */
const uniqueWord = (): string => `86400.${process.pid}${++lastWord}`;

const commands = suite('commands');

commands('exit 0 passes; any other fails, with its code and the beginning of what was said', async () => {
  assert.equal(await sh('echo all is well'), { result: 'success' });
  assert.equal(await sh('echo "the lag is"; sleep 0.1; echo "90 s" >&2; exit 3'), {
    result: 'failure',
    cause: 'exit 3',
    message: '/bin/sh exits with 3: the lag is 90 s',
  });
  assert.equal(await sh('kill -SEGV $$'), {
    result: 'failure',
    cause: 'SIGSEGV',
    message: '/bin/sh was ended by SIGSEGV',
  });
});

commands('what is not there, or may not be run, fails', async () => {
  for (const [program, code] of [
    ['/nonexistent/check', 'ENOENT'],
    ['/etc/passwd', 'EACCES'],
  ] as const) {
    const outcome = await run([program]);
    assert.match(
      outcome.result === 'failure' ? outcome.message : '',
      `${program} cannot be run: spawn ${program} ${code}`,
    );
  }
});

commands('no shell sees the arguments', async () => {
  assert.equal(await run(['/usr/bin/test', '$(id)', '=', '$(id)']), { result: 'success' });
  assert.equal(await run(['/usr/bin/test', '*', '=', '*']), { result: 'success' });
});

commands(
  'the environment is clean: a standard PATH, whose check it is, and what the node configures',
  async () => {
    process.env.AWS_SECRET_ACCESS_KEY = 'secret';
    const said = await saidBy('env | sort', { PGHOST: '/run/postgresql' });
    Reflect.deleteProperty(process.env, 'AWS_SECRET_ACCESS_KEY');
    assert.equal(
      said.split(' ').filter((word) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(word)),
      [
        'HAPAIR_CHECK=app',
        'HAPAIR_PAIR=prod/web',
        'LANG=C.UTF-8',
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'PGHOST=/run/postgresql',
      ],
    );
  },
);

commands(
  'it has no descriptor of ours, its standard input is empty, and it runs in a session of its own',
  async () => {
    // The shell reads its own list of descriptors by one more, which is 3 if it has no other.
    assert.is(await saidBy('cat; cd /proc/$$/fd; echo *'), '0 1 2 3');
    assert.is(await saidBy('set -- $(cat /proc/$$/stat); [ "$6" = "$$" ] && echo alone'), 'alone');
  },
);

commands('it runs at low priority, and so does what it starts', async () => {
  const nicenessOf = (pid: string) => `$(cut -d " " -f 19 /proc/${pid}/stat)`;
  assert.is(
    await saidBy(`until [ "${nicenessOf('$$')}" = 10 ]; do :; done; echo ${nicenessOf('self')}`),
    '10',
  );
});

commands('the OOM killer takes it as soon as any other process, whatever is said of the agent', async () => {
  const own = '/proc/self/oom_score_adj';
  const before = readFileSync(own, 'utf8');
  // To spare this process would need a capability. What tells the two apart is all the same.
  writeFileSync(own, '7');
  const end = await sh(
    'until [ "$(cat /proc/$$/oom_score_adj)" = 0 ]; do :; done',
    AbortSignal.timeout(PATIENCE_MS),
  );
  writeFileSync(own, before);
  assert.equal(end, { result: 'success' });
});

commands('much output is no fault by itself', async () => {
  assert.equal(await sh('head -c 300000 /dev/zero'), { result: 'success' });
});

commands('what it leaves in the background ends with it', async () => {
  const word = uniqueWord();
  assert.equal(await sh(`sleep ${word} & exit 0`), { result: 'success' });
  await until('the one left behind should be gone', () => processes(word).length === 0);
});

commands('what has fled to a session of its own ends too, and nothing stays a zombie', async () => {
  const word = uniqueWord();
  const flight = `setsid sh -c "setsid sleep ${word} & sleep ${word}" > /dev/null 2>&1 &`;
  assert.equal(await sh(`${flight} until pgrep -f "^sleep ${word}" > /dev/null; do :; done; exit 0`), {
    result: 'success',
  });
  await until('those who fled should be gone', () => processes(word).length === 0);
  await until('nobody should stay a zombie', () => zombies().length === 0);
});

/** Each until it is told to end, as a check's deadline does. */
for (const [title, script] of [
  [
    'hangs and ignores every signal that can be ignored',
    (word: string) => `trap "" TERM INT HUP; sleep ${word}`,
  ],
  ['has started a hundred children', (word: string) => `for i in $(seq 100); do sleep ${word} & done; wait`],
  ['floods its output', (word: string) => `sleep ${word} & yes`],
  ['has written a gigabyte', (word: string) => `sleep ${word} & head -c 1G /dev/zero; wait`],
  ['stops itself', (word: string) => `sleep ${word} & kill -STOP $$`],
] as const) {
  commands(`one that ${title} is ended, with all it has started`, async () => {
    const word = uniqueWord();
    const ending = new AbortController();
    const outcome = sh(script(word), ending.signal);
    await until('it should run', () => processes(`sleep ${word}`).length > 0);
    ending.abort();
    assert.is((await outcome).result, 'failure');
    await until('nothing of it should be left', () => processes(word).length === 0);
    await until('nobody should stay a zombie', () => zombies().length === 0);
  });
}

commands('an agent that exits leaves no command behind', async () => {
  const word = uniqueWord();
  const script = `
    import { createCommandRunner } from ${JSON.stringify(import.meta.resolve('../agent/checks/command.ts'))};
    import { createLeftovers } from ${JSON.stringify(import.meta.resolve('../agent/checks/leftovers.ts'))};
    import { createUnprivilegedStart } from ${JSON.stringify(import.meta.resolve('../agent/checks/privileges.ts'))};
    import { systemClock } from ${JSON.stringify(import.meta.resolve('../runtime/clock.ts'))};
    const allowed = { command: ['/bin/sh', '-c', 'sleep ${word} & sleep ${word}'] };
    const place = { pair: 'prod/web', sourceAddress: '' };
    const { signal } = new AbortController();
    const start = createUnprivilegedStart(createLeftovers(systemClock));
    createCommandRunner(systemClock, start)({ check: 'app', allowed, place, signal });
    process.stdin.on('data', () => process.exit(1));
  `;
  const agent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = new Promise((resolve) => agent.once('exit', resolve));
  await until('it should run', () => processes(`sleep ${word}`).length >= 2);
  agent.stdin.end('end');
  await ended;
  await until('nothing of it should be left', () => processes(`sleep ${word}`).length === 0);
});

commands('only what the configuration of the node names is run, and it is said where that is', async () => {
  const run = createCheckRunner({
    nodeName: 'node1',
    commands: { true: { command: ['/bin/true'] } },
    checks: { hosts: [], body: false },
    configFile: '/etc/hapair/agent.yaml',
    clock: systemClock,
    resolve: createResolver(),
    start,
  });
  const times = { periodSeconds: 1, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 1 };
  const check = (name: string) => ({ name: 'app', command: { name }, ...times });
  assert.equal(await run(check('true'), place, never), { result: 'success' });
  for (const name of ['false', '/bin/true', 'constructor', '__proto__']) {
    const outcome = await run(check(name), place, never);
    assert.is(
      outcome.result === 'failure' && outcome.message,
      `node node1 allows no command ${name}; add it under commands in /etc/hapair/agent.yaml there and reload the agent (hapair-agent reload), or name another in spec.healthChecks of the HAPair`,
    );
  }
});

/** As an agent that is not root: with CAP_NET_ADMIN and CAP_NET_RAW in its ambient set, for `ip`. */
const NET_CAPABILITIES = '0000000000003000';
const effectiveOf = (status: string): string | undefined => /CapEff:\s*(\w+)/.exec(status)?.[1];

const insideTests = (): void => {
  test('a command has no capability of the agent, and the agent keeps them for its own programs', async () => {
    assert.is(effectiveOf(readFileSync('/proc/self/status', 'utf8')), NET_CAPABILITIES);
    assert.is(await saidBy('grep CapEff /proc/self/status'), 'CapEff: 0000000000000000');
    const own = spawnSync('cat', ['/proc/self/status'], { encoding: 'utf8' });
    assert.is(effectiveOf(own.stdout), NET_CAPABILITIES);
  });
  test('an exec plugin of the kubeconfig has no capability of the agent, and a place before the OOM killer like any other', async () => {
    const script = `
      until [ "$(cat /proc/$$/oom_score_adj)" = 0 ]; do :; done
      echo "{\\"status\\": {\\"token\\": \\"$(sed -n 's/CapEff:\\t//p' /proc/self/status)\\"}}"`;
    writeFileSync('/proc/self/oom_score_adj', '7');
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sh', args: ['-c', script] };
    const access = {
      cluster: { name: 'c', server: 'https://10.0.0.1:6443', skipTLSVerify: false },
      user: { name: 'u', exec },
    };
    const { headers } = await createCredentials(access, { start }).current();
    assert.equal(headers, { authorization: 'Bearer 0000000000000000' });
  });
  test.run();
};

const outsideTests = (): void => {
  commands('without privileges: CAP_NET_ADMIN and CAP_NET_RAW stay with the agent', () => {
    // As root without root's powers, for only root's id exists in a user namespace of one's own.
    const privileges =
      '--securebits +noroot --inh-caps -all,+net_admin,+net_raw --ambient-caps +net_admin,+net_raw';
    const inside = spawnSync(
      'unshare',
      [
        ...['--map-root-user', '--user', 'setpriv', ...privileges.split(' ')],
        ...['--bounding-set', '-all,+net_admin,+net_raw'],
        ...[process.execPath, fileURLToPath(import.meta.url)],
      ],
      { env: { ...process.env, [INSIDE]: 'yes' }, encoding: 'utf8', timeout: 60_000 },
    );
    assert.is(inside.status, 0, `${inside.stdout}${inside.stderr}`);
  });
  commands.run();
};

if (process.env[INSIDE] === undefined) outsideTests();
else insideTests();
