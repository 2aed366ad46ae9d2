/**
 * One end of hapair as a program: the agent's VRRP worker, and with `keepsVIP` its watch of the interface and its rule for VIPs.
 * What an agent has besides, the API server and EC2's metadata, is away. The end of stdin stops it as SIGTERM stops an agent.
 *
 *     node end.ts ORDER        ORDER: EndOrder as JSON
 */
import { watchInterfaces } from '../../../agent/node/interface.ts';
import { openLane } from '../../../agent/pair/lanes/lane.ts';
import type { NodeInterface } from '../../../agent/ports.ts';
import { planVIPs } from '../../../agent/rules/vip.ts';
import type { FromWorker } from '../../../agent/worker/messages.ts';
import { startVRRPWorker } from '../../../agent/worker/worker-client.ts';
import type { VRRPState } from '../../../crds/types.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { type EndOrder, PASSWORD } from './contender.ts';

const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

/** Keeps the VIP where the rule wants it. @returns to be told of each state. */
const keepVIP = (vip: string, signal: AbortSignal): ((state: VRRPState) => void) => {
  let state: VRRPState = 'Init';
  let eth0: NodeInterface | undefined;
  const added = new Set<string>();
  const warn = (fields: object, message: string): void => say({ ...fields, message });
  const log = { info: () => undefined, warn, error: warn };
  const addresses = watchInterfaces({
    clock: systemClock,
    log,
    signal,
    onReading: ({ interfaces }) => {
      eth0 = interfaces.find(({ name }) => name === 'eth0');
      lane.kick();
    },
  });
  const lane = openLane({
    clock: systemClock,
    onError: (error) => warn({ error: String(error) }, 'the interface refused'),
    step: async () => {
      if (eth0 === undefined) return false;
      const onInterface = eth0.addresses.map(({ address }) => address);
      const { add, remove } = planVIPs({
        ...{ state, claim: 'Normal', vips: [vip], delivered: [], lastDelivered: [] },
        ...{ onInterface, added: [...added], awaited: [] },
      });
      const [up] = add;
      const [down] = remove;
      if (up === undefined && down === undefined) return false;
      if (up !== undefined) {
        added.add(up);
        await addresses.add('eth0', up);
        eth0 = { ...eth0, addresses: [...eth0.addresses, { address: up, prefixLength: 32 }] };
      } else if (down !== undefined) {
        await addresses.remove('eth0', down);
        added.delete(down);
        eth0 = { ...eth0, addresses: eth0.addresses.filter(({ address }) => address !== down) };
      }
      return true;
    },
  });
  return (next) => {
    state = next;
    lane.kick();
  };
};

const main = async ({ site, place, timing, priority, keepsVIP, realtime }: EndOrder): Promise<void> => {
  const ended = new AbortController();
  const { address, peerAddress } = site.ends[place];
  const onState = keepsVIP ? keepVIP(site.vip, ended.signal) : () => undefined;
  const worker = startVRRPWorker({
    realtime,
    onMessage: (message: FromWorker) => {
      say(message);
      if (message.type === 'state') onState(message.state);
    },
    onExit: (error) => {
      if (error === null) return;
      process.stderr.write(`${error.stack}\n`);
      process.exit(1);
    },
  });
  worker.send({
    type: 'set',
    pair: 'bench/pair',
    config: {
      ...{ version: timing.version, virtualRouterID: site.virtualRouterID, priority },
      ...{ advertisementIntervalMs: timing.advertisementIntervalMs, checksum: 'Pseudoheader' },
      ...{ sourceAddress: address, peerAddress, interface: 'eth0', vips: [site.vip] },
      ...(timing.version === 2 && { password: new TextEncoder().encode(PASSWORD) }),
    },
  });
  for await (const _ of process.stdin);
  await worker.stop();
  ended.abort();
};

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '{}'));
