/**
 * One virtual router: the state machine of RFC 9568 section 6.4 (RFC 3768 section 6.4), without clock, socket or timer.
 * The caller hands in every datagram and the time, sends what comes out, and calls `handleTimeout` when `nextTimeout` has
 * come, *after* it has handed in every datagram that had arrived by then. Times are milliseconds of one monotonic clock.
 *
 * Beyond the RFC: Fault and the last resort, resigning by order, pins, parameters that change while it runs, and what a
 * pause of the process or machine asks for. A rejected datagram changes nothing, not even the Master's own advert timer.
 *
 * It is one file, longer than others: the states share their timers and every transition ends in `#enter`, so that a part for
 * each state would read and write the fields of all.
 */
import type { Reason } from '../../crds/conditions.ts';
import { parseIPv4Address } from '../../runtime/ipv4.ts';
import { type Advert, decodeAdvert, encodeAdvert } from './packet.ts';
import { ADVERTS_TO_MISS, expectedInterval, masterDownInterval, shortestWait, skewTime } from './timers.ts';
import {
  type ClaimRefusal,
  type Output,
  type Predecessor,
  SETTLE_MS,
  type VirtualRouterConfig,
} from './types.ts';

const OWNER_PRIORITY = 255;
const RESIGN_PRIORITY = 0;
/** What may be over before a Backup has missed the Master: nothing can be sent meanwhile, a resignation neither. */
const MOMENTARY: readonly Reason[] = ['SourceAddressMissing', 'InterfaceMissing'];

type Backup = {
  name: 'Backup';
  /** When the Master counts as gone; null: it does, and `claim` is `Never`. */
  masterDownTimer: number | null;
  /**
   * What set the timer. `Entry`: nobody has been heard in this state. `Advert`: a live Master. `Resignation`: its priority 0, so
   * the timer runs for the skew alone. `Sleep`: the timer was missed by so much that a whole interval is listened again; once,
   * so that a busy machine still claims.
   */
  timerSince: 'Entry' | 'Advert' | 'Resignation' | 'Sleep';
};
type Master = {
  name: 'Master';
  adverTimer: number;
  lastAdvertAt: number;
  /** Between the last regular advert and the next: the interval its Backups go by until they hear of another. */
  paceMs: number;
  /** How many more adverts follow at this pace although the configured interval is longer. */
  hurried: number;
  settleTimer: number | null;
  /** When a missing address or link puts it into Fault: until then it is silent, as a Backup may not have missed it yet; null: none is missing. */
  faultTimer: number | null;
};
/** `silenceTimer`: when the peer counts as silent; null: it does. Nothing is claimed in Fault. */
type Fault = { name: 'Fault'; reason: Reason; silenceTimer: number | null };

/** The states; each carries the timers that run in it and no others. */
export type State = { name: 'Init' } | Backup | Master | Fault;

/** A virtual router. Every input returns what is to be done, in order; nothing happens between the inputs. */
export class VirtualRouter {
  #config: VirtualRouterConfig;
  /** The one that it sends as Master, encoded beforehand: a claim is to leave at once. */
  #advert: Uint8Array;
  #state: State = { name: 'Init' };
  /** Master_Adver_Interval as the Master's last advert said it; null: none was heard in this state. */
  #heardInterval: number | null = null;
  /** As told; a pin or the last resort may keep it from being in force. */
  #fault: Reason | null = null;
  /** Became Master out of Fault, because nobody healthy was left. */
  #lastResort = false;
  #peer: { heardAt: number; priority: number } | null = null;
  #outputs: Output[] = [];

  /** @throws RangeError when the configuration cannot be put into an advert. */
  constructor(config: VirtualRouterConfig) {
    this.#advert = encodeAsMaster(config);
    this.#config = config;
  }

  get state(): Readonly<State> {
    return this.#state;
  }

  get config(): Readonly<VirtualRouterConfig> {
    return this.#config;
  }

  /** When `handleTimeout` is due, or null: never. */
  nextTimeout(): number | null {
    switch (this.#state.name) {
      case 'Init':
        return null;
      case 'Backup':
        return this.#state.masterDownTimer;
      case 'Master':
        return (
          this.#state.faultTimer ??
          Math.min(this.#state.adverTimer, this.#state.settleTimer ?? Number.POSITIVE_INFINITY)
        );
      case 'Fault':
        return this.#state.silenceTimer;
    }
  }

  /**
   * Startup, RFC 9568 section 6.4.1: the owner of the addresses claims, everybody else listens first.
   * @param predecessor a Master that this router goes on for: it is Master at once, one of last resort if that one's checks
   * failed, unless a Backup may have missed enough adverts by now to claim. Default: it goes on for nobody.
   */
  start(now: number, predecessor: Predecessor | null = null): Output[] {
    if (this.#state.name === 'Init') {
      const { claim, priority } = this.#config;
      const goesOn =
        claim !== 'Never' && predecessor !== null && this.#mayGoOn(now, predecessor.lastAdvertAt);
      this.#fault = predecessor?.fault ?? this.#fault;
      // It was Master although its checks failed: but for a pin, because nobody healthy was left.
      this.#lastResort = goesOn && this.#fault === 'ChecksFailed' && claim !== 'Always';
      const isOwner = priority === OWNER_PRIORITY && claim !== 'Never';
      const mayServe = this.#faultInForce() === null;
      if (mayServe && goesOn) this.#becomeMaster(now, 'AgentReloaded');
      else if (mayServe && isOwner) this.#becomeMaster(now, 'AgentStarted');
      else this.#becomeBackup(now, 'AgentStarted');
    }
    return this.#take();
  }

  /** A datagram as a raw socket delivers it, IP header included. */
  handleDatagram(now: number, datagram: Uint8Array): Output[] {
    if (this.#state.name === 'Init') return [];
    const result = decodeAdvert(datagram, this.#config);
    if (!result.ok) return [{ type: 'rejected', cause: result.cause, source: result.source }];
    // RFC 9568 section 7.1: the owner listens to nobody.
    if (this.#config.priority === OWNER_PRIORITY) {
      return [{ type: 'rejected', cause: 'LocalRouterIsOwner', source: this.#config.peerAddress }];
    }
    // Before the advert counts: a Master that slept must not answer its successor from the past.
    this.#stepDownIfOverslept(now);
    this.#hear(now, result.advert.priority);
    if (this.#state.name === 'Backup') this.#backupHears(now, result.advert, result.source);
    else if (this.#state.name === 'Master') this.#masterHears(now, result.advert, result.source);
    else if (this.#state.name === 'Fault') this.#faultHears(now, this.#state, result.advert);
    return this.#take();
  }

  /** Lets every timer fire that is due at `now`; earlier than `nextTimeout` it does nothing. */
  handleTimeout(now: number): Output[] {
    switch (this.#state.name) {
      case 'Init':
        break;
      case 'Backup':
        if (this.#state.masterDownTimer !== null && now >= this.#state.masterDownTimer)
          this.#masterDownTimerFires(now, this.#state, this.#state.masterDownTimer);
        break;
      case 'Master':
        if (this.#state.faultTimer !== null && now >= this.#state.faultTimer)
          this.#obeyFault(now, 'InstanceConfigured');
        this.#stepDownIfOverslept(now);
        if (this.#state.name === 'Master') this.#masterTimersFire(now, this.#state);
        break;
      case 'Fault':
        if (this.#state.silenceTimer !== null && now >= this.#state.silenceTimer) {
          this.#state = { ...this.#state, silenceTimer: null };
          this.#peerSilent();
        }
        break;
    }
    return this.#take();
  }

  /**
   * A Master sends priority 0 and becomes Backup with a full master-down timer, or is in Fault again if that is what it came
   * from; ignored in other states.
   */
  resign(now: number, reason: Reason): Output[] {
    this.#stepDownIfOverslept(now);
    if (this.#state.name === 'Master') {
      this.#sendAdvert(RESIGN_PRIORITY);
      this.#becomeBackup(now, reason);
    }
    return this.#take();
  }

  /** Shutdown, RFC 9568 sections 6.4.2 and 6.4.3: a Master sends priority 0; then Init, whatever the state was. */
  stop(now: number, reason: Reason): Output[] {
    this.#stepDownIfOverslept(now);
    if (this.#state.name === 'Master') this.#sendAdvert(RESIGN_PRIORITY);
    if (this.#state.name !== 'Init') this.#enter({ name: 'Init' }, reason);
    this.#peer = null;
    this.#heardInterval = null;
    this.#fault = null;
    this.#lastResort = false;
    return this.#take();
  }

  /**
   * Enters Fault, a Master with priority 0; null leaves it for Backup. Within Fault the reason just changes. A settled Master whose
   * address or link is missing is silent first, for what is left of its master-down interval since its last advert; if that is
   * back by then, it advertises at once and nothing has happened (DESIGN, "A blip"). Failed checks are only remembered while `claim` is `Always`, or while this is a Master of last resort; it stays Master when they recover.
   */
  setFault(now: number, reason: Reason | null): Output[] {
    this.#stepDownIfOverslept(now);
    this.#fault = reason;
    if (reason === null) this.#lastResort = false;
    this.#obeyFault(now, 'InstanceConfigured');
    return this.#take();
  }

  /**
   * The last resort (DESIGN.md, "Last resort"): claims out of Fault, if that is for failed checks alone and the peer is
   * silent; ignored otherwise, and with `claim: Never`. Whether the peer is dead is for the caller to know.
   */
  claimUnhealthy(now: number): Output[] {
    const { claim } = this.#config;
    if (this.#state.name === 'Fault' && this.#fault === 'ChecksFailed' && claim !== 'Never') {
      if (this.#state.silenceTimer === null) {
        this.#lastResort = true;
        this.#becomeMaster(now, 'LastResort');
      }
    }
    return this.#take();
  }

  /**
   * A person's claim, for when no operator can be asked: becomes Master, unless a live Master is heard, or it is in Fault, in
   * Init, or told never to claim. A Master stays one. A Master that was not heard objects as to any claim.
   */
  claimByHand(now: number): Output[] {
    this.#stepDownIfOverslept(now);
    if (this.#state.name === 'Master') return this.#take();
    const refusal = this.#refusal(now);
    if (refusal === null) {
      this.#becomeMaster(now, 'ClaimedByHand');
      this.#peer = null;
    } else this.#outputs.push({ type: 'refused', refusal });
    return this.#take();
  }

  /**
   * Takes over other parameters without leaving the state, unless `claim` asks for it.
   * Another priority moves a running master-down timer by the difference of the skews. A longer interval to expect moves it
   * too; a shorter one is waited for from `now`, as the Master may begin with it only now. After a resignation nothing moves it
   * to later (V3, trace T61). An interval that a Master was heard to send at stays the one to expect for as long as it is
   * accepted; in v3, until the Master says another.
   * A Master's next advert comes no later than its new interval from `now`. A longer interval is said as often as an advert may
   * be lost before the pace slows down.
   * An advert that comes under parameters accepted no more is rejected, so to its receiver it is lost. That the peer sends
   * others by now is known from its acknowledgement, which takes longer than an advert that left before it.
   * @throws RangeError when the configuration cannot be put into an advert; the old one stays in force.
   */
  configure(now: number, config: VirtualRouterConfig): Output[] {
    const advert = encodeAsMaster(config);
    // What a pause left behind ends under the parameters it happened under.
    this.#stepDownIfOverslept(now);
    const before = { config: this.#config, interval: this.#masterAdverInterval(), span: this.#backupSpan() };
    this.#config = config;
    this.#advert = advert;
    if (config.peerAddress !== before.config.peerAddress) this.#forgetPeer();
    else if (!this.#isAccepted(this.#heardInterval)) this.#heardInterval = null;
    if (this.#state.name === 'Backup') this.#moveMasterDownTimer(now, this.#state, before);
    else if (this.#state.name === 'Master') this.#changePace(now, this.#state, before.config);
    if (config.claim !== before.config.claim) this.#obeyPin(now);
    return this.#take();
  }

  #moveMasterDownTimer(now: number, backup: Backup, before: { interval: number; span: number }): void {
    const isResigned = backup.timerSince === 'Resignation';
    // `Never` alone kept it from claiming: whatever comes now, it listens first, for as long as after what it has heard last.
    if (backup.masterDownTimer === null) {
      if (this.#config.claim !== 'Never')
        this.#listen(now + this.#backupSpan(), isResigned ? 'Resignation' : 'Entry');
      return;
    }
    const moved = backup.masterDownTimer + this.#backupSpan() - before.span;
    // Who has resigned waits for this node, and no longer because this node is to wait longer.
    if (isResigned) {
      this.#state = { ...backup, masterDownTimer: Math.max(now, Math.min(backup.masterDownTimer, moved)) };
      return;
    }
    const masterDownTimer =
      this.#masterAdverInterval() < before.interval
        ? Math.min(backup.masterDownTimer, now + this.#backupSpan())
        : Math.max(now, moved);
    this.#state = { ...backup, masterDownTimer };
  }

  #changePace(now: number, master: Master, before: VirtualRouterConfig): void {
    const { advertisementIntervalMs } = this.#config;
    if (advertisementIntervalMs === before.advertisementIntervalMs) return;
    const longer = advertisementIntervalMs > master.paceMs;
    this.#state = {
      ...master,
      hurried: longer ? ADVERTS_TO_MISS - 1 : 0,
      adverTimer: Math.min(master.adverTimer, now + advertisementIntervalMs),
    };
  }

  /** `Never` resigns; what `Always` ignored, or ignores now, is Fault or is none. */
  #obeyPin(now: number): void {
    if (this.#state.name === 'Init') return;
    this.#obeyFault(now, 'PinnedBySpec');
    if (this.#config.claim !== 'Never' || this.#state.name !== 'Master') return;
    this.#sendAdvert(RESIGN_PRIORITY);
    this.#becomeBackup(now, 'PinnedBySpec');
  }

  /** @param left why Fault is left, if not for the checks' recovery. */
  #obeyFault(now: number, left: Reason): void {
    const fault = this.#faultInForce();
    if (this.#state.name === 'Fault') {
      const recovered = this.#fault === null && this.#state.reason === 'ChecksFailed';
      if (fault !== null) this.#state = { ...this.#state, reason: fault };
      else this.#becomeBackup(now, recovered ? 'ChecksPassed' : left);
    } else if (fault !== null) {
      if (this.#state.name === 'Master') {
        if (this.#waitsInSilence(now, this.#state, fault)) return;
        this.#sendAdvert(RESIGN_PRIORITY);
      }
      this.#enterFault(now, fault, fault);
    } else if (this.#state.name === 'Master' && this.#state.faultTimer !== null) {
      this.#state = { ...this.#state, faultTimer: null };
      this.#advertiseRegularly(now);
    }
  }

  #waitsInSilence(now: number, master: Master, fault: Reason): boolean {
    if (!MOMENTARY.includes(fault) || master.settleTimer !== null) return false;
    const faultTimer = master.lastAdvertAt + masterDownInterval(this.#config, master.paceMs);
    if (now >= faultTimer) return false;
    this.#state = { ...master, faultTimer };
    return true;
  }

  #faultInForce(): Reason | null {
    const excused = this.#config.claim === 'Always' || this.#lastResort;
    return excused && this.#fault === 'ChecksFailed' ? null : this.#fault;
  }

  #mayGoOn(now: number, lastAdvertAt: number): boolean {
    // An advert of the future is one of another clock.
    return lastAdvertAt <= now && now - lastAdvertAt < shortestWait(this.#config);
  }

  #refusal(now: number): ClaimRefusal | null {
    const state = this.#state;
    if (state.name === 'Init') return 'NotStarted';
    if (state.name === 'Fault') return 'InFault';
    if (this.#config.claim === 'Never') return 'ClaimNever';
    const isHeard = state.name === 'Backup' && state.timerSince === 'Advert';
    return isHeard && now < (state.masterDownTimer ?? 0) ? 'MasterHeard' : null;
  }

  /** RFC 9568 section 6.4.2. A Backup never compares addresses, unless it is pinned. */
  #backupHears(now: number, advert: Advert, source: number): void {
    const { claim, preemptMode, priority } = this.#config;
    if (advert.priority === RESIGN_PRIORITY) {
      this.#listen(now + skewTime(this.#config, this.#masterAdverInterval()), 'Resignation');
    } else if (claim === 'Always' && !this.#yieldsTo(advert, source)) {
      this.#becomeMaster(now, 'PinnedBySpec');
    } else if (preemptMode !== true || advert.priority >= priority) {
      this.#heardInterval = advert.advertisementIntervalMs;
      this.#listen(now + this.#masterDownInterval(), 'Advert');
    }
  }

  /** Which of two Masters stays (V4): the higher priority, then the higher address. */
  #yieldsTo(advert: Advert, source: number): boolean {
    const { priority, sourceAddress } = this.#config;
    return (
      advert.priority > priority || (advert.priority === priority && source > parseIPv4Address(sourceAddress))
    );
  }

  /** RFC 9568 section 6.4.3; the advert that answers a lower priority leaves the regular ones as they were. */
  #masterHears(now: number, advert: Advert, source: number): void {
    if (this.#state.name !== 'Master') return;
    if (advert.priority === RESIGN_PRIORITY) {
      this.#advertiseRegularly(now);
    } else if (this.#yieldsTo(advert, source)) {
      this.#becomeBackup(now, 'HigherPriorityAdvert', advert.advertisementIntervalMs);
    } else {
      this.#advertise(now, this.#state.adverTimer);
    }
  }

  /** Learns as a Backup would, so that a slower Master does not count as silent, and claims nothing. */
  #faultHears(now: number, fault: Fault, advert: Advert): void {
    if (advert.priority !== RESIGN_PRIORITY) this.#heardInterval = advert.advertisementIntervalMs;
    this.#state = { ...fault, silenceTimer: now + this.#masterDownInterval() };
  }

  #masterDownTimerFires(now: number, backup: Backup, dueAt: number): void {
    if (this.#config.claim === 'Never') {
      this.#state = { ...backup, masterDownTimer: null };
      this.#peerSilent();
      return;
    }
    if (now - dueAt > this.#masterAdverInterval() && backup.timerSince !== 'Sleep') {
      // The process or machine slept. A live Master's adverts may have fallen into that time unheard.
      this.#outputs.push({ type: 'overslept' });
      this.#listen(now + this.#masterDownInterval(), 'Sleep');
      return;
    }
    if (backup.timerSince === 'Resignation') {
      this.#becomeMaster(now, 'MasterResigned');
      this.#peer = null;
    } else {
      this.#becomeMaster(now, 'MasterDownTimerExpired');
      this.#peerSilent();
    }
  }

  #masterTimersFire(now: number, master: Master): void {
    if (master.faultTimer !== null) return;
    if (now >= master.adverTimer) this.#advertiseRegularly(now);
    if (master.settleTimer !== null && now >= master.settleTimer) {
      if (this.#state.name === 'Master') this.#state = { ...this.#state, settleTimer: null };
      this.#outputs.push({ type: 'settled' });
    }
  }

  #stepDownIfOverslept(now: number): void {
    if (this.#state.name !== 'Master') return;
    const own = masterDownInterval(this.#config, this.#state.paceMs);
    // No priority 0: nobody waits for it any more, and a successor need not be disturbed.
    if (now - this.#state.lastAdvertAt <= own) return;
    this.#outputs.push({ type: 'overslept' });
    this.#becomeBackup(now, 'Overslept');
  }

  #becomeMaster(now: number, reason: Reason): void {
    // The advert goes first: everything slower may follow.
    this.#sendAdvert(this.#config.priority);
    this.#heardInterval = null;
    const paceMs = this.#config.advertisementIntervalMs;
    const settleTimer = now + SETTLE_MS;
    const adverTimer = now + paceMs;
    this.#enter(
      { name: 'Master', adverTimer, lastAdvertAt: now, paceMs, hurried: 0, settleTimer, faultTimer: null },
      reason,
    );
  }

  /**
   * To Backup, or back to the Fault that a Master of last resort came from.
   * @param heardInterval of the Master it gives way to; default: nobody's is known
   */
  #becomeBackup(now: number, reason: Reason, heardInterval: number | null = null): void {
    this.#heardInterval = heardInterval;
    this.#lastResort = false;
    const fault = this.#faultInForce();
    if (fault !== null) {
      this.#enterFault(now, fault, reason);
      return;
    }
    const masterDownTimer = now + this.#masterDownInterval();
    const timerSince = heardInterval === null ? 'Entry' : 'Advert';
    this.#enter({ name: 'Backup', masterDownTimer, timerSince }, reason);
  }

  #enterFault(now: number, fault: Reason, reason: Reason): void {
    this.#lastResort = false;
    this.#enter({ name: 'Fault', reason: fault, silenceTimer: now + this.#masterDownInterval() }, reason);
  }

  #listen(masterDownTimer: number, timerSince: Backup['timerSince']): void {
    this.#state = { name: 'Backup', masterDownTimer, timerSince };
  }

  #enter(state: State, reason: Reason): void {
    this.#state = state;
    this.#outputs.push({ type: 'state', state: state.name, reason });
  }

  /** An advert at its time; the next one follows at the pace of the moment. */
  #advertiseRegularly(now: number): void {
    if (this.#state.name !== 'Master') return;
    const { hurried, paceMs: before } = this.#state;
    const paceMs = hurried > 0 ? before : this.#config.advertisementIntervalMs;
    this.#state = { ...this.#state, paceMs, hurried: Math.max(0, hurried - 1) };
    this.#advertise(now, now + paceMs);
  }

  /** Keeps `adverTimer` for the next regular advert. */
  #advertise(now: number, adverTimer: number): void {
    if (this.#state.name !== 'Master' || this.#state.faultTimer !== null) return;
    this.#sendAdvert(this.#config.priority);
    this.#state = { ...this.#state, adverTimer, lastAdvertAt: now };
  }

  #sendAdvert(priority: number): void {
    const isOwn = priority === this.#config.priority;
    const message = isOwn ? this.#advert : encodeConfigured(this.#config, priority);
    this.#outputs.push({ type: 'send', message });
  }

  #hear(now: number, priority: number): void {
    const silent = this.#peer === null || now - this.#peer.heardAt > this.#masterDownInterval();
    this.#peer = { heardAt: now, priority };
    if (silent) this.#outputs.push({ type: 'peer', heard: true, priority });
  }

  #peerSilent(): void {
    this.#outputs.push({ type: 'peer', heard: false, priority: this.#peer?.priority ?? 0 });
    this.#peer = null;
  }

  /** Whoever sends from another address now is another machine. */
  #forgetPeer(): void {
    this.#peer = null;
    this.#heardInterval = null;
    if (this.#state.name !== 'Backup') return;
    const isRunning = this.#state.masterDownTimer !== null;
    if (this.#state.timerSince === 'Advert' || !isRunning)
      this.#state = { ...this.#state, timerSince: 'Entry' };
  }

  /** Whether an advert that says this interval can come under the configuration; v3 takes any. */
  #isAccepted(interval: number | null): boolean {
    const { version, advertisementIntervalMs, accept = [{ advertisementIntervalMs }] } = this.#config;
    return version === 3 || accept.some((set) => set.advertisementIntervalMs === interval);
  }

  /** Master_Adver_Interval: as heard, or as long as it may be. */
  #masterAdverInterval(): number {
    return this.#heardInterval ?? expectedInterval(this.#config);
  }

  #masterDownInterval(): number {
    return masterDownInterval(this.#config, this.#masterAdverInterval());
  }

  /** How long the timer of a Backup runs from the event that set it. */
  #backupSpan(): number {
    const resigned = this.#state.name === 'Backup' && this.#state.timerSince === 'Resignation';
    return resigned ? skewTime(this.#config, this.#masterAdverInterval()) : this.#masterDownInterval();
  }

  #take(): Output[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }
}

const encodeConfigured = (config: VirtualRouterConfig, priority: number): Uint8Array => {
  const { version, virtualRouterID, advertisementIntervalMs, sourceAddress, vips } = config;
  const addresses = vips.length > 0 ? vips : [sourceAddress];
  return encodeAdvert(
    { version, virtualRouterID, priority, advertisementIntervalMs, addresses },
    {
      source: sourceAddress,
      destination: config.peerAddress,
      checksum: config.checksum,
      ...(config.password === undefined ? {} : { password: config.password }),
    },
  );
};

/** @throws RangeError when the configuration cannot be put into an advert */
const encodeAsMaster = (config: VirtualRouterConfig): Uint8Array => {
  if (config.priority < 1) throw new RangeError(`priority is ${config.priority}; 1 to 255 is expected`);
  return encodeConfigured(config, config.priority);
};
