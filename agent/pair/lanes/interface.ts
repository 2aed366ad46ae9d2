/** Keeps the interface as the VIP rule wants it, one address at a time. */

import { messageOf } from '../../../runtime/error-text.ts';
import type { PairPorts } from '../../ports.ts';
import {
  carrierOf,
  deliveredTo,
  onInterface,
  orphanAddresses,
  ownAddresses,
  strandedAddresses,
  vipInterfaceOf,
  vipPlan,
} from '../addresses.ts';
import { abandon } from '../state/lifecycle.ts';
import { setAddressTrouble, setOnInterface } from '../state/network.ts';
import { changeRecord } from '../state/record.ts';
import type { PairState } from '../state.ts';

/**
 * One step of the interface lane.
 * @returns whether it has changed something
 * @throws Error when the kernel refuses; `state.addressTrouble` says it
 */
export const interfaceStep = async (state: PairState, ports: PairPorts): Promise<boolean> => {
  const stranded = strandedAddresses(state);
  const [left] = stranded.addresses;
  try {
    // Before anything is remembered of another interface.
    if (left !== undefined) return await leaveInterface(state, ports, stranded.name, left);
    await adopt(state, ports);
    const plan = vipPlan(state, ports.clock.now());
    const [add] = plan.add;
    const [remove] = plan.remove;
    if (add !== undefined) return await addVIP(state, ports, add);
    if (remove !== undefined) return await removeVIP(state, ports, remove);
  } catch (error) {
    setAddressTrouble(state, { reason: 'InstanceFaulty', message: messageOf(error) });
    throw error;
  }
  await forgetVanished(state, ports);
  return setAddressTrouble(state, null);
};

/** An address that is neither there nor wanted is ours no longer: whoever puts it there next owns it. */
const forgetVanished = async (state: PairState, ports: PairPorts): Promise<void> => {
  const spec = state.loaded?.spec;
  if (spec === undefined || carrierOf(state.interfaces, spec) === undefined) return;
  if (deliveredTo(state.imds, spec) === null) return;
  const present = onInterface(state);
  await remember(state, ports, { added: ownAddresses(state).filter((address) => present.includes(address)) });
};

/** With its file lost the agent would leave behind for good what it once put up. */
const adopt = async (state: PairState, ports: PairPorts): Promise<void> => {
  const place = vipInterfaceOf(state);
  const vips = orphanAddresses(state);
  if (place === undefined || vips.length === 0) return;
  ports.log.info({ pair: state.key, reason: 'VIPFound', vips, interface: place.name }, 'VIP of ours found');
  await remember(state, ports, { added: [...state.record.added, ...vips], interface: place.name });
};

const addVIP = async (state: PairState, ports: PairPorts, vip: string): Promise<boolean> => {
  const place = vipInterfaceOf(state);
  // Without the interface there is nothing to add to; its return is an event of its own.
  if (place === undefined) return false;
  // Written down first: after a crash it must be known that the address is ours to take off. A crash of the machine takes
  // the address with it, so nothing waits for a flush here.
  const added = [...new Set([...state.record.added, vip])];
  await remember(state, ports, { added, interface: place.name });
  await ports.addresses.add(place.name, vip);
  setOnInterface(state, place.name, vip, true);
  setAddressTrouble(state, null);
  ports.log.info(
    { pair: state.key, reason: 'VIPAdded', vip, interface: place.name, state: state.election },
    'VIP added',
  );
  return true;
};

const removeVIP = async (state: PairState, ports: PairPorts, vip: string): Promise<boolean> => {
  // The one that the plan has looked at, whatever is remembered: off another it would change nothing.
  const name = vipInterfaceOf(state)?.name;
  if (name === undefined || !onInterface(state).includes(vip)) return false;
  await ports.addresses.remove(name, vip);
  setOnInterface(state, name, vip, false);
  ports.log.info(
    { pair: state.key, reason: 'VIPRemoved', vip, interface: name, state: state.election },
    'VIP removed',
  );
  await remember(state, ports, { added: state.record.added.filter((address) => address !== vip) });
  return true;
};

/** The address stays known as ours: it may belong on the other interface now. */
const leaveInterface = async (
  state: PairState,
  ports: PairPorts,
  name: string,
  address: string,
): Promise<boolean> => {
  await ports.addresses.remove(name, address);
  setOnInterface(state, name, address, false);
  ports.log.info(
    { pair: state.key, reason: 'VIPRemoved', vip: address, interface: name, state: state.election },
    'VIP removed',
  );
  return true;
};

/** A full disk must not keep an address from the interface: what is lost is only the knowledge that it is ours. */
const remember = async (
  state: PairState,
  ports: PairPorts,
  change: { added: string[]; interface?: string },
): Promise<void> => {
  if (
    change.added.length === state.record.added.length &&
    (change.interface ?? state.record.interface) === state.record.interface
  )
    return;
  changeRecord(state, change);
  try {
    await ports.disk.note(state.record);
  } catch (error) {
    ports.log.warn(
      { pair: state.key, reason: 'RecordNotStored', err: messageOf(error) },
      'the list of added addresses is not on disk',
    );
  }
};

/**
 * Takes every address that this agent added off the interface.
 * @throws Error when one cannot be taken off, or when it is not known yet what is on the interface
 */
export const removeAddresses = async (state: PairState, ports: PairPorts): Promise<void> => {
  abandon(state);
  if (state.interfaces === null && state.record.added.length > 0)
    throw new Error('the interfaces have not been read yet');
  const toRemove = () => [...vipPlan(state, ports.clock.now()).remove, ...strandedAddresses(state).addresses];
  // Each step takes one off; what comes back meanwhile is for the next call.
  let steps = onInterface(state).length + strandedAddresses(state).addresses.length;
  for (let left = toRemove(); left.length > 0; left = toRemove()) {
    if (steps === 0 || !(await interfaceStep(state, ports)))
      throw new Error(`${left.join(', ')} cannot be taken off the interface yet`);
    steps -= 1;
  }
};
