/** The planted bugs. One that the simulation does not catch is a gap in the simulation: this list is never made shorter for it. */
import type { Bug } from './bug.ts';

/** How agents number their claims and when they say so. */
const TERMS: readonly Bug[] = [
  {
    name: 'a term that is not above the highest known',
    file: 'agent/rules/term.ts',
    text: 'highestTerm({ ...evidence, peer }) + 1',
    planted: 'highestTerm({ ...evidence, peer })',
    promise: 'T2',
  },
  {
    name: 'a superseded Master keeps its term',
    file: 'agent/rules/term.ts',
    text: `  if (term < floor) return 'BelowFloor';
  if (peer !== undefined && peer.term > term) return 'BelowPeer';
`,
    planted: '',
    promise: 'T21',
  },
  {
    name: 'a living newer Master is out-claimed',
    file: 'agent/rules/term.ts',
    text: `return peerDead ? 'PeerDead' : null;`,
    planted: `return 'PeerDead';`,
    promise: 'T3',
  },
  {
    name: 'a dead newer Master hides a live one for ever',
    file: 'agent/rules/term.ts',
    text: `return peerDead ? 'PeerDead' : null;`,
    planted: 'return null;',
    promise: 'T1',
  },
  {
    name: 'one reading of silence proves a death',
    file: 'agent/rules/life.ts',
    text: 'silence.untilMs - silence.sinceMs >= SILENCE_MS',
    planted: 'silence.untilMs - silence.sinceMs >= 0',
    promise: 'T1',
  },
  {
    name: 'a claim is reported before it has listened',
    file: 'agent/rules/report.ts',
    text: '=> settled && vipUp;',
    planted: '=> settled || vipUp;',
    promise: 'T18',
  },
  {
    name: 'priority is trusted although the API is out of reach',
    file: 'agent/rules/priority.ts',
    text: 'contact.specRead && !isCutOff(contact, nowMs) ? specPriority :',
    planted: 'nowMs >= 0 ? specPriority :',
    promise: 'T10',
  },
  {
    name: 'the Lease is renewed while the worker hangs',
    file: 'agent/worker/sign-of-life.ts',
    text: 'onPong(await ping());',
    planted: 'void ping().then(onPong, () => undefined);',
    promise: 'T19',
  },
];

/** What is on the interface. */
const DOORS: readonly Bug[] = [
  {
    name: 'the VIP leaves the interface with the mastership',
    file: 'agent/rules/vip.ts',
    text: 'deliveredHere(address) || (servesAll && vips.includes(address))',
    planted: 'servesAll && vips.includes(address)',
    promise: 'T7',
  },
  {
    name: 'the VIP is taken off before a late move has arrived',
    file: 'agent/rules/vip.ts',
    text: 'former === null || nowMs - former.leftAtMs >= ARRIVAL_MS',
    planted: 'former === null || nowMs - former.leftAtMs >= 0',
    promise: 'V5',
    first: 'EC2 follows a report that has been taken back',
  },
  {
    name: 'EC2 delivers to a node that says it lacks the VIP',
    file: 'operator/plan/situation.ts',
    text: 'return movable.isOnInterface && !isPinned && !isPutUp(id) ? [key] : [];',
    planted: 'return [];',
    promise: 'V5',
    first: 'the VIP changes while the Master is cut off',
  },
  {
    name: 'a pin places what is new to the pair wherever it lies',
    file: 'operator/plan/situation.ts',
    text: "const isPinned = pin === target.name && standings[key] !== 'Free';",
    planted: 'const isPinned = pin !== undefined;',
    promise: 'T58',
    first: 'T58',
  },
  {
    name: 'a dropped VIP goes before its successor has come up',
    file: 'operator/plan.ts',
    text: `pair.spec.paused || (!arrived && memory.calls.unanswered?.purpose !== 'Release')`,
    planted: 'pair.spec.paused',
    promise: 'T14',
    first: 'the VIP changes while the Master is cut off',
  },
];

/** The election on the wire. */
const ELECTION: readonly Bug[] = [
  {
    name: 'of two equal Masters the lower address stays',
    file: 'agent/vrrp/machine.ts',
    text: 'source > parseIPv4Address(sourceAddress)',
    planted: 'source < parseIPv4Address(sourceAddress)',
    promise: 'V4',
    first: 'T10',
  },
  {
    name: 'a resignation is taken for an advert',
    file: 'agent/vrrp/machine.ts',
    text: `    if (advert.priority === RESIGN_PRIORITY) {
      this.#listen(now + skewTime(this.#config, this.#masterAdverInterval()), 'Resignation');
    } else if (claim`,
    planted: '    if (claim',
    promise: 'V3',
    first: 'T4',
  },
  {
    name: 'a Backup of higher priority preempts',
    file: 'agent/vrrp/machine.ts',
    text: 'preemptMode !== true || advert.priority >= priority',
    planted: 'advert.priority >= priority',
    promise: 'V2',
    first: 'seed 53',
  },
  {
    name: 'a Master that was stopped goes on as if nothing had happened',
    file: 'agent/vrrp/machine.ts',
    text: 'if (now - this.#state.lastAdvertAt <= own) return;',
    planted: 'if (now - this.#state.lastAdvertAt >= 0) return;',
    promise: 'V2',
    first: 'a Master that was stopped',
  },
  {
    name: 'a node that must never claim does',
    file: 'agent/vrrp/machine.ts',
    text: `    if (this.#config.claim === 'Never') {
      this.#state = { ...backup, masterDownTimer: null };`,
    planted: `    if (this.#config.claim === 'Always') {
      this.#state = { ...backup, masterDownTimer: null };`,
    promise: 'T24',
  },
];

/** Orders to switch, and pins. */
const ORDERS: readonly Bug[] = [
  {
    name: 'a Master yields in every term once an order was given',
    file: 'agent/pair/worker.ts',
    text: 'const ordered = orderedTerm(state) === term && state.confirmedYield === term;',
    planted: 'const ordered = orderedTerm(state) > 0;',
    promise: 'T25',
    first: 'T25: order recorded, then a pin',
  },
  {
    name: 'a Master yields twice for one order',
    file: 'agent/pair/worker.ts',
    text: '  noteYielded(state, term);\n',
    planted: '',
    promise: 'S9',
    first: 'S9',
  },
  {
    name: 'an order that a resumed watch replays is obeyed',
    file: 'agent/pair/worker.ts',
    text: 'orderedTerm(state) === term && state.confirmedYield === term',
    planted: 'orderedTerm(state) === term',
    promise: 'T25',
  },
  {
    name: 'an order is consumed only when its target has won',
    file: 'operator/plan/orders.ts',
    text: '!mastersOf(reports).some(({ term }) => term > yieldTerm)',
    planted: '!(elected?.node === failback.observedPreferredNode && elected.term > yieldTerm)',
    promise: 'T4',
  },
  {
    name: 'an order outlives a pin',
    file: 'operator/plan/orders.ts',
    text: '  if (accepted && pair.spec.pinnedNode !== undefined) return pinned(input, stored);\n',
    planted: '',
    promise: 'T25',
  },
  {
    name: 'a recorded order never expires',
    file: 'operator/plan/orders.ts',
    text: 'if (wallMs < deadlineMs) return { failback, events: []',
    planted: 'if (wallMs > 0) return { failback, events: []',
    promise: 'T25',
  },
  {
    name: 'a Master yields to a node that shows no sign of life',
    file: 'operator/plan/orders.ts',
    text: `return isFresh(life[target], nowMs) ? undefined : 'it has shown no fresh sign of life';`,
    planted: 'return undefined;',
    promise: 'T25',
  },
];

/** VRRP parameters that change while the pair runs. */
const PARAMETERS: readonly Bug[] = [
  {
    name: 'the new interval is sent before both accept it',
    file: 'operator/plan/parameters.ts',
    text: '    if (unacknowledged.length > 0) return { vrrp, step: number, waitsFor: unacknowledged };\n',
    planted: '',
    promise: 'T6',
  },
  {
    name: 'a second change of parameters overtakes the first',
    file: 'operator/plan/parameters.ts',
    text: 'if (next !== undefined && sends(next)) {',
    planted: 'if (next !== undefined && sends(next) && isEqual(next, wanted)) {',
    promise: 'T26',
    first: 'T26, version 2: A->B->C',
  },
  {
    name: 'a spec is acknowledged before it is on disk',
    file: 'agent/pair/lanes/load.ts',
    text: 'await ports.disk.save(state.record);',
    planted: 'void ports.disk.save(state.record).catch(() => undefined);',
    promise: 'T26',
    first: 'T26, version 2: n2',
  },
];

/** EC2's calls. */
const CALLS: readonly Bug[] = [
  {
    name: 'the operator acts below the term it has acted on',
    file: 'operator/plan/elect.ts',
    text: 'const term = Math.max(floor, ...masters.map((report) => report.term));',
    planted: 'const term = Math.max(...masters.map((report) => report.term));',
    promise: 'T13',
  },
  {
    name: 'the older of two Masters is believed',
    file: 'operator/plan/elect.ts',
    text: 'const term = Math.max(floor, ...masters.map((report) => report.term));',
    planted: 'const term = Math.min(...masters.map((report) => report.term));',
    promise: 'S1',
    first: 'T1:',
  },
  {
    name: 'one reading is believed: a repair without a second that agrees',
    file: 'delivery/converge.ts',
    text: '(input.view?.readAtMs ?? 0) >= seenAtMs + AGREEMENT_MS,',
    planted: '(input.view?.readAtMs ?? 0) >= seenAtMs - AGREEMENT_MS,',
    promise: 'T11',
    first: 'one reading that leaves',
  },
  {
    name: 'the cached view says that all is right, and nothing is read',
    file: 'delivery/memory.ts',
    text: '  observation.view.readAtMs >= knownSinceMs(observation) &&\n',
    planted: '',
    promise: 'T17',
    first: 'T17: the cached view',
  },
  {
    name: 'a call while another is unanswered',
    file: 'delivery/converge.ts',
    text: '  if (input.unanswered) return result;\n',
    planted: '',
    promise: 'T11',
  },
  {
    name: 'the lease is not checked before a call',
    // The reconciler and EC2's guard both ask it.
    file: 'operator/parts.ts',
    text: 'const isLeader = (): boolean => elector.isLeader();',
    planted: 'const isLeader = (): boolean => true;',
    promise: 'T12',
    first: 'T12: a paused leader wakes after its lease ran out, and a call is',
  },
  {
    name: 'a leader counts on its lease for twice as long',
    file: 'kube/elector-machine.ts',
    text: 'const untilMs = startedMs + this.#times.renewDeadlineMs;',
    planted: 'const untilMs = startedMs + 2 * this.#times.renewDeadlineMs;',
    promise: 'S4',
    first: 'S4',
  },
  {
    name: 'a paused pair is moved',
    file: 'operator/plan.ts',
    text: "const isReady = !pair.spec.paused && (isHeld(pair) || pair.spec.deletionPolicy === 'Retain');",
    planted: "const isReady = isHeld(pair) || pair.spec.deletionPolicy === 'Retain';",
    promise: 'S1',
    first: 'paused',
  },
  {
    name: 'a dead incumbent of a flapping pair is waited for',
    file: 'operator/plan/damping.ts',
    text: 'return nowMs >= probe.askedAtMs + PROBE_MS ? { ...probe, isSilent: true } : probe;',
    planted: 'return probe;',
    promise: 'T8',
  },
  {
    name: 'a flapping pair is not held down',
    file: 'operator/plan/damping.ts',
    text: 'if (!incumbent || !flapping || wallMs >= flapping.holdUntilWallMs) return FREE;',
    planted: 'return FREE;',
    promise: 'T8',
  },
];

/** The end of a pair, and what is written of it. */
const ENDS: readonly Bug[] = [
  {
    name: 'a deletion waits for an agent that is away for ever',
    file: 'operator/plan/deletion.ts',
    text: 'export const AGENTS_STOP_MS = 30_000;',
    planted: 'export const AGENTS_STOP_MS = 30_000_000;',
    promise: 'T16: an agent is away',
  },
  {
    name: 'the finalizer goes before EC2 was seen without the addresses',
    file: 'operator/plan/deletion.ts',
    text: '  if (step.done) {',
    planted: '  if (step.done || memory.release.sinceMs !== undefined) {',
    promise: 'T16',
  },
  {
    name: 'a release takes what another HAPair names',
    file: 'delivery/release.ts',
    text: '({ item }) => item.movable === movable && !keep.includes(item.id)',
    planted: '({ item }) => item.movable === movable',
    promise: 'T15',
  },
  {
    name: 'a condition gets a time at every write',
    file: 'agent/rules/report.ts',
    text: 'before?.status === status ? before.lastTransitionTime : formatTime(changedAtMs)',
    planted: 'formatTime(nowMs)',
    promise: 'S7',
  },
  {
    name: 'the status is written although it says what is stored',
    file: 'operator/plan.ts',
    text: 'const isWritten = waitsUntilMs === undefined && !isEqual(next, pair.status);',
    planted: 'const isWritten = true;',
    promise: 'S6',
    first: '410',
  },
  {
    name: 'after 410 Gone the watch goes on where it was, without a list',
    file: 'kube/watch-machine.ts',
    text: `if (gone || isKubeError(cause, 'Invalid')) this.#startOver();`,
    planted: `if (isKubeError(cause, 'Invalid')) this.#startOver();`,
    promise: 'L1',
    first: '410 Gone',
  },
  {
    name: 'what changes while its pair is being handled is forgotten',
    file: 'kube/queue.ts',
    text: 'this.#again.set(key, moreUrgent(lane, this.#again.get(key) ?? lane));',
    planted: '',
    promise: 'L1',
    first: 'a report that comes while',
  },
];

export const BUGS: readonly Bug[] = [
  ...TERMS,
  ...DOORS,
  ...ELECTION,
  ...ORDERS,
  ...PARAMETERS,
  ...CALLS,
  ...ENDS,
];
