/** What was seen of one pair from outside: on the wire, in EC2's log, where packets go. Waiting for it, too. */

import { nowMs } from '../../lab/clock.ts';
import { isMutating } from '../../lab/ec2-control.ts';
import type { CallRecord, LabInstance } from '../../lab/types.ts';
import { eventually } from '../common/wait.ts';
import type { Contender } from './contender.ts';
import type { Harness, Pair } from './harness.ts';
import { type Delivery, mastersIn } from './measure.ts';

/** Long enough for two adverts of a Master that sends one a second. */
export const TWO_ADVERTS_MS = 2_500;

/** The newest call in EC2's log. */
export const lastCallID = async ({ lab }: Harness): Promise<number> =>
  (await lab.ec2.calls()).at(-1)?.id ?? 0;

/** Calls that changed something, or tried to, and that this contender itself made. */
export const callsOf = async (
  { lab }: Harness,
  { accessKeyID }: Pick<Contender, 'accessKeyID'>,
  sinceID: number,
): Promise<CallRecord[]> =>
  (await lab.ec2.calls(sinceID)).filter((call) => isMutating(call) && call.accessKeyID === accessKeyID);

/** Waits until EC2 has answered every call that this contender has made. */
export const untilAnswered = async (
  harness: Harness,
  contender: Pick<Contender, 'accessKeyID'>,
  sinceID: number,
): Promise<CallRecord[]> =>
  eventually('EC2 should have answered every call', async () => {
    const calls = await callsOf(harness, contender, sinceID);
    return calls.every(({ answeredAtMs }) => answeredAtMs !== undefined) ? calls : undefined;
  });

/** As it will be when the fabric has followed every call so far. */
export const deliveryOf = async ({ lab }: Harness, { nodes, vip, publicIP }: Pair): Promise<Delivery> => {
  const { routes, nat } = await lab.ec2.settledMapping();
  const nameOf = (address: string | undefined): string | null => {
    const eni = address === undefined ? undefined : routes[address];
    return nodes.find(({ networkInterfaceID }) => networkInterfaceID === eni)?.name ?? eni ?? null;
  };
  return { vip: nameOf(vip), publicIP: nameOf(nat[publicIP]) };
};

/**
 * Waits until the node alone has advertised for a while, has the VIP on its interface, and EC2 delivers both addresses to
 * it: what every run starts from.
 * @throws Error with what was seen instead.
 */
export const untilServing = async (harness: Harness, pair: Pair, node: LabInstance): Promise<void> => {
  const { lab, adverts } = harness;
  let seen = '';
  const look = async (): Promise<true | undefined> => {
    const { vip, publicIP } = await deliveryOf(harness, pair);
    const masters = mastersIn(adverts, pair, nowMs() - TWO_ADVERTS_MS, nowMs());
    const shown = await lab.node(node.name).exec(['ip', '-o', '-4', 'addr', 'show', 'dev', 'eth0']);
    const hasVIP = shown.stdout.includes(` ${pair.vip}/`);
    seen = JSON.stringify({ vip, publicIP, masters, hasVIP });
    const isServing = vip === node.name && publicIP === node.name && hasVIP;
    return isServing && masters.length === 1 && masters[0] === node.name ? true : undefined;
  };
  await eventually(`${node.name} should serve alone`, look).catch((error: Error) => {
    throw new Error(`${error.message} Seen: ${seen}`);
  });
};
