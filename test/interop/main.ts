/**
 * The table played inside a world of its own: `main.ts KEEPALIVED [PATTERN]`. Prints each row's outcome as a line of JSON,
 * in the order in which rows end. A row has a ground to itself.
 */
import { buildGrounds, type Ground } from './ground.ts';
import { rows } from './rows.ts';
import { play } from './scene.ts';

/** They mostly wait. */
const GROUNDS = 8;

const [keepalived = '', pattern = ''] = process.argv.slice(2);
const waiting = rows().filter(({ name }) => name.includes(pattern));

const playAll = async (ground: Ground): Promise<void> => {
  for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
    process.stdout.write(`${JSON.stringify(await play(row, ground, keepalived))}\n`);
  }
};

await Promise.all((await buildGrounds(Math.min(GROUNDS, waiting.length))).map(playAll));
process.exit(0); // the tap still listens
