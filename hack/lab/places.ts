/**
 * Places beside the VPC: network namespaces of their own on the management network, for processes that talk to the API server
 * and to EC2 alone and are to be cut off one by one.
 */
import type { Lab } from './lab.ts';
import { MANAGEMENT } from './vpc.ts';

/** Such a place. */
export type ManagedPlace = {
  /** Where `Lab.spawn` and `exec` put a process. */
  name: string;
  /** Drops what goes to and comes from the API server, silently; EC2 stays within reach. */
  cutAPI(): Promise<void>;
  /** Takes the link away. */
  cutAll(): Promise<void>;
  heal(): Promise<void>;
};

/** The instances' management addresses come before. */
const FIRST_HOST = 31;

const run = async (lab: Lab, argv: string[], input?: string): Promise<void> => {
  const { code, stderr } = await lab.exec({ where: 'world', argv, ...(input !== undefined && { input }) });
  if (code !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr}`);
};

/**
 * Makes a place.
 * @param name at most ten characters, no instance's
 * @param index from 0, its own
 */
export const makePlace = async (lab: Lab, name: string, index: number): Promise<ManagedPlace> => {
  const address = `192.168.254.${FIRST_HOST + index}`;
  const device = `mgmt-${name}`;
  await run(lab, ['ip', 'netns', 'add', name]);
  const links = [
    `link add ${device} type veth peer name mgmt0 netns ${name}`,
    `link set ${device} master mgmt up`,
  ];
  const inside = [
    'link set lo up',
    'link set mgmt0 up',
    `addr add ${address}/${MANAGEMENT.prefix} dev mgmt0`,
  ];
  await run(lab, ['ip', '-batch', '-'], `${links.join('\n')}\n`);
  await run(lab, ['ip', '-n', name, '-batch', '-'], `${inside.join('\n')}\n`);
  const element = `element ip management cut { ${address} }`;
  return {
    name,
    cutAPI: () => run(lab, ['nft', 'add', ...element.split(' ')]),
    cutAll: () => run(lab, ['ip', 'link', 'set', device, 'down']),
    heal: async () => {
      // Adds first, so that deleting what is not there is no error.
      await run(lab, ['nft', '-f', '-'], `add ${element}\ndelete ${element}\n`);
      await run(lab, ['ip', 'link', 'set', device, 'up']);
    },
  };
};
