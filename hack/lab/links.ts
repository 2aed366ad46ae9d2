/** The links of a lab by their names, and which of them are cut. */
import type { Channel } from './channel.ts';
import type { Cut } from './rpc.ts';

/** What a link's name means: the way of an instance to the API server, or ways between instances. */
type Link = { node: string } | { ways: Cut[] };

/** The links between the instances of a lab, and from each to the API server. */
export class Links {
  readonly #channel: Channel;
  readonly #nodes: readonly string[];
  readonly #cut = new Set<string>();

  constructor(channel: Channel, nodes: readonly string[]) {
    this.#channel = channel;
    this.#nodes = nodes;
  }

  /** Those that are cut now, each way by itself. */
  get cut(): string[] {
    return [...this.#cut];
  }

  /** Cuts a link (`true`) or heals it. @throws Error that lists the forms of a name */
  async set(text: string, isCut: boolean): Promise<void> {
    const link = parseLink(text, this.#nodes);
    for (const name of namesOf(text, link)) this.#cut[isCut ? 'add' : 'delete'](name);
    if ('node' in link) await this.#channel.call('management', { node: link.node, up: !isCut });
    else for (const way of link.ways) await this.#channel.call(isCut ? 'cut' : 'heal', way);
  }
}

/** What is listed as cut: each way by itself. */
const namesOf = (text: string, link: Link): string[] =>
  'node' in link ? [text] : link.ways.map(({ from, to }) => `${from}->${to}`);

/**
 * Reads the name of a link.
 * @throws Error that lists the forms.
 */
export const parseLink = (text: string, nodes: readonly string[]): Link => {
  const api = /^(.+)-api$/.exec(text)?.[1];
  if (api !== undefined && nodes.includes(api)) return { node: api };
  for (const from of nodes) {
    for (const to of nodes.filter((name) => name !== from)) {
      if (text === `${from}->${to}`) return { ways: [{ from, to }] };
      if (text === `${from}-${to}`) {
        return {
          ways: [
            { from, to },
            { from: to, to: from },
          ],
        };
      }
    }
  }
  const [one = 'a', other = 'b'] = nodes;
  throw new Error(`${text} is no link: say ${one}-${other}, ${one}->${other} (one way) or ${one}-api.`);
};
