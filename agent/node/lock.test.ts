import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { holderIdentity } from './identity.ts';
import { LockedError, lockDirectory } from './lock.ts';

const test = suite<{ directory: string }>('lock and identity');
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'hapair-lock-'));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true }));

const told: string[] = [];
const note = (fields: object) => told.push(JSON.stringify(fields));
const log = { info: note, warn: note, error: note };

test('a second agent is refused, and told which process is in its way', ({ directory }) => {
  const stateDir = join(directory, 'state');
  lockDirectory(stateDir);
  assert.is(statSync(stateDir).mode & 0o777, 0o700);
  try {
    lockDirectory(stateDir);
    assert.unreachable('locked twice');
  } catch (error) {
    assert.instance(error, LockedError);
    assert.match((error as Error).message, new RegExp(`another agent \\(pid ${process.pid}\\) runs`));
    assert.match((error as Error).message, 'stateDir');
  }
});

test('an agent that can create no file has the same lock as one that can', ({ directory }) => {
  const file = join(directory, 'agent.lock');
  symlinkSync('missing/agent.lock', file);
  lockDirectory(directory);
  rmSync(file);
  assert.throws(() => lockDirectory(directory), /another agent runs with the state directory/);
});

test('a state directory that others can open is refused with the chmod that mends it', ({ directory }) => {
  const stateDir = join(directory, 'state');
  for (const mode of [0o755, 0o750, 0o701]) {
    mkdirSync(stateDir);
    chmodSync(stateDir, mode);
    assert.throws(
      () => lockDirectory(stateDir),
      ({ message }: Error) =>
        message.includes(`mode 0${mode.toString(8)}`) && message.includes(`chmod 700 ${stateDir}`),
    );
    chmodSync(stateDir, 0o700);
    lockDirectory(stateDir);
    rmSync(stateDir, { recursive: true });
  }
});

test("the lock's message names no process that is gone", ({ directory }) => {
  lockDirectory(directory);
  const { pid } = spawnSync(process.execPath, ['--version']);
  for (const noted of [String(pid), 'nonsense', '0', '-1', '']) {
    writeFileSync(join(directory, 'agent.lock'), `${noted}\n`);
    assert.throws(() => lockDirectory(directory), /^another agent runs with the state directory/);
  }
});

test('the lock of a process that is dead is free', ({ directory }) => {
  const lockModule = join(import.meta.dirname, 'lock.ts');
  const program = `import { lockDirectory } from ${JSON.stringify(lockModule)};
    lockDirectory(${JSON.stringify(directory)}); process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 60_000);`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', program]);
  assert.is(signal, 'SIGKILL');
  lockDirectory(directory);
});

test('a state directory that cannot be made is named', ({ directory }) => {
  writeFileSync(join(directory, 'file'), '');
  assert.throws(
    () => lockDirectory(join(directory, 'file', 'state')),
    /stateDir .*state cannot be used: ENOTDIR.*move it away/,
  );
});

test('an agent knows itself again after a restart; another disk is another agent', ({ directory }) => {
  const first = holderIdentity(directory, 'node1', log);
  assert.match(first, /^node1_[0-9a-f]{10}$/);
  assert.is(holderIdentity(directory, 'node1', log), first);
  rmSync(join(directory, 'identity'));
  assert.is.not(holderIdentity(directory, 'node1', log), first);
  assert.equal(told, []);
});

test('a damaged identity is replaced; one that cannot be kept is said', ({ directory }) => {
  writeFileSync(join(directory, 'identity'), 'nonsense\n');
  assert.match(holderIdentity(directory, 'node1', log), /^node1_[0-9a-f]{10}$/);
  holderIdentity(join(directory, 'missing'), 'node1', log);
  assert.match(told.join(), 'IdentityNotStored');
});

test('an identity that is in force is kept through a reload, and is put on disk as soon as that works', ({
  directory,
}) => {
  const missing = join(directory, 'missing');
  const inForce = holderIdentity(missing, 'node1', log);
  assert.is(holderIdentity(missing, 'node1', log, inForce), inForce);
  assert.is(holderIdentity(directory, 'node1', log, inForce), inForce);
  assert.is(holderIdentity(directory, 'node1', log), inForce);
});

test.run();
