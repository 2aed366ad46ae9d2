/**
 * Two operators in a test's hands, each in a place of its own: as a Deployment keeps them, one that ends by itself is started
 * again, unless the test ended it.
 */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import type { Exit } from '../../hack/lab/channel.ts';
import { type LabProcess, within } from '../../hack/lab/handles.ts';
import { type ManagedPlace, makePlace } from '../../hack/lab/places.ts';
import type { CallRecord } from '../../hack/lab/types.ts';
import type { Line } from './operator.ts';
import { eventually, mutatingCalls, PATIENCE_MS, read } from './support.ts';

export const REPLICAS = ['left', 'right'] as const;
export type ReplicaName = (typeof REPLICAS)[number];

export type Replica = {
  name: ReplicaName;
  place: ManagedPlace;
  /** Starts it when it does not run. Returns when it listens. */
  start(): Promise<void>;
  /** Sends a signal to its process. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Ends it by a signal and leaves it dead until `start`. */
  end(signal: NodeJS.Signals): Promise<Exit>;
  /** What `path` answers on its port. */
  get(path: string): Promise<{ status: number; body: string }>;
};

export type Replicas = {
  of(name: ReplicaName): Replica;
  /** The other one. */
  beside(name: ReplicaName): Replica;
  /** Flags of the processes that are started from now on. */
  setFlags(flags: string[]): void;
  /** The replica that the Lease names. Waits for one. */
  leader(): Promise<ReplicaName>;
  /** Waits until the Lease names this replica. */
  leads(name: ReplicaName): Promise<void>;
  /** A mark in the log of both. */
  mark(): number;
  /** Waits for a line that one of them says after a mark; returns who said it. */
  says(since: number, what: string, wanted: (line: Line) => boolean): Promise<ReplicaName>;
  /** Mutating calls after `sinceID` by one replica. */
  callsOf(name: ReplicaName, sinceID: number): Promise<CallRecord[]>;
};

type Said = { by: ReplicaName; line: Line };

const ASK = `
const response = await fetch(process.argv[1], { signal: AbortSignal.timeout(5000) });
console.log(JSON.stringify({ status: response.status, body: await response.text() }));
`;

/** Which replica made a call. */
export const callerOf = ({ userAgent }: CallRecord): ReplicaName | undefined =>
  REPLICAS.find((name) => userAgent.includes(`app/${name}`));

type ReplicaParts = {
  stage: Stage;
  name: ReplicaName;
  place: ManagedPlace;
  /** Those of the next start. */
  flags: () => string[];
  onLine: (line: Line) => void;
};

const replicaOf = ({ stage, name, place, flags, onLine }: ReplicaParts): Replica => {
  let running: LabProcess | undefined;
  /** A start that is under way. */
  let starting: Promise<void> | undefined;
  let isWanted = false;
  let port = 0;
  const spawn = (): Promise<void> => {
    starting ??= begin().finally(() => {
      starting = undefined;
    });
    return starting;
  };
  const begin = async (): Promise<void> => {
    port = 0;
    const started = await stage.product.startReplica(name, flags(), {
      onLine: (text) => {
        if (!text.startsWith('{')) return;
        const line: Line = JSON.parse(text);
        port = line.port ?? port;
        onLine(line);
      },
    });
    running = started;
    void started.exited.then(async () => {
      running = undefined;
      if (isWanted && stage.lab.ended() === undefined) await spawn();
    });
  };
  const present = (): LabProcess => {
    if (running === undefined) throw new Error(`The replica ${name} does not run.`);
    return running;
  };
  return {
    name,
    place,
    start: async () => {
      isWanted = true;
      if (running === undefined) await spawn();
      await eventually(`${name} should listen`, async () => (port === 0 ? undefined : true));
    },
    signal: (signal) => present().kill(signal),
    end: async (signal) => {
      isWanted = false;
      const { exited, kill } = present();
      await kill(signal);
      return within(exited, PATIENCE_MS, `${name} did not end after ${signal}`);
    },
    get: async (path) => {
      const url = `http://127.0.0.1:${port}${path}`;
      const argv = [process.execPath, '--input-type=module', '--eval', ASK, url];
      const { stdout, stderr } = await stage.lab.exec({ where: name, argv });
      if (stdout === '') throw new Error(`${name} does not answer for ${path}: ${stderr}`);
      return JSON.parse(stdout);
    },
  };
};

/** Makes the places; starts nothing yet. */
export async function createReplicas(stage: Stage, flags: string[]): Promise<Replicas> {
  const said: Said[] = [];
  const looks = new Set<() => void>();
  let presentFlags = flags;

  const says = async (since: number, what: string, wanted: (line: Line) => boolean): Promise<ReplicaName> => {
    const found = Promise.withResolvers<ReplicaName>();
    const look = (): void => {
      const match = said.slice(since).find(({ line }) => wanted(line));
      if (match !== undefined) found.resolve(match.by);
    };
    looks.add(look);
    look();
    return within(found.promise, PATIENCE_MS, what).finally(() => looks.delete(look));
  };

  const [left, right] = await Promise.all(
    REPLICAS.map(async (name, index) =>
      replicaOf({
        stage,
        name,
        place: await makePlace(stage.lab, name, index),
        flags: () => presentFlags,
        onLine: (line) => {
          said.push({ by: name, line });
          for (const look of looks) look();
        },
      }),
    ),
  );
  if (left === undefined || right === undefined) throw new Error('Two replicas were to be made.');

  const holder = async (): Promise<ReplicaName | undefined> => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${stage.product.namespace}/leases/hapair-operator`;
    const lease = await read<{ spec: { holderIdentity?: string } }>(stage, path);
    return REPLICAS.find((name) => name === lease?.spec.holderIdentity);
  };

  return {
    of: (name) => (name === 'left' ? left : right),
    beside: (name) => (name === 'left' ? right : left),
    setFlags: (changed) => {
      presentFlags = changed;
    },
    leader: () => eventually('A replica should lead', holder),
    leads: async (name) => {
      await eventually(`${name} should lead`, async () => ((await holder()) === name ? true : undefined));
    },
    mark: () => said.length,
    says,
    callsOf: async (name, sinceID) =>
      (await mutatingCalls(stage, sinceID)).filter((call) => callerOf(call) === name),
  };
}

/** Sum of `hapair_leader` over both replicas, as the alert on it counts. */
export async function leadersByMetrics(replicas: Replicas): Promise<number> {
  const values = await Promise.all(
    REPLICAS.map(async (name) => {
      const { status, body } = await replicas.of(name).get('/metrics');
      assert.is(status, 200);
      return Number(/^hapair_leader (\d)$/m.exec(body)?.[1]);
    }),
  );
  return values.reduce((sum, value) => sum + value, 0);
}
