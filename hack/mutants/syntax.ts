/** The syntax tree of a TypeScript file, with offsets into the file itself. */
import { stripTypeScriptTypes } from 'node:module';
import { type AnyNode, type Program, parse } from 'acorn';

/** A file's text without its types, each of which is blanked out: every offset means the same in both. */
export const stripped = (source: string): string => {
  const code = stripTypeScriptTypes(source, { mode: 'strip' });
  if (code.length !== source.length)
    throw new Error('the offsets of the stripped text are not those of the source');
  return code;
};

export const treeOf = (code: string): Program => parse(code, { ecmaVersion: 'latest', sourceType: 'module' });

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' &&
  value !== null &&
  'type' in value &&
  typeof value.type === 'string' &&
  'start' in value;

/** A node's parts, in the order of the text. */
const partsOf = (node: AnyNode): AnyNode[] =>
  Object.values(node)
    .flatMap((value: unknown) => (Array.isArray(value) ? value : [value]))
    .filter(isNode)
    .sort((a, b) => a.start - b.start);

/** Every node with what contains it, in the order of the text. */
export function* nodesOf(
  node: AnyNode,
  parent?: AnyNode,
): Generator<{ node: AnyNode; parent: AnyNode | undefined }> {
  yield { node, parent };
  for (const part of partsOf(node)) yield* nodesOf(part, node);
}
