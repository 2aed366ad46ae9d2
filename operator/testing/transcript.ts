/** What a pair's plans say and do, in words: every change of its status, every call, Event, write and deadline. */
import type { HAPairSpec, HAPairStatus } from '../../crds/types.ts';
import { describeEC2Call } from '../../ec2/actions.ts';
import type { EC2Result } from '../../ec2/types.ts';
import { isGood } from '../plan/problem.ts';
import type { Plan } from '../plan/types.ts';
import { Rig } from './rig.ts';

type Leaves = Map<string, string>;

/** Elements of a list go by what names them, so that another order is no other content. */
const nameOf = (item: unknown, index: number): string => {
  const { type, name, vip, term } = (item ?? {}) as Partial<Record<string, unknown>>;
  if (typeof type === 'string') return type;
  if (typeof name === 'string') return typeof vip === 'string' ? `${name}=${vip}` : name;
  return term === undefined ? String(index) : `term ${term}`;
};

const leavesOf = (value: unknown, path = '', leaves: Leaves = new Map()): Leaves => {
  if (Array.isArray(value) && value.some((item) => typeof item === 'object')) {
    for (const [index, item] of value.entries()) leavesOf(item, `${path}[${nameOf(item, index)}]`, leaves);
    leaves.set(`${path}[]`, value.map(nameOf).join(', '));
  } else if (!Array.isArray(value) && typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value))
      leavesOf(each, path === '' ? key : `${path}.${key}`, leaves);
  } else if (value !== undefined) leaves.set(path, Array.isArray(value) ? value.join(' ') : String(value));
  return leaves;
};

/** What is another than before, a line each. */
const changesOf = (before: unknown, after: unknown): string[] => {
  const [old, now] = [leavesOf(before), leavesOf(after)];
  const set = [...now]
    .filter(([path, text]) => old.get(path) !== text)
    .map(([path, text]) => `${path}: ${text}`);
  return [
    ...set,
    ...[...old.keys()].filter((path) => !now.has(path)).map((path) => `${path} is gone`),
  ].sort();
};

const indented = (text: string): string => text.replaceAll('\n', '\n        ');

/**
 * The status with a line for each condition, and once what they all share. Their order is told as far as the last one that is not
 * good: all before it are not good either.
 */
const toldStatus = (status: HAPairStatus | undefined): object => {
  const { conditions = [], message, ...rest } = status ?? {};
  const cause = conditions.find((condition) => condition.message === message);
  return {
    ...rest,
    message: cause ? `that of ${cause.type}` : message,
    order: conditions.slice(0, conditions.findLastIndex((each) => !isGood(each)) + 1).map(({ type }) => type),
    generation: [...new Set(conditions.map(({ observedGeneration }) => observedGeneration))],
    ...Object.fromEntries(
      conditions.map(({ type, status: is, reason, lastTransitionTime, message: text }) => [
        type,
        `${is} ${reason} since ${lastTransitionTime}: ${indented(text)}`,
      ]),
    ),
  };
};

const round = (ms: number): string => `${(ms / 1_000).toFixed(3).replace(/\.?0+$/, '')} s`;

/** A rig that writes down what its plans do. */
export class Story {
  readonly rig: Rig;
  readonly lines: string[] = [];

  constructor(title: string, change: Partial<HAPairSpec> = {}, begin = Rig.converged.bind(Rig)) {
    this.rig = begin(change);
    this.lines.push(`== ${title}`);
  }

  /** Something happens, and what follows of it, with EC2 answering after a second and a half. */
  when(what: string, happens: () => void = () => undefined, result: EC2Result = { ok: true }): void {
    this.lines.push('', `${round(this.rig.nowMs)}: ${what}`);
    happens();
    this.settle(result);
  }

  /** Time passes; the agents of `alive` show signs of life every five seconds, and EC2 is read every twenty. */
  pass(ms: number, ...alive: string[]): void {
    this.lines.push(
      '',
      `${round(this.rig.nowMs)}: ${round(ms)} pass${alive.length ? `, ${alive.join(' and ')} alive` : ''}`,
    );
    for (let passed = 0; passed < ms; passed += 5_000) {
      this.rig.pass(Math.min(5_000, ms - passed));
      for (const node of alive) this.rig.alive(node);
      if (passed % 20_000 === 0 && this.rig.reading.failure === undefined) this.rig.read();
      this.settle({ ok: true });
    }
  }

  /** Plans until nothing more is wanted now. */
  settle(result: EC2Result): void {
    for (let turn = 0; turn < 12; turn++) {
      this.rig.pass(1);
      const next = this.step();
      if (next.call) {
        this.rig.pass(1_500);
        this.rig.answer(result);
        this.lines.push(`    EC2 answers: ${result.ok ? 'done' : result.code}`);
        if (!result.ok) return void this.step();
      } else if (next.readSinceMs !== undefined && next.readSinceMs <= this.rig.nowMs) this.rig.read();
      else if (!next.status && next.instances.length === 0 && !next.finalizer) return;
    }
  }

  step(): Plan {
    const { status } = this.rig.pair;
    const stored = new Map(this.rig.instances.map((each) => [each.metadata.name, each]));
    const at = round(this.rig.nowMs);
    const next = this.rig.step();
    const { call } = next;
    const said = [
      ...(call
        ? [
            `call, ${call.purpose} in term ${call.term}: ${describeEC2Call(call.call, call.node)} [${call.items.join(', ')}]`,
          ]
        : []),
      ...next.events.map(({ type, reason, message }) => `${type} ${reason}: ${indented(message)}`),
      ...(next.status
        ? changesOf(toldStatus(status), toldStatus(next.status)).map((line) => `status ${line}`)
        : []),
      ...next.instances.flatMap(({ metadata, spec }) =>
        changesOf(stored.get(metadata.name)?.spec, spec).map((line) => `${metadata.name}: ${line}`),
      ),
      ...next.remove.map((name) => `${name} is removed`),
      ...(next.finalizer ? [`finalizer: ${next.finalizer}`] : []),
    ];
    if (said.length === 0) return next;
    const again =
      next.requeueAfterMs === undefined ? 'never by time alone' : `in ${round(next.requeueAfterMs)}`;
    const read =
      next.readSinceMs === undefined ? '' : `; EC2 is to be read, not before ${round(next.readSinceMs)}`;
    this.lines.push(
      `  ${at} (${next.reason}), looks again ${again}${read}`,
      ...said.map((line) => `    ${line}`),
    );
    return next;
  }

  get text(): string {
    return `${this.lines.join('\n')}\n`;
  }
}
