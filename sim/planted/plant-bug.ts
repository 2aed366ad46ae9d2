/** A bug's text found in its file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Plant, ROOT } from '../../hack/plant/plant.ts';
import type { Bug } from './bug.ts';

/** @throws Error when the text is not there, or more than once: the product has changed, and the list must follow. */
export const plantOf = ({ name, file, text, planted }: Bug): Plant => {
  const source = readFileSync(join(ROOT, file), 'utf8');
  const start = source.indexOf(text);
  if (start < 0) throw new Error(`${name}: ${file} no longer has ${JSON.stringify(text)}`);
  if (source.indexOf(text, start + 1) >= 0)
    throw new Error(`${name}: ${file} has ${JSON.stringify(text)} more than once`);
  return { file, start, end: start + text.length, text: planted };
};
