/** The host's hand on the lab's EC2: faults, the log of calls, where packets go. Not part of EC2. */
import type { CallPhase, CallRecord, FaultSpec, Mood, SETTABLE_STATES } from './types.ts';

const CONTROL_MS = 100_000;

/** Plants faults in a lab's EC2, and shows its calls. */
export type EC2Control = {
  /** The next matching calls suffer this. */
  fault(spec: FaultSpec): Promise<void>;
  clearFaults(): Promise<void>;
  /** Calls with an id above `sinceID`, oldest first. */
  calls(sinceID?: number): Promise<CallRecord[]>;
  /** Waits for a call to reach a phase; an empty list when none did within `waitMs` (at most 90,000). */
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
  /** A terminated instance takes its ENI with it and never comes back. */
  setInstanceState(node: string, state: (typeof SETTABLE_STATES)[number]): Promise<void>;
  /** Of an instance's metadata, by its name, or of `credentials`: the operator's role, and STS. */
  setMood(who: string, mood: Mood): Promise<void>;
  /** Attaches the VPC's internet gateway, or detaches it. */
  setGateway(attached: boolean): Promise<void>;
  /** How long sessions of the operator's role last that are given out from now on; `end` ends all there are. */
  setSessions(change: { lifetimeMs?: number; end?: true }): Promise<void>;
  /** How many sessions the operator's role has given out: fetches of credentials. */
  sessionsIssued(): Promise<number>;
  /** How many connections were ever opened to the API, those of this control included. */
  connectionsOpened(): Promise<number>;
};

/** True for calls that change EC2. */
export const isMutating = ({ action, parameters }: CallRecord): boolean =>
  !action.startsWith('Describe') && parameters.DryRun !== 'true';

/** `url` is where the host reaches the EC2 API. Every method throws an Error with EC2's own words on failure. */
export const ec2Control = (url: string): EC2Control => {
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
    setMood: async (who, mood) => void (await request('POST', `moods/${who}`, mood)),
    setGateway: async (attached) => void (await request('POST', 'gateway', { attached })),
    setSessions: async (change) => void (await request('POST', 'sessions', change)),
    sessionsIssued: async () => ((await request('GET', 'sessions')) as { issued: number }).issued,
    connectionsOpened: async () => ((await request('GET', 'connections')) as { opened: number }).opened,
    setInstanceState: async (node, state) => void (await request('POST', `instances/${node}`, { state })),
  };
};
