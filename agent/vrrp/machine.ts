/**
 * One virtual router: the state machine of RFC 9568 section 6.4 (RFC 3768 section 6.4), without clock, socket or timer.
 * The caller hands in every datagram and the time, sends what comes out, and calls `handleTimeout` when `nextTimeout` has
 * come, *after* it has handed in every datagram that had arrived by then. Times are milliseconds of one monotonic clock.
 *
 * Beyond the RFC: Fault, resigning by order, and what a pause of the process or machine asks for. A rejected datagram
 * changes nothing, not even the Master's own advert timer.
 */
import type { Reason } from '../../crds/conditions.ts';
import { parseIPv4Address } from './ipv4.ts';
import { type Advert, decodeAdvert, encodeAdvert } from './packet.ts';
import { masterDownInterval, skewTime } from './timers.ts';
import { type Output, SETTLE_MS, type VirtualRouterConfig } from './types.ts';

const OWNER_PRIORITY = 255;
const RESIGN_PRIORITY = 0;

type Backup = {
  name: 'Backup';
  /** When the Master counts as gone. */
  masterDownTimer: number;
  /** The timer runs for the skew alone, because the Master sent priority 0. */
  masterResigned: boolean;
  /** The timer was missed by so much that a whole interval is listened again; once, so that a busy machine still claims. */
  listeningAgain: boolean;
};
type Master = { name: 'Master'; adverTimer: number; lastAdvertAt: number; settleTimer: number | null };
/** `silenceTimer`: when the peer counts as silent; null: it does. Nothing is claimed in Fault. */
type Fault = { name: 'Fault'; reason: Reason; silenceTimer: number | null };

/** The states; each carries the timers that run in it and no others. */
export type State = { name: 'Init' } | Backup | Master | Fault;

/** A virtual router. Every input returns what is to be done, in order; nothing happens between the inputs. */
export class VirtualRouter {
  #config: VirtualRouterConfig;
  #state: State = { name: 'Init' };
  /** Master_Adver_Interval: our own, or in v3 the one learned from the Master. */
  #masterAdverInterval: number;
  #peer: { heardAt: number; priority: number } | null = null;
  #outputs: Output[] = [];

  /** @throws RangeError when the configuration cannot be put into an advert. */
  constructor(config: VirtualRouterConfig) {
    assertEncodable(config);
    this.#config = config;
    this.#masterAdverInterval = config.advertisementIntervalMs;
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
        return Math.min(this.#state.adverTimer, this.#state.settleTimer ?? Number.POSITIVE_INFINITY);
      case 'Fault':
        return this.#state.silenceTimer;
    }
  }

  /** Startup, RFC 9568 section 6.4.1: the owner of the addresses claims, everybody else listens first. */
  start(now: number): Output[] {
    if (this.#state.name === 'Init') {
      if (this.#config.priority === OWNER_PRIORITY) this.#becomeMaster(now, 'AgentStarted');
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
    if (this.#state.name === 'Backup') this.#backupHears(now, result.advert);
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
        if (now >= this.#state.masterDownTimer) this.#masterDownTimerFires(now, this.#state);
        break;
      case 'Master':
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

  /** A Master sends priority 0 and becomes Backup with a full master-down timer; ignored in other states. */
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
    return this.#take();
  }

  /** Enters Fault, a Master with priority 0; null leaves it for Backup. Within Fault the reason just changes. */
  setFault(now: number, reason: Reason | null): Output[] {
    this.#stepDownIfOverslept(now);
    if (this.#state.name === 'Fault') {
      if (reason !== null) this.#state = { ...this.#state, reason };
      else
        this.#becomeBackup(
          now,
          this.#state.reason === 'ChecksFailed' ? 'ChecksPassed' : 'InstanceConfigured',
        );
    } else if (reason !== null) {
      if (this.#state.name === 'Master') this.#sendAdvert(RESIGN_PRIORITY);
      this.#enter({ name: 'Fault', reason, silenceTimer: now + this.#masterDownInterval() }, reason);
    }
    return this.#take();
  }

  /**
   * Takes over other parameters without leaving the state. A running master-down timer moves by the difference that they
   * make; a Master's next advert comes no later than its new interval from `now`.
   * @throws RangeError when the configuration cannot be put into an advert; the old one stays in force.
   */
  configure(now: number, config: VirtualRouterConfig): Output[] {
    assertEncodable(config);
    const spanBefore = this.#backupSpan();
    const learned = this.#masterAdverInterval !== this.#config.advertisementIntervalMs;
    // v2 never learns; an interval learned in v3 lasts until the Master says another.
    if (!learned || config.version === 2) this.#masterAdverInterval = config.advertisementIntervalMs;
    this.#config = config;
    if (this.#state.name === 'Backup') {
      const moved = this.#state.masterDownTimer + this.#backupSpan() - spanBefore;
      this.#state = { ...this.#state, masterDownTimer: Math.max(now, moved) };
    } else if (this.#state.name === 'Master') {
      const latest = now + config.advertisementIntervalMs;
      this.#state = { ...this.#state, adverTimer: Math.min(this.#state.adverTimer, latest) };
    }
    return this.#take();
  }

  /** RFC 9568 section 6.4.2. A Backup never compares addresses. */
  #backupHears(now: number, advert: Advert): void {
    if (advert.priority === RESIGN_PRIORITY) {
      this.#listen(now + skewTime(this.#config, this.#masterAdverInterval), true);
    } else if (this.#config.preemptMode !== true || advert.priority >= this.#config.priority) {
      this.#masterAdverInterval = advert.advertisementIntervalMs;
      this.#listen(now + this.#masterDownInterval(), false);
    }
  }

  /** RFC 9568 section 6.4.3; the advert that answers a lower priority leaves the regular ones as they were. */
  #masterHears(now: number, advert: Advert, source: number): void {
    if (this.#state.name !== 'Master') return;
    const ours = this.#config.priority;
    if (advert.priority === RESIGN_PRIORITY) {
      this.#advertise(now, now + this.#config.advertisementIntervalMs);
    } else if (advert.priority > ours || (advert.priority === ours && source > this.#sourceNumber())) {
      this.#masterAdverInterval = advert.advertisementIntervalMs;
      this.#enterBackup(now, 'HigherPriorityAdvert');
    } else {
      this.#advertise(now, this.#state.adverTimer);
    }
  }

  /** Learns as a Backup would, so that a slower Master does not count as silent, and claims nothing. */
  #faultHears(now: number, fault: Fault, advert: Advert): void {
    if (advert.priority !== RESIGN_PRIORITY) this.#masterAdverInterval = advert.advertisementIntervalMs;
    this.#state = { ...fault, silenceTimer: now + this.#masterDownInterval() };
  }

  #masterDownTimerFires(now: number, backup: Backup): void {
    const lateness = now - backup.masterDownTimer;
    if (lateness > this.#masterAdverInterval && !backup.listeningAgain) {
      // The process or machine slept. A live Master's adverts may have fallen into that time unheard.
      const masterDownTimer = now + this.#masterDownInterval();
      this.#state = { name: 'Backup', masterDownTimer, masterResigned: false, listeningAgain: true };
      return;
    }
    if (backup.masterResigned) {
      this.#becomeMaster(now, 'MasterResigned');
      this.#peer = null;
    } else {
      this.#becomeMaster(now, 'MasterDownTimerExpired');
      this.#peerSilent();
    }
  }

  #masterTimersFire(now: number, master: Master): void {
    if (now >= master.adverTimer) this.#advertise(now, now + this.#config.advertisementIntervalMs);
    if (master.settleTimer !== null && now >= master.settleTimer) {
      if (this.#state.name === 'Master') this.#state = { ...this.#state, settleTimer: null };
      this.#outputs.push({ type: 'settled' });
    }
  }

  #stepDownIfOverslept(now: number): void {
    if (this.#state.name !== 'Master') return;
    const own = masterDownInterval(this.#config, this.#config.advertisementIntervalMs);
    // No priority 0: nobody waits for it any more, and a successor need not be disturbed.
    if (now - this.#state.lastAdvertAt > own) this.#becomeBackup(now, 'Overslept');
  }

  #becomeMaster(now: number, reason: Reason): void {
    // The advert goes first: everything slower may follow.
    this.#sendAdvert(this.#config.priority);
    this.#masterAdverInterval = this.#config.advertisementIntervalMs;
    const adverTimer = now + this.#config.advertisementIntervalMs;
    this.#enter({ name: 'Master', adverTimer, lastAdvertAt: now, settleTimer: now + SETTLE_MS }, reason);
  }

  /** To Backup with our own interval, as nobody else's is known. */
  #becomeBackup(now: number, reason: Reason): void {
    this.#masterAdverInterval = this.#config.advertisementIntervalMs;
    this.#enterBackup(now, reason);
  }

  #enterBackup(now: number, reason: Reason): void {
    const masterDownTimer = now + this.#masterDownInterval();
    this.#enter({ name: 'Backup', masterDownTimer, masterResigned: false, listeningAgain: false }, reason);
  }

  #listen(masterDownTimer: number, masterResigned: boolean): void {
    this.#state = { name: 'Backup', masterDownTimer, masterResigned, listeningAgain: false };
  }

  #enter(state: State, reason: Reason): void {
    this.#state = state;
    this.#outputs.push({ type: 'state', state: state.name, reason });
  }

  /** Keeps `adverTimer` for the next regular advert. */
  #advertise(now: number, adverTimer: number): void {
    if (this.#state.name !== 'Master') return;
    this.#sendAdvert(this.#config.priority);
    this.#state = { ...this.#state, adverTimer, lastAdvertAt: now };
  }

  #sendAdvert(priority: number): void {
    this.#outputs.push({ type: 'send', message: encodeConfigured(this.#config, priority) });
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

  #masterDownInterval(): number {
    return masterDownInterval(this.#config, this.#masterAdverInterval);
  }

  /** How long the timer of a Backup runs from the event that set it. */
  #backupSpan(): number {
    const resigned = this.#state.name === 'Backup' && this.#state.masterResigned;
    return resigned ? skewTime(this.#config, this.#masterAdverInterval) : this.#masterDownInterval();
  }

  #sourceNumber(): number {
    return parseIPv4Address(this.#config.sourceAddress);
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

const assertEncodable = (config: VirtualRouterConfig): void => {
  if (config.priority < 1) throw new RangeError(`priority is ${config.priority}; 1 to 255 is expected`);
  encodeConfigured(config, config.priority);
};
