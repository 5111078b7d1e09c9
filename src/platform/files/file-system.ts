import fs from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { HawserError, isKind } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { DirEntry, FileHandle, FileInfo, FileSystem, OpenMode } from '../../core/ports/file-system.ts';
import { mountedAt } from '../../core/trees/mounts.ts';
import { mountsAt } from '../kernel/crossing.ts';
import { errnoError } from '../kernel/errno.ts';
import { openNoFollow } from '../kernel/no-follow.ts';
import { OpenFile } from './open-file.ts';
import { attempt, yielded } from './turns.ts';

const quote = (path: string): string => JSON.stringify(path);

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DIRECTORY, O_NONBLOCK } = fs.constants;

/** O_NONBLOCK: opening a FIFO in a file's place must not hang. */
const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY | O_NONBLOCK,
  follow: O_RDONLY | O_NONBLOCK,
  write: O_RDWR | O_CREAT | O_NONBLOCK,
  exclusive: O_RDWR | O_CREAT | O_EXCL,
};

/** What statfs(2) calls tmpfs and ramfs. */
const VOLATILE: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Bytes read at once on this thread; other work gets its turn in between. */
const PIECE = 1 << 20;

const fsync = promisify(fs.fsync);
/** Promisified, for fs.promises takes a start longer to load. */
const rm = promisify(fs.rm);
const statfs = promisify(fs.statfs);

/**
 * FileSystem on node:fs, for Node and Deno. `open`'s `perm` (default 0o644) is subject to the umask. Calls that the kernel
 * answers from memory (names, attributes, writes to the page cache) run on this thread: handing them to another takes several
 * times as long. Only syncs, removal of trees and the content of blobs run on other threads.
 */
export function createFileSystem(): FileSystem {
  return { open, readFile, mkdir, rename, remove, stat, list, chmod, syncDir, space, isVolatile };
}

/** The descriptor, if it is a regular file's; else closes it and throws. */
function regular(fd: number, doing: string): number {
  try {
    const found = fs.fstatSync(fd);
    if (found.isFile()) return fd;
    throw errnoError(found.isDirectory() ? 'EISDIR' : 'ENXIO', `${doing}, which is not a regular file`);
  } catch (err) {
    fs.closeSync(fd);
    throw err;
  }
}

async function open(path: string, mode: OpenMode, perm = 0o644, call?: Call): Promise<FileHandle> {
  const doing = `opening ${quote(path)}`;
  const openIt = mode === 'follow' ? fs.openSync : openNoFollow;
  const fd = await attempt(doing, call, () => regular(openIt(path, FLAGS[mode], perm), doing));
  return new OpenFile(fd, path);
}

/** Follows symlinks, unlike `open`: it also reads files that people manage (configuration). */
async function readFile(path: string, limit: number, call?: Call): Promise<Uint8Array> {
  const doing = `reading ${quote(path)}`;
  return attempt(doing, call, async () => {
    const fd = regular(fs.openSync(path, O_RDONLY | O_NONBLOCK), doing);
    try {
      // Files under /proc have size 0, and any file may grow: only the end tells.
      let bytes = new Uint8Array(Math.min(limit, fs.fstatSync(fd).size) + 1);
      for (let length = 0; ; ) {
        call?.signal?.throwIfAborted();
        const got = fs.readSync(fd, bytes, length, Math.min(PIECE, bytes.length - length), length);
        if (got === 0) return bytes.subarray(0, length);
        length += got;
        if (length > limit) throw tooLong(doing, limit);
        if (length === bytes.length) bytes = grown(bytes, limit + 1);
        if (got === PIECE) await yielded();
      }
    } finally {
      fs.closeSync(fd);
    }
  });
}

function grown(bytes: Uint8Array<ArrayBuffer>, most: number): Uint8Array<ArrayBuffer> {
  const more = new Uint8Array(Math.min(most, Math.max(4096, bytes.length * 2)));
  more.set(bytes);
  return more;
}

function tooLong(doing: string, limit: number): HawserError {
  return new HawserError('ResourceExhausted', `${doing}: longer than ${limit} bytes`);
}

async function mkdir(path: string, perm: number, opts: { parents?: boolean } & Call = {}): Promise<void> {
  const doing = `making the directory ${quote(path)}`;
  const make = (): Promise<void> =>
    attempt(doing, opts, () => {
      if (opts.parents === true && fs.statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
      fs.mkdirSync(path, perm);
      fs.chmodSync(path, perm);
    });
  try {
    await make();
  } catch (err) {
    if (opts.parents !== true) throw err;
    if (isKind(err, 'AlreadyExists')) {
      const found = await attempt(doing, opts, () => fs.statSync(path));
      if (!found.isDirectory()) throw err;
    } else if (isKind(err, 'NotFound') && dirname(path) !== path) {
      await mkdir(dirname(path), perm, opts);
      // Another process may have made it by now.
      await make().catch((again: unknown) => {
        if (!isKind(again, 'AlreadyExists')) throw again;
      });
    } else {
      throw err;
    }
  }
}

function rename(from: string, to: string, call?: Call): Promise<void> {
  return attempt(`renaming ${quote(from)} to ${quote(to)}`, call, () => fs.renameSync(from, to));
}

async function remove(path: string, opts: { tree?: boolean } & Call = {}): Promise<void> {
  const doing = `removing ${quote(path)}`;
  await attempt(doing, opts, async () => {
    if (opts.tree === true) return removeTree(path, doing);
    const found = fs.lstatSync(path);
    return found.isDirectory() ? fs.rmdirSync(path) : fs.unlinkSync(path);
  });
}

async function removeTree(path: string, doing: string): Promise<void> {
  if (removedEmpty(path)) return;
  const [mount] = mountsAt(path);
  if (mount !== undefined) throw mountedAt(doing, mount);
  await rm(path, { recursive: true, force: true });
}

/** True when the path was an empty directory, as most trees that the store removes are. */
function removedEmpty(path: string): boolean {
  try {
    fs.rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

async function stat(path: string, opts?: { follow?: boolean } & Call): Promise<FileInfo | undefined> {
  // An exception costs more than the call.
  const look = opts?.follow === true ? fs.statSync : fs.lstatSync;
  const ask = () => look(path, { throwIfNoEntry: false });
  const found = await attempt(`reading the attributes of ${quote(path)}`, opts, ask);
  if (found === undefined) return undefined;
  return {
    type: typeOf(found),
    size: found.size,
    mode: found.mode & 0o7777,
    uid: found.uid,
    mtime: found.mtimeMs,
  };
}

async function list(path: string, call?: Call): Promise<DirEntry[]> {
  const entries = await attempt(`listing ${quote(path)}`, call, () =>
    fs.readdirSync(path, { withFileTypes: true }),
  );
  return entries
    .map((entry) => ({ name: entry.name, type: typeOf(entry) }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function typeOf(found: {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}): FileInfo['type'] {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  return found.isSymbolicLink() ? 'symlink' : 'other';
}

function chmod(path: string, perm: number, call?: Call): Promise<void> {
  return attempt(`setting the mode of ${quote(path)}`, call, () => fs.chmodSync(path, perm));
}

function syncDir(path: string, call?: Call): Promise<void> {
  return attempt(`syncing the directory ${quote(path)}`, call, async () => {
    const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY);
    try {
      await fsync(fd);
    } finally {
      fs.closeSync(fd);
    }
  });
}

function space(path: string, call?: Call): Promise<{ free: number; total: number }> {
  return attempt(`asking for the space at ${quote(path)}`, call, async () => {
    const { bsize, bavail, blocks } = await statfs(path);
    return { free: bsize * bavail, total: bsize * blocks };
  });
}

function isVolatile(path: string, call?: Call): Promise<boolean> {
  return attempt(`asking for the file system of ${quote(path)}`, call, async () =>
    VOLATILE.has((await statfs(path)).type),
  );
}
