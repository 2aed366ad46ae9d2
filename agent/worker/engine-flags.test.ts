import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENGINE_FLAGS } from './engine-flags.ts';

test('this Node takes the flags, hands them on, and runs a worker with them', () => {
  const program = `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    if (isMainThread) new Worker(process.argv[1], { eval: true }).on('message', console.log);
    else parentPort.postMessage(process.execArgv.join(' '));
  `;
  const work = `require('node:worker_threads').parentPort.postMessage(process.execArgv.join(' '))`;
  const said = execFileSync(process.execPath, [...ENGINE_FLAGS, '-e', program, work], { encoding: 'utf8' });
  for (const flag of ENGINE_FLAGS) assert.match(said, flag);
});

test.run();
