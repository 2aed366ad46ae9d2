/**
 * uvu as the test files see it under the runner: the same, but that TEST_ONLY picks tests by a part of their title, and that
 * the time of each test is noted. child.ts puts it in uvu's place.
 */
import { type Callback, type Context, exec, suite as suiteOfUvu, type Test } from 'uvu';
import { noteTime } from './times.ts';

const only = process.env.TEST_ONLY ?? '';

const timed =
  <T>(title: string, handler: Callback<T>): Callback<T> =>
  async (context) => {
    const startedMs = performance.now();
    try {
      await handler(context);
    } finally {
      noteTime(title, performance.now() - startedMs);
    }
  };

const watched = <T>(test: Test<T>, name: string): Test<T> => {
  const add = (title: string, handler: Callback<T>): void => {
    if (title.includes(only)) test(title, timed(title, handler));
  };
  const before = (hook: Callback<T>): void => test.before(timed(`(before ${name || 'the first'})`, hook));
  before.each = test.before.each;
  return Object.assign(add, {
    before,
    after: test.after,
    only: test.only,
    skip: test.skip,
    run: test.run,
  }) as Test<T>;
};

export const suite = <T = Context>(name = '', state?: T): Test<T> =>
  watched(suiteOfUvu<T>(name, state), name);
export const test: Test = suite();
export { exec };
