/** A reload where the peer waits for a third of a second only: with luck nobody notices, and never are there two for long. */
import * as assert from 'uvu/assert';
import { hapairAgent, statusOf } from './agent-life.ts';
import { backup, masterOf, otherNode, quickPair, settled, storyOf } from './support.ts';

const { row, run } = storyOf('reload-quick', async () => {
  const pair = await quickPair();
  pair.spec.vrrp.advertisementIntervalMilliseconds = 100;
  return pair;
});

row('a reload of the master at 100 ms ends with one master and one standby, whoever it is', async (stage) => {
  const from = await masterOf(stage);
  const seen = stage.adverts.length;
  const { code, stderr } = await hapairAgent(stage, from, ['reload']);
  assert.is(code, 0, stderr);
  const after = await statusOf(stage, from);
  const master = after.pairs[0]?.state === 'Master' ? from : otherNode(from);
  await settled(stage, master);
  await backup(stage, otherNode(master));
  const { address } = stage.lab.node(from).instance;
  const resigned = stage.adverts
    .slice(seen)
    .filter(({ source, priority }) => source === address && priority === 0);
  assert.equal(resigned, [], 'a reload is no resignation');
});

row(
  'a stop at once after a reload: whatever it interrupts, the agent ends and the other node serves',
  async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    const node = stage.lab.node(from);
    await backup(stage, to);
    await node.killService('agent', 'SIGHUP');
    await node.stopService('agent');
    await stage.gone(from, 'agent');
    await settled(stage, to);
    await node.startService('agent');
    await backup(stage, from);
    assert.is(await masterOf(stage), to);
  },
);

run();
