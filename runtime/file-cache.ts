/** A file that others write, read again only when it has changed. */
import { readFileSync, statSync } from 'node:fs';

export type FileContent = {
  /** Another one whenever inode, size or time of the file is. */
  version: string;
  content: Buffer;
};

/** @throws Error of the file system when there is no such file */
export const versionOf = (path: string): string => {
  const { ino, size, mtimeMs } = statSync(path);
  return `${ino}:${size}:${mtimeMs}`;
};

/** Reads nothing yet. @returns the content as it is now. @throws Error of the file system when it cannot be read */
export const createFileCache = (path: string): (() => FileContent) => {
  let seen: FileContent = { version: '', content: Buffer.alloc(0) };
  return () => {
    const version = versionOf(path);
    if (version !== seen.version) seen = { version, content: readFileSync(path) };
    return seen;
  };
};
