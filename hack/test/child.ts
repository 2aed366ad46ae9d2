/** A job's process: `node hack/test/child.ts FILE…` runs these test files in their order, with uvu.ts in uvu's place. */
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const WATCHED = pathToFileURL(resolve(import.meta.dirname, 'uvu.ts')).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'uvu' && context.parentURL !== WATCHED
      ? { url: WATCHED, shortCircuit: true }
      : next(specifier, context),
});

const { run } = await import('uvu/run');
await run(process.argv.slice(2).map((name) => ({ name, file: resolve(name) })));
