/** What the VRRP worker says of a pair, taken into the pair's state and told in the log. */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPState } from '../../crds/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import { formatMicroTime } from '../../runtime/time.ts';
import type { PairPorts } from '../ports.ts';
import type { FromWorker } from '../worker/messages.ts';
import { longestIntervalMs, peerFaultOf } from './derived.ts';
import { enterState, type Instances, setSocketTrouble, settleClaim } from './state/election.ts';
import { forgetSilence, seeReject, setPeerFault, setPeerHeard } from './state/peer.ts';
import { noteStarted } from './state/steering.ts';
import type { PairState } from './state.ts';
import type { Transitions } from './transitions.ts';

/** What the worker says about one pair. */
export type PairMessage = Exclude<FromWorker, { type: 'pong' | 'stopped' | 'claimByHand' }>;

type Rejected = Extract<PairMessage, { type: 'rejected' }>;

/** A change of the worker's state. `atMs`: monotonic. */
export type Entered = { state: VRRPState; reason: Reason; atMs: number };

/** Takes a message. @returns whether anything can follow from it */
export const hearWorker = (
  state: PairState,
  ports: PairPorts,
  transitions: Transitions,
  message: Exclude<PairMessage, Rejected>,
): boolean => {
  const { log, clock } = ports;
  const { key: pair } = state;
  if (message.type === 'state') enter(state, ports, transitions, message);
  else if (message.type === 'settled') {
    if (!settleClaim(state)) return false;
    const at = formatMicroTime(unixMsOf(clock, message.atMs));
    log.info({ pair, reason: 'ClaimSettled', at }, 'settled');
  } else if (message.type === 'peer') {
    const { heard, priority } = message;
    if (state.peerHeard !== heard)
      log.info(
        { pair, reason: heard ? 'PeerHeard' : 'PeerSilent', priority },
        heard ? 'peer heard' : 'peer silent',
      );
    setPeerHeard(state, heard);
  } else {
    setSocketTrouble(state, message.error);
    if (message.error !== null)
      log.warn({ pair, reason: 'InstanceFaulty', err: message.error }, 'VRRP socket failed');
  }
  return true;
};

/** Takes a rejected packet. @returns whether it shows something else of the peer than is known */
export const hearReject = (state: PairState, { log, clock }: PairPorts, message: Rejected): boolean => {
  const { cause, source, count } = message;
  log.warn({ pair: state.key, reason: 'PacketRejected', cause, source, count }, 'packet rejected');
  const spec = state.loaded?.spec;
  if (spec === undefined) return false;
  seeReject(state, { cause, source, count }, spec.peerAddress, clock.now(), longestIntervalMs(spec));
  return peerFaultOf(state, clock.now())?.message !== state.peerFault?.message;
};

/** Says once that the peer sends what must be rejected, and once that it is over. */
export const notePeerFault = (state: PairState, { log, clock }: PairPorts): void => {
  const before = state.peerFault;
  setPeerFault(state, peerFaultOf(state, clock.now()));
  if (before?.message === state.peerFault?.message) return;
  const { reason, message } = state.peerFault ?? {};
  if (reason !== undefined) log.warn({ pair: state.key, reason, message }, 'peer misconfigured');
  else log.info({ pair: state.key, reason: 'PeerCorrected' }, 'peer sends nothing wrong any more');
};

/** The worker has entered a state. */
export const enter = (
  state: PairState,
  { log, clock, kube }: PairPorts,
  transitions: Transitions,
  { state: entered, reason, atMs }: Entered,
): void => {
  const { key: pair } = state;
  // The end of what ran at another address is no end of the start here.
  if (entered !== 'Init') noteStarted(state);
  if (state.election === entered) {
    if (reason === 'AgentReloaded') log.info({ pair, reason }, `goes on as ${entered}`);
    return;
  }
  transitions.count(state.election, entered, reason);
  const sinceMs = unixMsOf(clock, atMs);
  const term = state.claim?.term ?? undefined;
  log.info({ pair, entered, reason, term, at: formatMicroTime(sinceMs) }, `became ${entered}`);
  // Asked for at the claim's first advert, so that listening and reading take their time together. A failure is not lost: the
  // report lane reads again, and says so.
  const readEvidence = (): Promise<Instances | null> =>
    kube.readInstances(state.record.peerNode).catch(() => null);
  const { lastDelivered: delivered } = state;
  enterState(state, { state: entered, reason, atMs, sinceMs, delivered, readEvidence });
  forgetSilence(state);
};

/** The Unix milliseconds of a monotonic instant, as the wall clock is set now. */
export const unixMsOf = (clock: Pick<Clock, 'now' | 'wall'>, monotonicMs: number): number =>
  clock.wall() - (clock.now() - monotonicMs);
