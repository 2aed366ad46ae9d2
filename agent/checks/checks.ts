/** The health checks of all pairs of this node. */
import type { HealthCheck } from '../../crds/types.ts';
import type { Key } from '../../kube/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { CheckFinding } from '../rules/verdict.ts';
import { Check } from './check.ts';
import { createGate } from './gate.ts';
import type { CheckPlace, CheckRunner, CheckSnapshot } from './types.ts';

export type ChecksOptions = {
  runner: CheckRunner;
  clock: Clock;
  /** When the first runs of a pair come, in [0, 1) of a second; default {@link phaseOf}. */
  phase?: (pair: Key) => number;
  log: Log;
  /** All findings of a pair, whenever one of them has changed. */
  onFindings: (pair: Key, findings: readonly CheckFinding[]) => void;
};

/** Commands that run at one time: each is a process or more. */
const COMMANDS_AT_ONCE = 8;
/** Connections that are open at one time. */
const CONNECTIONS_AT_ONCE = 64;

export class Checks {
  readonly #options: ChecksOptions;
  readonly #pairs = new Map<Key, Map<string, Check>>();
  readonly #gates = {
    command: createGate(COMMANDS_AT_ONCE, () => this.#pairsWith('command')),
    connection: createGate(CONNECTIONS_AT_ONCE, () => this.#pairsWith('connection')),
  };
  #isClosed = false;

  constructor(options: ChecksOptions) {
    this.#options = options;
  }

  /**
   * Runs these checks of a pair from now on. One that asks for the same thing as before keeps its verdict and its runs; one
   * that is new has none until it has run.
   * @returns what is known of them; what is found later goes to `onFindings`
   */
  follow(place: CheckPlace, specs: readonly HealthCheck[]): readonly CheckFinding[] {
    const before = this.#pairs.get(place.pair) ?? new Map<string, Check>();
    const checks = new Map(
      (this.#isClosed ? [] : specs).map((spec) => [
        spec.name,
        this.#goOn(before.get(spec.name), spec, place),
      ]),
    );
    for (const [name, check] of before) if (checks.get(name) !== check) check.stop();
    if (checks.size > 0) this.#pairs.set(place.pair, checks);
    else this.#pairs.delete(place.pair);
    return findingsOf(checks);
  }

  /** Every check, with what it has counted. */
  snapshot(): CheckSnapshot[] {
    return [...this.#pairs.values()].flatMap((checks) => [...checks.values()].map((check) => check.snapshot));
  }

  /** Ends all checks for good. */
  close(): void {
    this.#isClosed = true;
    for (const pair of [...this.#pairs.keys()]) this.follow({ pair, sourceAddress: '' }, []);
  }

  /** Those among whom the places for that kind of check are shared. */
  #pairsWith(kind: Kind): Key[] {
    return [...this.#pairs].flatMap(([pair, checks]) =>
      [...checks.values()].some(({ spec }) => kindOf(spec) === kind) ? [pair] : [],
    );
  }

  #goOn(before: Check | undefined, spec: HealthCheck, place: CheckPlace): Check {
    if (before?.asksFor(spec, place)) {
      before.retime(spec);
      return before;
    }
    const { runner, clock, phase = phaseOf } = this.#options;
    const gate = this.#gates[kindOf(spec)];
    const onFinding = (isNew: boolean): void => {
      if (isNew) this.#tell(place.pair, check.finding);
      this.#options.onFindings(place.pair, findingsOf(this.#pairs.get(place.pair) ?? new Map()));
    };
    const check: Check = new Check(
      spec,
      { place, runner, gate, clock, phase: phase(place.pair), onFinding },
      before?.snapshot.runs,
    );
    return check;
  }

  #tell(pair: Key, { name, healthy, message }: CheckFinding): void {
    const { log } = this.#options;
    if (healthy === false) log.warn({ pair, check: name, reason: 'ChecksFailed', message }, 'check fails');
    else log.info({ pair, check: name, reason: 'ChecksPassed' }, 'check passes');
  }
}

/** What a run of it takes a place of. */
type Kind = 'command' | 'connection';

const kindOf = ({ command }: HealthCheck): Kind => (command === undefined ? 'connection' : 'command');

const findingsOf = (checks: ReadonlyMap<string, Check>): readonly CheckFinding[] =>
  [...checks.values()].map(({ finding }) => finding);

/**
 * Pairs begin at different times, so that a node with many of them is not busy all at once; both nodes of a pair at the same
 * time, so that a wrong path in Git fails on both together and does not first make them change places.
 */
const phaseOf = (pair: Key): number => {
  let hash = 0;
  for (const character of pair) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 1_000;
  return hash / 1_000;
};
