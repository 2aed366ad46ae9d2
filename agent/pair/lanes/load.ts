/** Loads a spec: what cannot be run is said and not loaded, the last spec goes on meanwhile. */

import type { SecretRef, VRRPInstance } from '../../../crds/types.ts';
import { messageOf } from '../../../runtime/error-text.ts';
import type { PairPorts, StoredSecret } from '../../ports.ts';
import { unsupported } from '../../rules/support.ts';
import { refusal } from '../addresses.ts';
import { secretRefs, storedSecret } from '../derived.ts';
import { changeRecord } from '../state/record.ts';
import { bringIntoForce, isLoaded, setLoadProblem } from '../state/spec.ts';
import type { PairState } from '../state.ts';

/**
 * One step of the load lane: brings the newest spec into force once it is on disk, with the password of every set it names.
 * @throws Error when it cannot be loaded for a reason that may pass; `state.loadProblem` says it
 */
export const loadStep = async (state: PairState, ports: PairPorts): Promise<boolean> => {
  const { desired } = state;
  if (desired === null || state.gone || state.stopping) return false;
  if (isLoaded(state, desired)) return setLoadProblem(state, null);
  const { spec } = desired;
  const missing = unsupported(spec);
  if (missing !== null) return setLoadProblem(state, { reason: 'NotSupportedYet', message: missing });
  const beyond = ports.beyondLimits(spec);
  const refused =
    beyond === null ? refusal(state, spec) : { reason: 'BeyondLimits' as const, message: beyond };
  if (refused !== null) {
    setLoadProblem(state, refused);
    throw new Error(refused.message);
  }

  // One after the other: there are two at most, and the first that cannot be read is the one to name.
  const secrets: StoredSecret[] = [];
  for (const ref of secretRefs(spec)) secrets.push(await resolveSecret(state, ports, desired, ref));
  if (state.desired !== desired) return true;

  const uid = desired.metadata.uid ?? '';
  const generation = desired.metadata.generation ?? 0;
  changeRecord(state, { uid, generation, spec, secrets });
  try {
    await ports.disk.save(state.record);
  } catch (error) {
    setLoadProblem(state, { reason: 'InstanceFaulty', message: messageOf(error) });
    throw error;
  }
  bringIntoForce(state, { spec, uid, generation });
  return true;
};

/**
 * The password of a key that was read once for this object is kept: it rotates by naming another key, and a key edited in
 * place must not part the two ends.
 */
const resolveSecret = async (
  state: PairState,
  ports: PairPorts,
  desired: VRRPInstance,
  ref: SecretRef,
): Promise<StoredSecret> => {
  const stored = storedSecret(state.record, ref);
  if (stored !== undefined && state.record.uid === desired.metadata.uid) return stored;
  try {
    return await ports.kube.readSecret(ref);
  } catch (error) {
    setLoadProblem(state, { reason: 'SecretUnreadable', message: messageOf(error) });
    throw error;
  }
};
