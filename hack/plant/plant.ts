/** A fault planted into one file of a process as it is loaded: nothing on disk changes, so runs with different faults go side by side. */
import { registerHooks } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const ROOT = join(import.meta.dirname, '..', '..');

/** An edit of one file's text. */
export type Plant = {
  /** Relative to the repository. */
  file: string;
  /** Offsets into the file's text, in UTF-16 code units. */
  start: number;
  end: number;
  text: string;
};

/** The file's path in the repository, with slashes. */
export const pathOf = (url: string): string => relative(ROOT, fileURLToPath(url)).replaceAll('\\', '/');

export const urlOf = (file: string): string => pathToFileURL(join(ROOT, file)).href;

/** The text with the edit made. */
export const planted = (source: string, { start, end, text }: Plant): string =>
  source.slice(0, start) + text + source.slice(end);

/** Has every later import of the file in this thread see the fault. */
export const plant = (fault: Plant): void => {
  const target = urlOf(fault.file);
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      if (url !== target) return loaded;
      return { ...loaded, source: planted(String(loaded.source), fault) };
    },
  });
};
