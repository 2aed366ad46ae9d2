/** What the VRRP worker is told of a pair: the configuration, the fault, the end. Alone writes what was told. */
import { isDeepStrictEqual } from 'node:util';
import { faultOf, interfaceNameOf, type PairState, workerConfig } from './pair-state.ts';
import type { PairPorts } from './pair-types.ts';

/** A worker leaves Init within so long, or its Init is reported. */
const STARTING_MS = 2_000;

/** Tells the worker what differs from what it was told last. */
export const steerWorker = (state: PairState, ports: PairPorts): void => {
  if (state.stopping || state.gone) return;
  if (isMoved(state)) restart(state, ports);
  const { sent } = state;
  const config = workerConfig(state, ports.clock.now());
  if (config !== null && !isDeepStrictEqual(config, sent.config)) {
    if (sent.config === null) state.startingUntilMs = ports.clock.now() + STARTING_MS;
    sent.config = config;
    ports.send({ type: 'set', pair: state.key, config });
  }
  if (sent.config === null) return;
  if (config !== null) sent.spec = state.loaded?.spec ?? null;
  const fault = faultOf(state)?.reason ?? null;
  if (fault === sent.fault) return;
  sent.fault = fault;
  ports.send({ type: 'fault', pair: state.key, fault });
};

/** The spec names another place on the network for this node than the one the worker runs at. */
const isMoved = (state: PairState): boolean => {
  const spec = state.loaded?.spec;
  const { config, spec: ran } = state.sent;
  if (spec === undefined || ran === null || config === null) return false;
  // The same interface under another name, or named where it was found before, is no other place.
  const isOtherInterface =
    spec.interface !== ran.interface && interfaceNameOf(state, spec) !== config.interface;
  return (
    spec.networkInterfaceID !== ran.networkInterfaceID ||
    spec.sourceAddress !== ran.sourceAddress ||
    isOtherInterface
  );
};

/** The virtual router ends where it was, a Master with priority 0; at the new place it begins as Backup. */
const restart = (state: PairState, ports: PairPorts): void => {
  state.sent = { config: null, spec: null, fault: null };
  state.peerHeard = null;
  ports.log.info({ pair: state.key, reason: 'InstanceConfigured' }, 'moving to another address');
  ports.send({ type: 'remove', pair: state.key });
};
