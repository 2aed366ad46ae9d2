/** Where things lie that outlive a work tree. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The folder outside the work tree that demo, tests and fresh clones share: `$XDG_CACHE_HOME/hapair`, else
 * `~/.cache/hapair`. A relative XDG_CACHE_HOME is ignored, as the XDG base directory specification asks.
 */
export const cacheDir = (): string => {
  const base = process.env.XDG_CACHE_HOME;
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache'), 'hapair');
};

/** The folder in the cache with a link to each tool; goes first on the PATH of whatever calls them by name. */
export const linkFolder = (): string => join(cacheDir(), 'bin');
