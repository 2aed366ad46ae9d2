/** The conditions of a VRRPInstance, from what the agent found. */
import type { VRRPState } from '../../crds/types.ts';
import type { Finding, Problem } from './problem.ts';
import { type CheckFinding, problemOf } from './verdict.ts';

/** What the conditions are made of. */
export type Health = {
  /** As it stands in the report. */
  state: VRRPState;
  /** A spec is loaded. */
  loaded: boolean;
  /** IMDS has shown the ENI on this instance; without that nothing runs. */
  verified: boolean;
  /** Why the newest spec is not loaded; the last one, if any, goes on. */
  loadProblem: Problem | null;
  /** Why this node must not be Master, its health checks apart. */
  fault: Problem | null;
  /** Trouble that does not forbid a claim: a socket, an address that cannot be set. */
  trouble: Problem | null;
  /** Adverts of the peer: null before the first word of the worker. */
  peerHeard: boolean | null;
  /** What is wrong with what the peer sends; null: nothing. */
  peerFault: Problem | null;
  /** A set has a password. */
  secretNeeded: boolean;
  /** Of each health check there is. */
  checks: readonly CheckFinding[];
};

/** All four, always; the newest spec's problem comes first, because it is the one a user can mend. */
export const findings = (health: Health): Finding[] => [
  ready(health),
  peerHeard(health),
  healthy(health),
  secretResolved(health),
];

const ready = ({ loaded, verified, loadProblem, fault, trouble }: Health): Finding => {
  const problem = loadProblem ?? fault ?? trouble;
  if (problem !== null) return { type: 'Ready', status: 'False', ...problem };
  if (!loaded) return unobserved('Ready');
  if (!verified) {
    const message =
      'IMDS could not be read yet, so the ENI is not known to be on this instance; check that IMDSv2 answers.';
    return { type: 'Ready', status: 'Unknown', reason: 'Unobserved', message };
  }
  return {
    type: 'Ready',
    status: 'True',
    reason: 'InstanceConfigured',
    message: 'The agent runs the spec.',
  };
};

const unobserved = (type: string): Finding => ({
  type,
  status: 'Unknown',
  reason: 'Unobserved',
  message: 'No spec is loaded yet.',
});

const healthy = ({ loaded, checks }: Health): Finding => {
  const type = 'Healthy';
  if (!loaded) return unobserved(type);
  const problem = problemOf(checks);
  if (problem !== null) return { type, status: 'False', ...problem };
  const open = checks.filter(({ healthy }) => healthy === null).map(({ name }) => name);
  if (open.length > 0) {
    const message = `No verdict yet: ${open.join(', ')}.`;
    return { type, status: 'Unknown', reason: 'Unobserved', message };
  }
  return checks.length > 0
    ? { type, status: 'True', reason: 'ChecksPassed', message: 'All health checks pass.' }
    : { type, status: 'True', reason: 'NoChecks', message: 'No health checks are configured.' };
};

const peerHeard = ({ state, peerHeard, peerFault }: Health): Finding => {
  const type = 'PeerHeard';
  const isHeard = state !== 'Master' && peerHeard === true;
  if (peerFault !== null && !isHeard) return { type, status: 'False', ...peerFault };
  if (state === 'Master')
    return {
      type,
      status: 'Unknown',
      reason: 'PeerNotExpected',
      message:
        'A Backup sends no adverts to be heard. If the peer is Master too, its adverts do not arrive: check IP protocol 112 in both directions.',
    };
  if (peerHeard === null)
    return { type, status: 'Unknown', reason: 'Unobserved', message: 'The election has not begun.' };
  return peerHeard
    ? {
        type,
        status: 'True',
        reason: 'PeerHeard',
        message: `Adverts of the peer arrive.${peerFault === null ? '' : ` Others are rejected. ${peerFault.message}`}`,
      }
    : {
        type,
        status: 'False',
        reason: 'PeerSilent',
        message: 'No advert of the peer arrives; check that IP protocol 112 is open between the instances.',
      };
};

const secretResolved = ({ loaded, secretNeeded, loadProblem }: Health): Finding => {
  const type = 'SecretResolved';
  if (loadProblem?.reason === 'SecretUnreadable') return { type, status: 'False', ...loadProblem };
  if (!loaded) return unobserved(type);
  return secretNeeded
    ? { type, status: 'True', reason: 'SecretRead', message: 'The password was read.' }
    : { type, status: 'True', reason: 'SecretNotNeeded', message: 'No password is configured.' };
};
