/** A running agent as it looks when all is well, for tests of what is made of that. For tests only. */
import type { VRRPInstanceStatus } from '../../crds/types.ts';
import type { WorkerSnapshot } from '../metrics/series.ts';
import type { AgentSnapshot } from '../metrics/snapshot.ts';
import type { PairSnapshot } from '../pair/snapshot.ts';

const condition = (type: string, status: 'True' | 'Unknown', reason: string) => ({
  type,
  status,
  reason,
  message: `${type} says ${reason}.`,
  lastTransitionTime: '2026-11-22T10:00:00Z',
});

/** A Master's report. */
export const status = (change: Partial<VRRPInstanceStatus> = {}): VRRPInstanceStatus => ({
  state: 'Master',
  term: 7,
  since: '2026-11-22T10:00:00.000000Z',
  vipsOnInterface: ['10.10.10.10'],
  vipsDelivered: ['10.10.10.10'],
  conditions: [
    condition('Ready', 'True', 'InstanceConfigured'),
    condition('PeerHeard', 'Unknown', 'PeerNotExpected'),
    condition('Healthy', 'True', 'NoChecks'),
    condition('SecretResolved', 'True', 'SecretNotNeeded'),
  ],
  ...change,
});

/** A Master with one VIP that EC2 delivers to it. */
export const pairSnapshot = (change: Partial<PairSnapshot> = {}): PairSnapshot => ({
  key: 'prod/web',
  election: 'Master',
  transitions: [],
  status: status(),
  vips: 1,
  isLoaded: true,
  isFromDisk: false,
  isVerified: true,
  isSettled: true,
  isReported: true,
  ...change,
});

/** An agent with that pair and an API server that answers. */
export const agentSnapshot = (change: Partial<AgentSnapshot> = {}): AgentSnapshot => ({
  nodeName: 'node1',
  pairs: [pairSnapshot()],
  checks: [],
  api: { isConnected: true, silenceMs: 250, calls: { Success: 12 }, failure: null },
  watches: [
    {
      namespace: 'prod',
      of: 'own',
      ageMs: 1_500,
      relists: 1,
      reconnects: 2,
      isRetrying: false,
      forbidden: null,
    },
    {
      namespace: 'prod',
      of: 'pairs',
      ageMs: null,
      relists: 0,
      reconnects: 0,
      isRetrying: false,
      forbidden: null,
    },
  ],
  leaseAgeMs: 4_000,
  imdsAgeMs: 500,
  pongAgeMs: 4_000,
  withheldLines: 3,
  ...change,
});

/** What the worker counted of that pair. */
export const workerSnapshot = (): NonNullable<WorkerSnapshot> => ({
  realtime: true,
  stats: {
    pairs: {
      'prod/web': {
        advertsSent: 40,
        resignationsSent: 1,
        advertsReceived: 2,
        rejected: { PasswordMismatch: 5 },
        overslept: 1,
      },
    },
    lateness: { boundsMs: [1, 10], counts: [30, 9, 1], sumMs: 120, maxMs: 25 },
  },
});
