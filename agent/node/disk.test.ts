import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { emptyRecord } from '../ports.ts';
import { logTo, stateSuite } from '../testing/state-suite.ts';
import { loadRecords, openDisk } from './disk.ts';

const test = stateSuite('state');

const record = { ...emptyRecord('prod', 'web'), highestTerm: 7, added: ['10.10.10.10'] };

test('what was saved is loaded again, one file per pair', async ({ directory, told }) => {
  await openDisk(directory, record).save(record);
  await openDisk(directory, emptyRecord('prod', 'web.b')).save(emptyRecord('prod', 'web.b'));
  assert.equal(
    loadRecords(directory, logTo(told)).sort((a, b) => a.pairName.length - b.pairName.length),
    [record, emptyRecord('prod', 'web.b')],
  );
  assert.equal(told, []);
});

test('it is for the owner’s eyes only, and no temporary file stays', async ({ directory }) => {
  await openDisk(directory, record).save(record);
  assert.equal(readdirSync(directory), ['prod.web.pair']);
  assert.is(statSync(join(directory, 'prod.web.pair')).mode & 0o777, 0o600);
});

test('of many saves at once the newest is on disk when any of them resolves later', async ({
  directory,
  told,
}) => {
  const disk = openDisk(directory, record);
  const saves = Array.from({ length: 50 }, (_, term) => disk.save({ ...record, highestTerm: term }));
  await Promise.all(saves);
  assert.is(loadRecords(directory, logTo(told))[0]?.highestTerm, 49);
});

test('a note is in the file at once', async ({ directory, told }) => {
  const disk = openDisk(directory, emptyRecord('prod', 'web'));
  await disk.note(record);
  assert.equal(loadRecords(directory, logTo(told)), [record]);
  await disk.save({ ...record, highestTerm: 8 });
  assert.is(loadRecords(directory, logTo(told))[0]?.highestTerm, 8);
});

test('it stays for the owner’s eyes only when a crash or a restored backup left it open to others', async ({
  directory,
  told,
}) => {
  const path = join(directory, 'prod.web.pair');
  writeFileSync(`${path}.new`, 'cut off', { mode: 0o644 });
  await openDisk(directory, record).save(record);
  assert.is(statSync(path).mode & 0o777, 0o600);

  chmodSync(path, 0o644);
  assert.equal(loadRecords(directory, logTo(told)), [record]);
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.match(told.join(), /"StateFileExposed".*644/);
});

test('no flipped bit passes for a record', async ({ directory, told }) => {
  const path = join(directory, 'prod.web.pair');
  await openDisk(directory, record).save(record);
  const good = readFileSync(path);
  // The last byte ends the record; nothing is read after it.
  for (let at = 0; at < good.length - 1; at += 1) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8));
    writeFileSync(path, bad);
    assert.equal(loadRecords(directory, logTo(told)), [], `byte ${at}`);
  }
});

test('whatever lies in the place of the file is set aside; the pair’s next save finds the place free', async ({
  directory,
  told,
}) => {
  const path = join(directory, 'prod.web.pair');
  // Also when that has happened before: what was set aside then may be a directory too.
  for (const aside of ['prod.web.pair.corrupt', 'prod.web.pair.corrupt2']) {
    rmSync(path, { force: true });
    mkdirSync(join(path, 'inner'), { recursive: true });
    assert.equal(loadRecords(directory, logTo(told)), []);
    assert.ok(statSync(join(directory, aside)).isDirectory());
    await openDisk(directory, record).save(record);
    assert.equal(loadRecords(directory, logTo(told)), [record]);
  }
  assert.is(told.length, 2);
  assert.match(told[0] ?? '', /"StateFileUnreadable".*EISDIR/);
});

test('what is set aside is bounded', ({ directory, told }) => {
  for (let round = 0; round < 20; round += 1) {
    writeFileSync(join(directory, 'prod.web.pair'), `round ${round}`);
    loadRecords(directory, logTo(told));
  }
  assert.is(readdirSync(directory).length, 9);
});

test('one unusable file is no obstacle to the others', async ({ directory, told }) => {
  writeFileSync(join(directory, 'prod.bad.pair'), 'nonsense');
  await openDisk(directory, record).save(record);
  assert.equal(loadRecords(directory, logTo(told)), [record]);
});

test('a file that was cut or changed is set aside with a clear message', async ({ directory, told }) => {
  const path = join(directory, 'prod.web.pair');
  for (const damage of [
    (text: string) => text.slice(0, 80),
    (text: string) => text.replace('"highestTerm":7', '"highestTerm":9'),
    () => '',
  ]) {
    await openDisk(directory, record).save(record);
    writeFileSync(path, damage(readFileSync(path, 'utf8')));
    assert.equal(loadRecords(directory, logTo(told)), []);
    assert.match(
      readdirSync(directory).join(),
      /^prod\.web\.pair\.corrupt\d?(,prod\.web\.pair\.corrupt\d)*$/,
    );
  }
  assert.is(told.length, 3);
  assert.match(told[0] ?? '', /"StateFileUnreadable".*checksum/);
});

test('a state directory that is none is refused, with the way out', ({ directory, told }) => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  assert.throws(
    () => loadRecords(file, logTo(told)),
    (error: Error) =>
      error.message.startsWith(`stateDir ${file} cannot be used: EEXIST`) &&
      error.message.includes('name another'),
  );
});

test('a removed pair leaves no file', async ({ directory }) => {
  const disk = openDisk(directory, record);
  await disk.save(record);
  await disk.remove();
  assert.equal(readdirSync(directory), []);
});

test('a directory that vanished is an error that says what to check', async ({ directory }) => {
  const disk = openDisk(join(directory, 'gone'), record);
  try {
    await disk.save(record);
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /cannot write .*prod\.web\.pair.*check the state directory/);
  }
});

test.run();
