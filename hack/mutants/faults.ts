/**
 * The small faults that a file can have: an operator, a condition, a constant, a dropped statement. Words are left alone: nearly
 * every one belongs to a union, and the type checker knows it.
 */
import type { AnyNode, BinaryExpression, Literal, LogicalExpression } from 'acorn';
import type { Plant } from '../plant/plant.ts';
import { nodesOf, stripped, treeOf } from './syntax.ts';

/** An edit, and how to tell it. */
export type Fault = Plant & {
  kind: 'operator' | 'condition' | 'constant' | 'statement' | 'method';
  /** From 1. */
  line: number;
  /** The smallest whole expression or statement around the edit, on one line. */
  before: string;
  after: string;
};

const OPERATORS: Readonly<Record<string, string>> = {
  ...{ '<': '<=', '<=': '<', '>': '>=', '>=': '>', '===': '!==', '!==': '===' },
  ...{ '+': '-', '-': '+', '*': '/', '/': '*', '%': '*', '**': '*' },
  ...{ '&': '|', '|': '&', '^': '&', '<<': '>>', '>>': '<<', '>>>': '<<' },
  ...{ '&&': '||', '||': '&&', '??': '&&' },
};

const ASSIGNMENTS: Readonly<Record<string, string>> = {
  ...{ '+=': '-=', '-=': '+=', '&=': '|=', '|=': '&=', '^=': '&=' },
  ...{ '&&=': '=', '||=': '=', '??=': '=' },
};

const METHODS: Readonly<Record<string, string>> = {
  ...{ some: 'every', every: 'some', min: 'max', max: 'min', floor: 'ceil', ceil: 'floor' },
};

/** What one node can have wrong, without what only the file knows. */
type Edit = Pick<Fault, 'kind' | 'start' | 'end' | 'text'>;

/** Where an operator stands between its operands; comments between them would be in the way, and are not written here. */
const operatorAt = (code: string, from: number, to: number, operator: string): number => {
  const at = code.slice(from, to).indexOf(operator);
  if (at < 0) throw new Error(`no ${operator} in ${JSON.stringify(code.slice(from, to))}`);
  return from + at;
};

const isText = (node: AnyNode): boolean =>
  node.type === 'TemplateLiteral' ||
  (node.type === 'Literal' && typeof node.value === 'string') ||
  (node.type === 'BinaryExpression' && (isText(node.left) || isText(node.right)));

/** In brackets, so that what the operands were they stay; `??` next to `&&` wants more of them. */
const swapped = (source: string, code: string, node: BinaryExpression | LogicalExpression): Edit[] => {
  const operator = OPERATORS[node.operator];
  if (operator === undefined || (node.operator === '+' && isText(node))) return [];
  const at = operatorAt(code, node.left.end, node.right.start, node.operator);
  const [left, right] = [source.slice(node.start, at), source.slice(at + node.operator.length, node.end)];
  const text =
    node.operator === '??' ? `((${left.trimEnd()}) ${operator}${right})` : `(${left}${operator}${right})`;
  return [{ kind: 'operator', start: node.start, end: node.end, text }];
};

/** A small number becomes its neighbour, a large one its double. */
const constant = ({ value, start, end }: Literal): Edit[] => {
  if (typeof value === 'boolean') return [{ kind: 'constant', start, end, text: String(!value) }];
  if (typeof value !== 'number') return [];
  return [{ kind: 'constant', start, end, text: String(value < 10 ? value + 1 : value * 2) }];
};

/** `if`, `?:` and loops; a loop is never made endless. */
const condition = ({ type, start, end }: AnyNode, words: readonly string[]): Edit[] =>
  type === 'Literal' ? [] : words.map((text) => ({ kind: 'condition', start, end, text }));

const dropped = ({ start, end }: AnyNode): Edit[] => [{ kind: 'statement', start, end, text: ';' }];

const editsOf = (source: string, code: string, node: AnyNode, parent: AnyNode | undefined): Edit[] => {
  switch (node.type) {
    case 'BinaryExpression':
    case 'LogicalExpression':
      return swapped(source, code, node);
    case 'AssignmentExpression': {
      const text = ASSIGNMENTS[node.operator];
      if (text === undefined) return [];
      const start = operatorAt(code, node.left.end, node.right.start, node.operator);
      return [{ kind: 'operator', start, end: start + node.operator.length, text }];
    }
    case 'UpdateExpression': {
      const start = node.prefix ? node.start : node.end - 2;
      return [{ kind: 'operator', start, end: start + 2, text: node.operator === '++' ? '--' : '++' }];
    }
    case 'UnaryExpression': {
      const text = { '!': '', '-': '+' }[node.operator as string];
      return text === undefined ? [] : [{ kind: 'operator', start: node.start, end: node.start + 1, text }];
    }
    case 'Literal':
      return parent?.type === 'Property' && parent.key === node ? [] : constant(node);
    case 'IfStatement':
    case 'ConditionalExpression':
      return condition(node.test, ['true', 'false']);
    case 'WhileStatement':
    case 'DoWhileStatement':
      return condition(node.test, ['false']);
    case 'ForStatement':
      return node.test ? condition(node.test, ['false']) : [];
    case 'ReturnStatement':
      return node.argument ? [] : dropped(node);
    case 'ExpressionStatement':
    case 'ThrowStatement':
    case 'ContinueStatement':
    case 'BreakStatement':
      return dropped(node);
    case 'CallExpression': {
      const { callee } = node;
      if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return [];
      const { name, start, end } = callee.property;
      const text = METHODS[name];
      return text === undefined ? [] : [{ kind: 'method', start, end, text }];
    }
    default:
      return [];
  }
};

const TOLD = 160;

/** On one line, and no longer than a reader needs to know it again. */
const told = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= TOLD ? line : `${line.slice(0, TOLD - 1)}…`;
};

/** What is shown around an edit: the node itself, or for an operand, a constant or a method what it is part of. */
const shownOf = (node: AnyNode, parent: AnyNode | undefined): AnyNode => {
  const isSmall = node.type === 'Literal' || node.type === 'UnaryExpression';
  return isSmall && parent && parent.end - parent.start <= TOLD ? parent : node;
};

/** Every fault of a file, in the order of its text. */
export const faultsOf = (file: string, source: string): Fault[] => {
  const code = stripped(source);
  const faults: Fault[] = [];
  for (const { node, parent } of nodesOf(treeOf(code))) {
    const shown = shownOf(node, parent);
    for (const edit of editsOf(source, code, node, parent)) {
      const { start, end, text } = edit;
      const around = [source.slice(shown.start, start), source.slice(end, shown.end)];
      const line = source.slice(0, start).split('\n').length;
      const [before, after] = [source.slice(shown.start, shown.end), around.join(text)].map(told);
      faults.push({ ...edit, file, line, before: before ?? '', after: after ?? '' });
    }
  }
  return faults;
};
