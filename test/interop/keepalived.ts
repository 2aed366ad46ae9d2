/** keepalived as an end: its configuration, its two processes, its log and its counters. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type End, type EndConfig, eventually, type Rejection, type Word } from './end.ts';
import { type Ground, otherPlace, type Place } from './ground.ts';
import { keepalivedConf, resignationsIn, wordOf } from './keepalived-text.ts';

/** @param program keepalived's path */
export const keepalivedEnd = (ground: Ground, place: Place, program: string): End =>
  new Keepalived(ground, place, program);

/** The lines in which it says why it rejects a packet. */
const REJECTIONS: Partial<Record<Rejection, RegExp>> = {
  checksum: /Invalid VRRPv\d checksum/,
  interval: /advertisement interval mismatch/,
  password: /received an invalid passwd/,
  version: /wrong version/,
};
/** A SIGUSR2 each, and nothing about the pair. */
const NOISE = 'Printing VRRP stats';
const LOG_LINES = 40;

class Keepalived implements End {
  readonly kind = 'keepalived';
  readonly place: Place;
  readonly words: Word[] = [];
  priority = 0;
  readonly #ground: Ground;
  readonly #program: string;
  readonly #lines: string[] = [];
  #running: { child: ChildProcess; exited: Promise<unknown> } | null = null;

  constructor(ground: Ground, place: Place, program: string) {
    this.#ground = ground;
    this.place = place;
    this.#program = program;
  }

  async start(config: EndConfig): Promise<void> {
    this.priority = config.priority;
    const dir = this.#ground.dirOf(this.place);
    // As at a boot, where /run is empty.
    for (const file of ['keepalived.pid', 'vrrp.pid']) rmSync(join(dir, file), { force: true });
    const file = join(dir, 'keepalived.conf');
    writeFileSync(file, this.#configuration(config), { mode: 0o600 });
    const argv = [
      ...[this.#program, '--dont-fork', '--log-console', '--vrrp', '--use-file', file],
      ...['--pid', join(dir, 'keepalived.pid'), '--vrrp_pid', join(dir, 'vrrp.pid')],
    ];
    const [command = '', ...args] = this.#ground.enter(this.place, argv);
    const env = { ...process.env, TMPDIR: dir };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const output of [child.stdout, child.stderr])
      createInterface({ input: output }).on('line', (line) => this.#hear(line));
    // `close`, not `exit`: by then all that it has said is heard.
    const exited = once(child, 'close').then(() => this.words.push('Gone'));
    this.#running = { child, exited };
    const before = this.words.length;
    await eventually(
      'keepalived should start',
      () => this.words.slice(before).includes('Backup') || undefined,
      () => this.log(),
    );
  }

  /** The child first, while its parent cannot notice: told of its parent's end, it would resign. */
  async crash(): Promise<void> {
    const { child, exited } = this.#process();
    child.kill('SIGSTOP');
    try {
      process.kill(this.#childPID(), 'SIGKILL');
    } finally {
      child.kill('SIGKILL');
    }
    await exited;
    this.#running = null;
  }

  async stop(): Promise<void> {
    const { child, exited } = this.#process();
    child.kill('SIGTERM');
    await exited;
    this.#running = null;
  }

  async rejected(cause: Rejection): Promise<number> {
    const line = REJECTIONS[cause];
    if (line === undefined)
      throw new Error(`keepalived does not tell that it rejected a packet for its ${cause}.`);
    return this.#lines.filter((said) => line.test(said)).length;
  }

  /** SIGUSR2 makes it write its statistics to a new file. */
  async resignationsHeard(): Promise<number> {
    const file = join(this.#ground.dirOf(this.place), 'keepalived.stats');
    rmSync(file, { force: true });
    process.kill(this.#childPID(), 'SIGUSR2');
    return eventually(
      'keepalived should write its statistics',
      () => resignationsIn(read(file)),
      () => `${read(file)}\n${this.log()}`,
    );
  }

  log(): string {
    return `keepalived (${this.place}) said:\n${this.#lines.slice(-LOG_LINES).join('\n')}`;
  }

  #configuration(config: EndConfig): string {
    const [source, peer] = [this.#ground.address(this.place), this.#ground.address(otherPlace(this.place))];
    return keepalivedConf({ name: this.place, source, peer, vip: this.#ground.vip }, config);
  }

  #hear(line: string): void {
    if (line.includes(NOISE)) return;
    this.#lines.push(line);
    const word = wordOf(line);
    if (word !== undefined) this.words.push(word);
  }

  #process(): { child: ChildProcess; exited: Promise<unknown> } {
    if (this.#running === null) throw new Error(`keepalived does not run at ${this.place}.`);
    return this.#running;
  }

  #childPID(): number {
    return Number(readFileSync(join(this.#ground.dirOf(this.place), 'vrrp.pid'), 'utf8'));
  }
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // not written yet
  }
};
