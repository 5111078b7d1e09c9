/** How ToolsSyscalls leads node:fs and tools to what is below an open directory: by descriptor in /proc, or by path. */
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { basename, dirname } from 'node:path';
import { type ByteString, fromUtf8, toBytes } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import type { Dir } from '../../core/ports/syscalls.ts';
import { inDifferentMounts, isAcrossMounts, mountsBelow, mountsSeen } from './crossing.ts';
import { mayRead, ownUid } from './deno-permission.ts';
import { checkRoot, type NamedDir, pathOf } from './names.ts';
import { openNoFollow } from './no-follow.ts';
import { handle } from './tools-run.ts';

const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = fs.constants;
export const O_PATH = 0o10000000;

export type Path = string | Buffer;

/** One thing below an open directory. */
export interface Node {
  /** Leads to the thing itself; the thing is no symlink. */
  readonly path: Path;
  /** The last arguments of a tool that is to work on the thing itself. */
  readonly args: readonly string[];
  /** Of the thing itself, be it a symlink. */
  stat(): fs.BigIntStats;
}

export interface Reach {
  /** An absolute path of ours; the last component is not followed. Throws as node:fs does. */
  openRoot(path: string): Dir;
  /** What `fd`, opened by `base` and `name`, is as a handle. */
  enter(dir: Dir, name: ByteString, fd: number): Dir;
  /** The path of an open directory for node:fs. */
  base(dir: Dir): ByteString;
  /** The same for a tool. */
  toolPath(dir: Dir): string;
  /** Whether the directory `path` is in another mount than `dir`. `path`: of `base` and one component. */
  isMountPoint(dir: Dir, path: Path): boolean;
  /** Syscalls.mountsBelow. */
  mountsBelow(dir: Dir, name?: ByteString): ByteString[];
  /** `path`: of `base` and one component. */
  node<T>(path: Path, work: (node: Node) => T): T;
}

/**
 * By `/proc/self/fd/<descriptor>`: stays with the directory whatever happens to its names. A tool gets what it is to change as an
 * O_PATH descriptor of ours, so no name is ever an argument.
 */
export const byDescriptor: Reach = {
  openRoot(path) {
    const root = checkRoot(path);
    const fd = openNoFollow(text(root), O_RDONLY | O_DIRECTORY);
    try {
      checkDescriptors(path, fd);
      return named(fd, root);
    } catch (err) {
      fs.closeSync(fd);
      throw err;
    }
  },
  enter: (dir, name, fd) => named(fd, `${(dir as NamedDir).path}/${name}`),
  base: (dir) => `/proc/self/fd/${dir.fd}`,
  toolPath: (dir) => handle(dir.fd),
  isMountPoint(dir, path) {
    const fd = fs.openSync(path, O_PATH | O_NOFOLLOW);
    try {
      return inDifferentMounts(dir.fd, fd) ?? fs.fstatSync(dir.fd).dev !== fs.fstatSync(fd).dev;
    } finally {
      fs.closeSync(fd);
    }
  },
  mountsBelow,
  node(path, work) {
    const fd = fs.openSync(path, O_PATH | O_NOFOLLOW);
    try {
      const stat = (): fs.BigIntStats => fs.fstatSync(fd, { bigint: true });
      return work({ path: `/proc/self/fd/${fd}`, args: ['--', handle(fd)], stat });
    } finally {
      fs.closeSync(fd);
    }
  },
};

function named(fd: number, path: ByteString): NamedDir {
  return { fd, path };
}

/** FailedPrecondition where `/proc/self/fd` does not lead to what is open: some runtimes number descriptors in their own way. */
function checkDescriptors(path: string, fd: number): void {
  let cause: unknown = new Error("the runtime's descriptors are not the kernel's");
  try {
    const there = fs.statSync(`/proc/self/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
    if (there?.ino === fs.fstatSync(fd, { bigint: true }).ino) return;
  } catch (err) {
    cause = err;
  }
  const why = 'without FFI, /proc/self/fd must lead to open files, and here it does not';
  throw new HawserError('FailedPrecondition', `opening the directory ${JSON.stringify(path)}: ${why}`, {
    cause,
    hint: 'Use FFI (Node 26.1 or newer; Deno with --allow-ffi)',
  });
}

/** A handle that is reached by its path. */
interface PlacedDir extends NamedDir {
  readonly dev: bigint;
  readonly ino: bigint;
  /** Nobody else can enter a directory above it, or the directory itself. */
  readonly isPrivate: boolean;
}

type Attributes = Pick<fs.BigIntStats, 'uid' | 'gid' | 'mode' | 'dev' | 'ino'>;

/**
 * By path, for Deno without --allow-all, which gives nothing below /proc. The path must be one that nobody else can change: each
 * directory on the way belongs to this user or to root and others may not write to it, or it is sticky, down to one that others may
 * not enter. Each call looks first whether the path still leads to the open directory. Names must be UTF-8.
 */
export const byPath: Reach = {
  openRoot(path) {
    const root = checkRoot(path);
    if (!mayRead()) throw scoped(`opening ${JSON.stringify(path)}`, '--allow-read');
    const real = realPath(root);
    const isPrivate = isPrivatePath(real);
    return placed(openNoFollow(text(real), O_RDONLY | O_DIRECTORY), real, isPrivate);
  },
  enter(dir, name, fd) {
    const { path, isPrivate } = dir as PlacedDir;
    const below = `${path === '/' ? '' : path}/${name}`;
    try {
      const child = fs.fstatSync(fd, { bigint: true });
      const safe = isPrivate || step(fs.fstatSync(dir.fd, { bigint: true }), child, below);
      return placed(fd, below, safe);
    } catch (err) {
      fs.closeSync(fd);
      throw err;
    }
  },
  base(dir) {
    const { path, dev, ino, fd } = dir as PlacedDir;
    const found = fd < 0 ? undefined : fs.lstatSync(text(path), { bigint: true, throwIfNoEntry: false });
    if (found?.ino === ino && found.dev === dev) return path === '/' ? '' : path;
    throw new HawserError('FailedPrecondition', `${pathOf(dir)} was moved or replaced while it was in use`, {
      hint: 'Leave the directory alone meanwhile, or use FFI (Deno with --allow-ffi)',
    });
  },
  toolPath: (dir) => text(byPath.base(dir)) || '/',
  isMountPoint: (dir, path) => isAcrossMounts(String(path), text(byPath.base(dir))),
  mountsBelow(dir, name) {
    const base = text(byPath.base(dir));
    return mountsSeen(base || '/', name === undefined ? undefined : text(name)).map(fromUtf8);
  },
  node(path, work) {
    const stat = (): fs.BigIntStats => fs.lstatSync(path, { bigint: true });
    stat();
    return work({ path, args: ['-h', '--', String(path)], stat });
  },
};

/** `flag`: without paths. Looking at the directories above takes that, and so do symlinks in Deno. */
export function scoped(doing: string, flag: string): HawserError {
  const why = `without FFI this takes ${flag} for all paths`;
  return new HawserError('FailedPrecondition', `${doing}: ${why}`, {
    hint: `Run Deno with ${flag} (no path), or with --allow-ffi`,
  });
}

function placed(fd: number, path: ByteString, isPrivate: boolean): PlacedDir {
  const { dev, ino } = fs.fstatSync(fd, { bigint: true });
  return { fd, path, dev, ino, isPrivate };
}

function text(path: ByteString): string {
  return Buffer.from(toBytes(path)).toString('utf8');
}

/** Without symlinks on the way. The last component stays, unless it is `.`. */
function realPath(root: ByteString): ByteString {
  const path = text(root);
  if (path === '/' || basename(path) === '.') return fromUtf8(fs.realpathSync(path));
  const above = fs.realpathSync(dirname(path));
  return fromUtf8(`${above === '/' ? '' : above}/${basename(path)}`);
}

/** Whether others are shut out. FailedPrecondition where others could lead the path to another place. */
function isPrivatePath(path: ByteString): boolean {
  let at = '';
  let above: Attributes = fs.lstatSync('/', { bigint: true });
  let isPrivate = false;
  for (const name of text(path).split('/').filter(Boolean)) {
    at += `/${name}`;
    const here = fs.lstatSync(at, { bigint: true });
    isPrivate ||= step(above, here, at);
    above = here;
  }
  return isPrivate;
}

const STICKY = 0o1000n;
const GROUP_WRITE = 0o020n;
const OTHERS_WRITE = 0o002n;
const OTHERS_ENTER = 0o011n;

/** From a directory to one in it, `at`: whether others cannot enter that one. FailedPrecondition where they could replace it. */
function step(above: Attributes, here: Attributes, at: string): boolean {
  const isOurs = ({ uid }: Attributes): boolean => uid === 0n || Number(uid) === ownUid();
  const byGroup = (above.mode & GROUP_WRITE) !== 0n && above.gid !== 0n;
  const isWritable = byGroup || (above.mode & OTHERS_WRITE) !== 0n;
  const isKept = (above.mode & STICKY) !== 0n && isOurs(here);
  if (!isOurs(above) || (isWritable && !isKept))
    throw new HawserError('FailedPrecondition', `other users could replace ${JSON.stringify(at)}`, {
      hint: 'Use a directory that only you can change (chmod go-w the one above it), or FFI (Deno with --allow-ffi)',
    });
  return isOurs(here) && (here.mode & OTHERS_ENTER) === 0n;
}
