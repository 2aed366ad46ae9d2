/** The interop table: every story with either end first and in both versions, and what a third host can do to a pair. */
import { forgedRows } from './forged.ts';
import { controlOf, partsOf, rowOf } from './parts.ts';
import type { Row } from './scene.ts';
import { otherAddresses, STORIES } from './stories.ts';

const KINDS = ['hapair', 'keepalived'] as const;

/** The whole table. */
export const rows = (): Row[] => [
  ...Object.entries(STORIES).flatMap(([name, { story, versions, isControlled }]) =>
    versions.flatMap((version) => [
      ...KINDS.map((kind) => rowOf(name, partsOf(kind, version), story)),
      ...(isControlled ? [controlOf(name, version, story)] : []),
    ]),
  ),
  rowOf('lists of addresses that differ', partsOf('keepalived', 3), otherAddresses),
  ...forgedRows(),
];
