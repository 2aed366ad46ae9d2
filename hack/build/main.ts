/** `node hack/build/main.ts [DIRECTORY]`: bundles every program into a folder of its own; default `.out/build`. */
import { join, relative } from 'node:path';
import { bundle, PROGRAM_NAMES } from './bundle.ts';

const directory = process.argv[2] ?? join(import.meta.dirname, '..', '..', '.out', 'build');

for (const name of PROGRAM_NAMES) {
  for (const { path, bytes } of await bundle(name, join(directory, name)))
    console.log(`${(bytes / 1024).toFixed(0).padStart(6)} kB  ${relative(process.cwd(), path)}`);
}
