/** The host's hand on the world's EC2: faults, the log of calls, where packets go. Not part of EC2. */
import type { CallRecord, FaultSpec } from './types.ts';

const CONTROL_MS = 40_000;

/** Stages of a call in the log. */
export type CallPhase = 'received' | 'effect' | 'mapped' | 'answered';

export type EC2Control = {
  /** The next matching calls suffer this. */
  fault(spec: FaultSpec): Promise<void>;
  clearFaults(): Promise<void>;
  /** Calls with an id above `sinceID`, oldest first. */
  calls(sinceID?: number): Promise<CallRecord[]>;
  /** Waits for a call to reach a phase; an empty list when none did within `waitMs` (at most 30,000). */
  waitForCall(wanted: {
    action: string;
    phase: CallPhase;
    sinceID?: number;
    waitMs?: number;
  }): Promise<CallRecord[]>;
  /** Where the fabric delivers now: private address to ENI, public to private address. */
  mapping(): Promise<{ routes: Record<string, string>; nat: Record<string, string> }>;
  /** As `mapping`, once the fabric has followed every call so far. */
  settledMapping(): Promise<{ routes: Record<string, string>; nat: Record<string, string> }>;
  /** Lets held calls go on (`true`) or cuts them. */
  release(proceed: boolean): Promise<void>;
  setInstanceState(node: string, state: 'running' | 'stopped'): Promise<void>;
};

/** `url` is where the host reaches the EC2 API. Every method throws an Error with EC2's own words on failure. */
export function ec2Control(url: string): EC2Control {
  const request = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/_lab/${path}`, {
      method,
      signal: AbortSignal.timeout(CONTROL_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`The lab's EC2 refuses ${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const calls = async (query: Record<string, string>): Promise<CallRecord[]> => {
    const text = new URLSearchParams(query);
    return ((await request('GET', `calls?${text}`)) as { calls: CallRecord[] }).calls;
  };
  const mapping = (query: string) =>
    request('GET', `mapping${query}`) as Promise<{
      routes: Record<string, string>;
      nat: Record<string, string>;
    }>;
  return {
    fault: async (spec) => void (await request('POST', 'faults', spec)),
    clearFaults: async () => void (await request('DELETE', 'faults')),
    calls: (sinceID = 0) => calls({ since: String(sinceID) }),
    waitForCall: ({ action, phase, sinceID = 0, waitMs = 10_000 }) =>
      calls({ action, phase, since: String(sinceID), wait: String(waitMs) }),
    mapping: () => mapping(''),
    settledMapping: () => mapping('?wait=30000'),
    release: async (proceed) => void (await request('POST', `release?proceed=${proceed}`)),
    setInstanceState: async (node, state) => void (await request('POST', `instances/${node}`, { state })),
  };
}
