/**
 * What the operator says and does, word for word, in the stories that people live through: operator/plan/stories/*.txt. A change of
 * words or deadlines shows there as a difference to be read; `make stories` writes the files anew.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../ec2/errors.ts';
import { MAIN, NODE1, NODE2, NODE3, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';
import { Story } from '../testing/transcript.ts';

const FOLDER = join(import.meta.dirname, 'stories');
const [ENI1, ENI2] = [NODE1.networkInterfaceID, NODE2.networkInterfaceID];
const SECOND = { name: 'second', vip: '10.10.10.20' };
const BOTH = ['node1', 'node2'] as const;

const failed = (code: string, httpStatus = 400) => failureOf({ code, message: 'EC2 says no', httpStatus });

const SINCE = '2026-11-22T10:00:00Z';
const bad = (type: string, reason: string, message: string) =>
  ({ type, status: 'False', reason, message, lastTransitionTime: SINCE }) as const;
const good = (type: string) =>
  ({ type, status: 'True', reason: type, message: '', lastTransitionTime: SINCE }) as const;

/** node2 takes over in `term`, and node1 is its Backup then. */
const takeOver = ({ rig }: Story, term = 2): void => {
  rig.report('node2', 'Master', term);
  rig.report('node1', 'Backup', term);
};

const STORIES: Record<string, () => Story> = {
  'first election': () => {
    const story = new Story('a new pair, its first election', {}, (change) => new Rig(change));
    story.when('the HAPair is applied; node2 has the VIP already', () => story.rig.cloud.put(VIP, ENI2));
    story.when('the agents report', () => {
      for (const node of BOTH) story.rig.report(node, 'Backup', 0);
    });
    story.when('node2 is elected', () => takeOver(story, 1));
    story.pass(60_000, ...BOTH);
    return story;
  },

  crash: () => {
    const story = new Story('the master crashes and comes back');
    story.pass(30_000, ...BOTH);
    story.when('node2 claims', () => story.rig.report('node2', 'Master', 2));
    story.pass(90_000, 'node2');
    story.when('node1 is back, and Backup', () => story.rig.report('node1', 'Backup', 2));
    story.pass(10_000, ...BOTH);
    return story;
  },

  refusals: () => {
    const story = new Story('EC2 refuses a failover, in every way');
    const answers = [
      failed('RequestLimitExceeded', 503),
      failed('UnauthorizedOperation', 403),
      failed('AuthFailure', 401),
      failed('InvalidNetworkInterfaceID.NotFound'),
      failed('InvalidParameterValue'),
      failed('PrivateIpAddressLimitExceeded'),
      failed('IncorrectInstanceState'),
      failed('InternalError', 500),
      failureOf({ code: 'TimeoutError', message: 'no answer' }),
      failureOf({ code: 'ECONNREFUSED', message: 'nobody listens' }),
    ];
    takeOver(story);
    for (const answer of answers) {
      story.when(answer.ok ? '' : answer.code, () => story.rig.pass(31_000), answer);
      for (const node of BOTH) story.rig.alive(node);
    }
    story.when('at last', () => story.rig.pass(31_000));
    story.pass(10_000, ...BOTH);
    return story;
  },

  drift: () => {
    const story = new Story('somebody takes the addresses away, again and again', {
      addresses: [MAIN, SECOND],
    });
    story.when('the VIP is unassigned', () => {
      story.rig.cloud.put(VIP, undefined);
      story.rig.read();
    });
    story.pass(5_000, ...BOTH);
    story.when('it is put on the other node', () => {
      story.rig.cloud.put(VIP, ENI2);
      story.rig.read();
    });
    story.pass(15_000, ...BOTH);
    story.when('once more', () => {
      story.rig.cloud.put(VIP, ENI2);
      story.rig.read();
    });
    story.pass(40_000, ...BOTH);
    return story;
  },

  addresses: () => {
    const story = new Story('addresses change', { addresses: [MAIN, SECOND], deletionPolicy: 'Unassign' });
    story.when('the second one is replaced', () =>
      story.rig.edit({ addresses: [MAIN, { ...SECOND, vip: '10.10.10.30' }] }),
    );
    story.pass(10_000, ...BOTH);
    story.when(
      'it is dropped, and may not be taken off',
      () => story.rig.edit({ addresses: [MAIN] }),
      failed('UnauthorizedOperation', 403),
    );
    story.pass(10_000, ...BOTH);
    story.when('a name changes, and nothing else', () =>
      story.rig.edit({ addresses: [{ ...MAIN, name: 'renamed' }] }),
    );
    story.pass(10_000, ...BOTH);
    story.when('the EIP alone is left, by Retain', () =>
      story.rig.edit({
        deletionPolicy: 'Retain',
        addresses: [
          { name: 'renamed', ...(MAIN.eipAllocationID && { eipAllocationID: MAIN.eipAllocationID }) },
        ],
      }),
    );
    story.pass(10_000, ...BOTH);
    return story;
  },

  nodes: () => {
    const story = new Story('nodes are replaced', { addresses: [MAIN, SECOND] });
    story.when('the standby', () => story.rig.edit({ nodes: [NODE1, NODE3] }));
    story.when('node3 reports', () => story.rig.report('node3', 'Backup', 1));
    story.pass(10_000, 'node1', 'node3');
    story.when('the master, while it serves', () => story.rig.edit({ nodes: [NODE2, NODE3] }));
    story.when('node3 takes over', () => {
      story.rig.report('node3', 'Master', 2);
      story.rig.report('node1', 'Backup', 2);
    });
    story.pass(10_000, 'node1', 'node3');
    return story;
  },

  pin: () => {
    const story = new Story('a pin, its death and its end');
    story.when('node2 is pinned', () => story.rig.edit({ pinnedNode: 'node2' }));
    story.when('it is Master', () => takeOver(story));
    story.pass(10_000, ...BOTH);
    story.pass(60_000, 'node1');
    story.when('the pin is taken away', () => story.rig.unpin());
    story.when('node1 is elected', () => story.rig.report('node1', 'Master', 3));
    story.when('paused', () => story.rig.edit({ paused: true }));
    story.when('node2 claims meanwhile', () => story.rig.report('node2', 'Master', 4));
    story.when('a pin, paused', () => story.rig.edit({ pinnedNode: 'node1' }));
    story.when('no longer paused', () => story.rig.edit({ paused: false }));
    return story;
  },

  orders: () => {
    const story = new Story('orders to switch');
    const failback = { policy: 'Manual', delaySeconds: 60, startingDeadlineSeconds: 60 } as const;
    story.when('node2 is preferred, and not ready', () => {
      story.rig.report('node2', 'Fault', 1);
      story.rig.edit({ preferredNode: 'node2', failback });
    });
    story.pass(10_000, ...BOTH);
    story.when('it is', () => story.rig.report('node2', 'Backup', 1));
    story.when('node1 yields', () => story.rig.report('node1', 'Backup', 1));
    story.when('node2 is elected', () => takeOver(story));
    story.when('node1 is preferred', () => story.rig.edit({ preferredNode: 'node1' }));
    story.when('node2 yields, and is elected again', () => story.rig.report('node2', 'Master', 3));
    story.when('ordered anew, for later', () =>
      story.rig.edit({ failback: { ...failback, requestedAt: '2026-11-22T10:02:00Z' } }),
    );
    story.pass(130_000, ...BOTH);
    story.pass(70_000, ...BOTH);
    story.when('for the past', () =>
      story.rig.edit({ failback: { ...failback, requestedAt: '2026-11-22T08:00:00Z' } }),
    );
    story.when('node2 is pinned while an order stands', () => {
      story.rig.edit({ preferredNode: 'node2' });
      story.rig.edit({ preferredNode: 'node1', pinnedNode: 'node2' });
    });
    return story;
  },

  failback: () => {
    const story = new Story('failback by itself', {
      preferredNode: 'node1',
      failback: { policy: 'Automatic', delaySeconds: 60, startingDeadlineSeconds: 600 },
    });
    story.when('node2 takes over', () => takeOver(story));
    story.pass(150_000, ...BOTH);
    story.when('node2 yields, node1 is elected', () => {
      story.rig.report('node2', 'Backup', 2);
      story.rig.report('node1', 'Master', 3);
    });
    story.pass(20_000, ...BOTH);
    return story;
  },

  flapping: () => {
    const story = new Story('a pair that flaps is held down');
    for (let term = 2; term < 8; term++) {
      const [to, from] = term % 2 === 0 ? (['node2', 'node1'] as const) : (['node1', 'node2'] as const);
      story.when(`${to} claims`, () => {
        story.rig.report(to, 'Master', term);
        story.rig.report(from, 'Backup', term);
      });
      story.pass(20_000, ...BOTH);
    }
    story.pass(300_000, ...BOTH);
    return story;
  },

  'split brain': () => {
    const story = new Story('two Masters');
    story.when('node2 does not hear node1', () =>
      story.rig.report('node2', 'Master', 2, {
        conditions: [
          {
            type: 'PeerHeard',
            status: 'False',
            reason: 'PeerSilent',
            message: '',
            lastTransitionTime: '2026-11-22T10:00:00Z',
          },
        ],
      }),
    );
    story.pass(40_000, ...BOTH);
    story.when('the link heals', () => story.rig.report('node1', 'Backup', 2));
    story.pass(10_000, ...BOTH);
    return story;
  },

  silence: () => {
    const story = new Story('agents fall silent');
    story.pass(60_000, 'node1');
    story.pass(20_000, ...BOTH);
    story.when('node2 hears node1, and has not been asked about its health', () =>
      story.rig.report('node2', 'Backup', 1, {
        conditions: [bad('Healthy', 'ChecksFailed', 'tcp: refused.'), good('PeerHeard')],
      }),
    );
    story.pass(60_000, 'node2');
    story.pass(150_000);
    story.pass(20_000, ...BOTH);
    story.when('the standby is in Fault', () =>
      story.rig.report('node2', 'Fault', 1, {
        conditions: [
          {
            type: 'Ready',
            status: 'False',
            reason: 'ChecksFailed',
            message: 'http: refused',
            lastTransitionTime: '2026-11-22T10:00:00Z',
          },
        ],
      }),
    );
    story.when('the master is, too', () => story.rig.report('node1', 'Fault', 1));
    story.pass(20_000, ...BOTH);
    return story;
  },

  'long outages': () => {
    const story = new Story('how long something was away is told in seconds, minutes or hours');
    for (const ms of [90_000, 600_000, 10_800_000]) {
      story.pass(ms, 'node1');
      story.pass(10_000, ...BOTH);
    }
    return story;
  },

  'blind to EC2': () => {
    const story = new Story('EC2 cannot be read');
    story.when('a reading fails', () => {
      const { view } = story.rig.reading;
      story.rig.reading = {
        ...(view && { view }),
        failure: { class: 'Unauthorized', message: 'not you', atMs: story.rig.nowMs },
      };
    });
    story.pass(200_000, ...BOTH);
    story.when('it works again', () => story.rig.read());
    story.when('a reading leaves the EIP out', () =>
      story.rig.read({ ...story.rig.cloud.view(story.rig.nowMs), elasticIPs: {} }),
    );
    story.pass(20_000, ...BOTH);
    return story;
  },

  parameters: () => {
    const story = new Story('the election gets other parameters');
    const vrrp = { version: 3, virtualRouterID: 10, advertisementIntervalMilliseconds: 500 } as const;
    for (const node of BOTH) story.rig.acknowledge(node);
    story.when('a shorter interval', () => story.rig.edit({ vrrp }));
    for (const step of ['first', 'second', 'third'])
      story.when(`both have taken the ${step} step`, () => {
        for (const node of BOTH) story.rig.acknowledge(node);
      });
    return story;
  },

  'an agent in trouble': () => {
    const story = new Story('an agent cannot do what it is told, and says why');
    const vrrp = { version: 3, virtualRouterID: 10, advertisementIntervalMilliseconds: 500 } as const;
    for (const node of BOTH) story.rig.acknowledge(node);
    story.when('node2 cannot load a shorter interval', () => {
      story.rig.report('node2', 'Backup', 1, {
        conditions: [bad('Ready', 'InstanceFaulty', 'the disk is full.')],
      });
      story.rig.edit({ vrrp });
    });
    story.when('node1 has taken the first step', () => story.rig.acknowledge('node1'));
    story.when('node2 claims without its VIP', () =>
      story.rig.report('node2', 'Master', 2, {
        vipsOnInterface: [],
        conditions: [bad('Ready', 'InstanceFaulty', 'the kernel refuses the VIP.'), good('PeerHeard')],
      }),
    );
    story.pass(10_000, ...BOTH);
    story.when('the VIP is up', () => story.rig.report('node2', 'Master', 2, { vipsOnInterface: [VIP] }));
    return story;
  },

  'nobody serves': () => {
    const story = new Story('neither node may serve');
    const sick = { conditions: [bad('Healthy', 'ChecksFailed', 'http: connection refused.')] };
    story.when('node2 is in Fault', () => story.rig.report('node2', 'Fault', 1, sick));
    story.when('node1 is, too', () => story.rig.report('node1', 'Fault', 1, sick));
    story.pass(60_000, ...BOTH);
    story.when('the addresses are taken away meanwhile', () => {
      story.rig.cloud.put(VIP, undefined);
      story.rig.read();
    });
    story.when('node1 reports a Mastership of long ago', () => story.rig.report('node1', 'Master', 0));
    story.when('node2 is well, and claims', () => story.rig.report('node2', 'Master', 2));
    return story;
  },

  'refused from the start': () => {
    const story = new Story('a new pair that is not accepted', {}, (change) => new Rig(change));
    story.when('a rule is broken', () => {
      story.rig.problems = ['spec.nodes: there must be two', 'spec.addresses: there must be one'];
    });
    story.when('it is mended', () => {
      story.rig.problems = [];
      story.rig.edit({});
    });
    return story;
  },

  'several EIPs': () => {
    const addresses = ['a', 'b', 'c'].map((name) => ({
      name,
      eipAllocationID: `eipalloc-0${name.repeat(16)}`,
    }));
    const story = new Story(
      'EIPs move one by one, and one that is refused keeps no other',
      { addresses },
      (change) => {
        const rig = new Rig(change);
        for (const { eipAllocationID } of addresses) rig.cloud.elasticIPs.set(eipAllocationID, undefined);
        return rig;
      },
    );
    story.when('the agents report', () => {
      for (const node of BOTH) story.rig.report(node, 'Backup', 0);
    });
    story.when(
      'node1 is elected; the first is refused',
      () => story.rig.report('node1', 'Master', 1),
      failed('InvalidAllocationID.NotFound'),
    );
    for (const what of ['the second is refused', 'the third is refused'])
      story.when(what, () => story.rig.pass(2_000), failed('AuthFailure', 400));
    story.when('all goes well', () => story.rig.pass(10_000));
    story.pass(10_000, ...BOTH);
    return story;
  },

  refused: () => {
    const story = new Story('a spec that is not accepted');
    story.when('a rule is broken', () => {
      story.rig.problems = ['spec.nodes: there must be two'];
      story.rig.edit({});
    });
    story.when('node2 takes over all the same', () => takeOver(story));
    story.when('mended; but another pair has the VIP', () => {
      story.rig.problems = [];
      story.rig.rival = 'prod/other names VIP 10.10.10.10 and is older.';
    });
    story.when('it lets go; but nothing is tagged', () => {
      story.rig.rival = undefined;
      story.rig.requireTag = { key: 'hapair.io/managed', value: 'true' };
    });
    story.when('node1 takes over', () => story.rig.report('node1', 'Master', 3));
    for (const id of [ENI1, ENI2, MAIN.eipAllocationID ?? ''])
      story.when(`${id} is tagged`, () => {
        story.rig.cloud.tags[id] = { 'hapair.io/managed': 'true' };
        story.rig.read();
      });
    return story;
  },

  restart: () => {
    const story = new Story('the operator restarts, and somebody deletes what it made');
    story.pass(60_000, ...BOTH);
    story.when('it restarts', () => story.rig.restart());
    story.pass(30_000, ...BOTH);
    story.pass(60_000, 'node1');
    story.when('it restarts while node2 is silent', () => story.rig.restart());
    story.pass(90_000, 'node1');
    story.pass(10_000, ...BOTH);
    story.when('a VRRPInstance is deleted', () => {
      story.rig.instances = story.rig.instances.slice(1);
    });
    story.when('both are', () => {
      story.rig.instances = [];
    });
    return story;
  },

  'deletion, Unassign': () => {
    const story = new Story('a pair is deleted: Unassign', { deletionPolicy: 'Unassign' });
    story.when('kubectl delete', () => story.rig.delete());
    story.when('node1 has stopped', () => {
      story.rig.report('node1', 'Backup', 1);
      story.rig.acknowledge('node1');
    });
    story.pass(40_000, 'node1');
    return story;
  },

  'deletion, Retain': () => {
    const story = new Story('a pair that was held by an earlier version is deleted: Retain');
    story.rig.hold();
    story.when('kubectl delete', () => story.rig.delete());
    return story;
  },
};

const fileOf = (name: string): string => `${name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}.txt`;

test('every file is that of a story', () => {
  const files = Object.keys(STORIES).map(fileOf);
  assert.equal(
    readdirSync(FOLDER).filter((file) => !files.includes(file)),
    [],
  );
});

for (const [name, tell] of Object.entries(STORIES))
  test(`the story of ${name} is told as it is written`, () => {
    const file = join(FOLDER, fileOf(name));
    const { text } = tell();
    if (process.env.WRITE_STORIES !== undefined) {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(file, text);
    }
    assert.fixture(text, readFileSync(file, 'utf8'));
  });

test.run();
