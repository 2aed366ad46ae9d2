/**
 * An invented movable: a route of a route table that points to the holder's ENI. Nothing of delivery/ knows it, and converge and
 * release bring it, repair it and take it away as they do VIPs and EIPs.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2Call } from '../ec2/actions.ts';
import { failureOf } from '../ec2/errors.ts';
import type { EC2View } from '../ec2/types.ts';
import { AGREEMENT_MS, type Convergence, converge } from './converge.ts';
import { NO_DELIVERY, withCallAnswered, withCallBegun } from './memory.ts';
import type { Item, Movable, Side } from './movable.ts';
import { NO_RELEASE, type Release, release, withReleaseAnswered } from './release.ts';
import type { PlannedCall } from './types.ts';

/** A reading that shows routes too: the ENI by destination; null: EC2 does not know the table. */
type RouteView = EC2View & { routes: Record<string, string | null> };
type RouteCall = {
  action: 'ReplaceRoute' | 'DeleteRoute';
  destination: string;
  networkInterfaceID: string;
};

/** The row that ec2/actions.ts would have. */
const rowOf = (call: RouteCall): EC2Call => call as unknown as EC2Call;
const callOf = (call: EC2Call): RouteCall => call as unknown as RouteCall;

const ROUTE: Movable = {
  name: 'Route',
  isRegional: true,
  nowhere: 'in no route table',
  isBatched: false,
  isOnInterface: false,
  rightness: ({ routes }: RouteView, { id }, _node, { networkInterfaceID }) => {
    const holder = routes[id];
    if (holder === undefined) return 'Unknown';
    if (holder === null) return 'Missing';
    return holder === networkInterfaceID ? 'Right' : 'Wrong';
  },
  whereabouts: ({ routes }: RouteView, { id }) => {
    const networkInterfaceID = routes[id];
    if (networkInterfaceID === undefined) return undefined;
    return networkInterfaceID ? { networkInterfaceID } : {};
  },
  bring: ([item], { networkInterfaceID }) =>
    rowOf({ action: 'ReplaceRoute', destination: item?.id ?? '', networkInterfaceID }),
  followersOf: () => [],
  after: (view: RouteView, call) => {
    const { destination, networkInterfaceID } = callOf(call);
    const routes = { ...view.routes, [destination]: networkInterfaceID };
    return { ...view, routes };
  },
  release: ({ routes }: RouteView, owned) =>
    owned.flatMap(({ item, networkInterfaceIDs }) => {
      const networkInterfaceID = routes[item.id] ?? '';
      if (!networkInterfaceIDs.includes(networkInterfaceID)) return [];
      return [
        {
          call: rowOf({ action: 'DeleteRoute', destination: item.id, networkInterfaceID }),
          items: [item],
        },
      ];
    }),
};

const DESTINATION = '192.0.2.10/32';
const ITEM: Item = { movable: ROUTE, key: `route ${DESTINATION}`, id: DESTINATION };
const NODE1: Side = { name: 'node1', address: '10.10.10.11', networkInterfaceID: 'eni-1' };
const NODE2: Side = { name: 'node2', address: '10.10.20.12', networkInterfaceID: 'eni-2' };

/** EC2, and one process that delivers the route. */
class Routes {
  nowMs = 0;
  holder: string | null = '';
  target = NODE1;
  memory = NO_DELIVERY;
  releaseMemory = NO_RELEASE;
  view = this.read();
  #unanswered: PlannedCall | undefined;

  read(): RouteView {
    const networkInterfaces = Object.fromEntries(
      [NODE1, NODE2].map(({ networkInterfaceID, address }) => [
        networkInterfaceID,
        {
          networkInterfaceID,
          subnetID: 'subnet-1',
          availabilityZone: 'a',
          status: 'in-use',
          sourceDestCheck: false,
          securityGroupIDs: [],
          tags: {},
          privateIPAddresses: [{ privateIPAddress: address, primary: true }],
        },
      ]),
    );
    this.view = {
      readAtMs: this.nowMs,
      networkInterfaces,
      elasticIPs: {},
      holders: {},
      routes: { [DESTINATION]: this.holder },
    };
    return this.view;
  }

  converge(): Convergence {
    const next = converge({
      nowMs: this.nowMs,
      view: this.view,
      items: [ITEM],
      standings: {},
      target: this.target,
      authority: { term: 1, readAtMs: 0 },
      memory: this.memory,
      unanswered: this.#unanswered,
      isFirstMaster: false,
      closed: [],
    });
    this.memory = next.memory;
    return next;
  }

  begin(call: PlannedCall): RouteCall {
    this.memory = withCallBegun(this.memory, call, this.nowMs);
    this.#unanswered = call;
    return callOf(call.call);
  }

  answer(result: Parameters<typeof withCallAnswered>[2]['result'] = { ok: true }): void {
    const call = this.#unanswered;
    if (!call) throw new Error('no call is under way');
    this.#unanswered = undefined;
    const { action, networkInterfaceID } = callOf(call.call);
    if (result.ok) this.holder = action === 'DeleteRoute' ? null : networkInterfaceID;
    const answer = { result, atMs: this.nowMs, random: 1 };
    if (call.purpose === 'Release')
      this.releaseMemory = withReleaseAnswered(this.releaseMemory, call, answer);
    else this.memory = withCallAnswered(this.memory, call, answer, true);
  }

  release(keep: readonly string[] = []): Release {
    const next = release({
      nowMs: this.nowMs,
      view: this.view,
      memory: this.releaseMemory,
      answeredAtMs: this.memory.answeredAtMs,
      isCalling: this.#unanswered !== undefined,
      owned: [{ item: ITEM, networkInterfaceIDs: ['eni-1', 'eni-2'] }],
      keep,
      nodes: [NODE1, NODE2],
      term: 1,
      requireTag: undefined,
    });
    this.releaseMemory = next.memory;
    return next;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.read();
  }

  static converged(): Routes {
    const routes = new Routes();
    const { call } = routes.converge();
    if (!call) throw new Error('no call is wanted');
    routes.begin(call);
    routes.answer();
    routes.pass(1);
    routes.converge();
    return routes;
  }
}

test('a route is moved to its target, and read back before that is believed', () => {
  const routes = new Routes();
  const { call } = routes.converge();
  assert.is(call?.purpose, 'Move');
  assert.equal(call && routes.begin(call), {
    action: 'ReplaceRoute',
    destination: DESTINATION,
    networkInterfaceID: 'eni-1',
  });
  routes.answer();
  const believed = routes.converge();
  assert.is(believed.call, undefined, 'it is believed to be there, so nothing is called');
  assert.is(believed.state.is, 'Moving');
  assert.ok(believed.readSinceMs !== undefined);
  routes.pass(1);
  assert.equal(routes.converge().state, { is: 'Converged', items: [ITEM] });
});

test('a route that somebody moves is put back once two readings agree', () => {
  const routes = Routes.converged();
  routes.holder = 'eni-2';
  routes.pass(1_000);
  const first = routes.converge();
  assert.is(first.call, undefined);
  assert.is(first.state.is, 'Drifted');
  routes.pass(AGREEMENT_MS);
  const { call } = routes.converge();
  assert.is(call?.purpose, 'Repair');
  assert.equal(
    call?.drift?.map(({ where }) => where),
    [{ networkInterfaceID: 'eni-2' }],
  );
});

test('a route that fails is tried again, later; one that EC2 does not know is said', () => {
  const routes = new Routes();
  const { call } = routes.converge();
  assert.ok(call);
  routes.begin(call);
  routes.answer(failureOf({ code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 }));
  const failed = routes.converge();
  assert.is(failed.state.is, 'Failing');
  assert.ok((failed.wakeAtMs ?? 0) > routes.nowMs);
  const gone = new Routes();
  gone.holder = null;
  gone.read();
  assert.equal(gone.converge().state, { is: 'Missing', items: [ITEM] });
});

test('a route is released from the ENI that it is on, and that is done after two readings without it', () => {
  const routes = Routes.converged();
  assert.is(routes.release([DESTINATION]).call, undefined, 'another pair names it');
  routes.pass(1);
  const { call } = routes.release();
  assert.is(call?.node, 'node1');
  assert.is(call && routes.begin(call).action, 'DeleteRoute');
  routes.pass(1);
  routes.answer();
  routes.pass(1);
  const once = routes.release();
  assert.is(once.done, false);
  routes.pass(AGREEMENT_MS);
  assert.is(routes.release().done, true);
});

test.run();
