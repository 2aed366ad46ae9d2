/** The tests of a file, one by one, for programs that run each by itself. */
import { registerHooks } from 'node:module';
import { urlOf } from './plant.ts';
import { type Test, takeTests } from './uvu.ts';

const STAND_IN = new URL('./uvu.ts', import.meta.url).href;

/** Has every later import of `uvu` in this thread get the stand-in; `uvu/assert` stays what it is. */
export const standInForUvu = (): void => {
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      specifier === 'uvu' ? { url: STAND_IN, shortCircuit: true } : nextResolve(specifier, context),
  });
};

/**
 * Imports a test file for the first time in this process.
 * @param file relative to the repository
 */
export const collect = async (file: string): Promise<Test[]> => {
  await import(urlOf(file));
  return takeTests();
};

/** Runs a test. @returns why it failed, on one line; undefined: it passed */
export const failureOf = ({ run }: Pick<Test, 'run'>): Promise<string | undefined> =>
  run().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '',
  );
