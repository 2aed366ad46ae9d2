/**
 * Stands in for uvu where each test is run on its own: a test file imports it in uvu's place (collect.ts), and its tests are
 * handed over by name instead of being run. It has the part of uvu's interface that the tests use.
 */

/** What uvu calls a context. */
export type Context = Record<string, unknown>;

type Handler = (context: Context) => unknown;

/** A test that has not been run. */
export type Test = { name: string; run: () => Promise<void> };

/** Of the file that is being imported. */
let collected: Test[] = [];

/** Hands over the tests that were declared since the last call. */
export const takeTests = (): Test[] => {
  const tests = collected;
  collected = [];
  return tests;
};

/** Hooks may be declared after a test; they count for all tests of their suite. */
export const suite = (title = '') => {
  const context: Context = {};
  const before: Handler[] = [];
  const beforeEach: Handler[] = [];
  const afterEach: Handler[] = [];
  let isPrepared = false;
  const run = async (handler: Handler): Promise<void> => {
    if (!isPrepared) for (const each of before) await each(context);
    isPrepared = true;
    try {
      for (const each of beforeEach) await each(context);
      await handler(context);
    } finally {
      for (const each of afterEach) await each(context);
    }
  };
  const test = (name: string, handler: Handler): void => {
    collected.push({ name: title === '' ? name : `${title}: ${name}`, run: () => run(handler) });
  };
  test.before = Object.assign((handler: Handler) => void before.push(handler), {
    each: (handler: Handler) => void beforeEach.push(handler),
  });
  // What a file releases at its end is released by the end of the process.
  test.after = Object.assign((_handler: Handler) => undefined, {
    each: (handler: Handler) => void afterEach.push(handler),
  });
  test.skip = (): void => undefined;
  test.run = (): void => undefined;
  return test;
};

export const test = suite();
