import fs from 'node:fs';
import type { ByteString } from '../../core/bytes.ts';
import {
  type Creation,
  type Dir,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  type Syscalls,
  type TimeSpec,
} from '../../core/ports/syscalls.ts';
import { readCreation } from './creation.ts';
import { errnoError } from './errno.ts';
import { toStat } from './fs-stat.ts';
import { type NamedDir, pathOf, takeFd } from './names.ts';
import { attempt, O_PATH, type Path, ToolsCalls } from './tools-calls.ts';
import { makeNode, openRoot } from './tools-nodes.ts';
import { handle, runTool } from './tools-run.ts';
import { plain, touch, WaitingTimes } from './tools-times.ts';
import { allXattrs, removeXattr, setXattr } from './tools-xattr.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK, O_NOCTTY } = fs.constants;
export interface ToolsSyscallsOptions {
  /** The runtime's node:fs turns bytes that are not UTF-8 into U+FFFD: refuse names that have them (NotImplemented). */
  readonly utf8Only: boolean;
}

/**
 * Syscalls without FFI: node:fs on `/proc/self/fd/<descriptor>/<name>`, which stays below the handle and follows
 * nothing, and tools for what node:fs has not (devices, extended attributes, times that are negative or have
 * nanoseconds, syncfs), about 2 ms each. What a tool is to change it gets as an O_PATH descriptor of ours, by its
 * `/proc/<pid>/fd` path, so no name is ever an argument that could be followed, mangled or read as a flag.
 * Where node:fs gives times in milliseconds (Deno), so does `lstat`.
 */
export function createToolsSyscalls(options: ToolsSyscallsOptions): Syscalls {
  return new ToolsSyscalls(options.utf8Only);
}

class ToolsSyscalls implements Syscalls {
  readonly provider = 'tools';
  readonly creation: Creation | undefined = readCreation();
  readonly #calls: ToolsCalls;
  readonly #times = new WaitingTimes();

  constructor(utf8Only: boolean) {
    this.#calls = new ToolsCalls(utf8Only);
  }

  openRoot(path: string): Dir {
    return openRoot(this.#calls, path);
  }

  openDir(dir: Dir, name: ByteString): Dir {
    const fd = this.#calls.at('opening the directory', dir, name, (path) =>
      fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    );
    return { fd, path: `${(dir as NamedDir).path}/${name}` } as NamedDir;
  }

  closeDir(dir: Dir): void {
    attempt(
      () => `closing ${pathOf(dir)}`,
      () => fs.closeSync(takeFd(dir)),
    );
  }

  list(dir: Dir): ByteString[] {
    const doing = (): string => `listing ${pathOf(dir)}`;
    const names = attempt(doing, () => fs.readdirSync(`/proc/self/fd/${dir.fd}`, { encoding: 'buffer' }));
    return names.map((name) => this.#calls.unmangled(name, doing));
  }

  lstat(dir: Dir, name: ByteString): Stat | undefined {
    const stat = this.#calls.at('reading the attributes of', dir, name, (path) => {
      const found = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (found === undefined || !this.#times.holds(found)) return found;
      this.#times.flush();
      return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
    });
    return stat && toStat(stat);
  }

  fstat(dir: Dir): Stat {
    return toStat(
      attempt(
        () => `reading the attributes of ${pathOf(dir)}`,
        () => fs.fstatSync(dir.fd, { bigint: true }),
      ),
    );
  }

  /** No common tool tells a mount's unique id. */
  mountId(): string {
    return '';
  }

  readlink(dir: Dir, name: ByteString): ByteString {
    const verb = 'reading the symbolic link';
    const target = this.#calls.at(verb, dir, name, (path) => fs.readlinkSync(path, { encoding: 'buffer' }));
    return this.#calls.unmangled(target, () => `${verb} ${pathOf(dir, name)}`);
  }

  createFile(dir: Dir, name: ByteString, perm: number): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    return this.#calls.at('creating the file', dir, name, (path) => fs.openSync(path, flags, perm));
  }

  openFile(dir: Dir, name: ByteString): number {
    // Without O_NONBLOCK a FIFO put in the file's place would hang us.
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    const fd = this.#calls.at('opening the file', dir, name, (path) => fs.openSync(path, flags));
    if ((fs.fstatSync(fd).mode & S_IFMT) === S_IFREG) return fd;
    fs.closeSync(fd);
    throw errnoError('EISDIR', `opening the file ${pathOf(dir, name)}, which is not a regular file`);
  }

  read(fd: number, into: Uint8Array): number {
    if (into.length === 0) return 0;
    return attempt(
      () => 'reading a file',
      () => fs.readSync(fd, into, 0, into.length, null),
    );
  }

  write(fd: number, bytes: Uint8Array): void {
    this.#put(fd, bytes);
  }

  writeAt(fd: number, bytes: Uint8Array, position: number): void {
    this.#put(fd, bytes, position);
  }

  /** At the descriptor's own position when none is given. */
  #put(fd: number, bytes: Uint8Array, position?: number): void {
    this.#settle(() => fs.fstatSync(fd, { bigint: true }));
    for (let at = 0; at < bytes.length; ) {
      const there = position === undefined ? null : position + at;
      at += attempt(
        () => 'writing a file',
        () => fs.writeSync(fd, bytes, at, bytes.length - at, there),
      );
    }
  }

  truncateFile(fd: number, size: number): void {
    this.#settle(() => fs.fstatSync(fd, { bigint: true }));
    attempt(
      () => 'setting the size of a file',
      () => fs.ftruncateSync(fd, size),
    );
  }

  closeFile(fd: number): void {
    attempt(
      () => 'closing a file',
      () => fs.closeSync(fd),
    );
  }

  mkdir(dir: Dir, name: ByteString, perm: number): void {
    this.#calls.at('making the directory', dir, name, (path) => fs.mkdirSync(path, perm));
  }

  symlink(target: ByteString, dir: Dir, name: ByteString): void {
    const verb = 'making the symbolic link';
    const text = this.#calls.text(target, () => `${verb} ${pathOf(dir, name)}`);
    if (target.includes('\0')) throw errnoError('EINVAL', `${verb} ${pathOf(dir, name)}`);
    this.#calls.at(verb, dir, name, (path) => fs.symlinkSync(text, path));
  }

  link(from: Dir, fromName: ByteString, to: Dir, toName: ByteString): void {
    this.#calls.two('linking', from, fromName, to, toName, (a, b) => fs.linkSync(a, b));
  }

  mknod(dir: Dir, name: ByteString, mode: number, major: number, minor: number): void {
    makeNode(this.#calls, { dir, name, mode, major, minor });
  }

  rename(...names: Parameters<Syscalls['rename']>): void {
    this.#calls.rename(...names);
  }

  unlink(dir: Dir, name: ByteString): void {
    this.#calls.at('removing', dir, name, (path) => {
      // Deno's unlinkSync would remove an empty directory.
      if (fs.lstatSync(path).isDirectory()) throw errnoError('EISDIR', `removing ${pathOf(dir, name)}`);
      fs.unlinkSync(path);
    });
  }

  rmdir(dir: Dir, name: ByteString): void {
    this.#calls.at('removing the directory', dir, name, (path) => fs.rmdirSync(path));
  }

  chown(dir: Dir, name: ByteString, uid: number, gid: number): void {
    this.#calls.at('setting the owner of', dir, name, (path) => fs.lchownSync(path, uid, gid));
  }

  chmod(dir: Dir, name: ByteString, perm: number): void {
    this.#calls.held('setting the mode of', dir, name, (fd, doing) => {
      if ((fs.fstatSync(fd).mode & S_IFMT) === S_IFLNK) throw errnoError('ENOTSUP', doing());
      fs.chmodSync(`/proc/self/fd/${fd}`, perm);
    });
  }

  utimes(dir: Dir, name: ByteString, atime: TimeSpec, mtime: TimeSpec): void {
    const verb = 'setting the times of';
    if (plain(atime) && plain(mtime)) {
      this.#calls.at(verb, dir, name, (path) => {
        this.#settle(() => fs.lstatSync(path, { bigint: true }));
        fs.lutimesSync(path, atime.sec, mtime.sec);
      });
    } else {
      this.#calls.at(verb, dir, name, (path) =>
        this.#utimesByTool(path, atime, mtime, `${verb} ${pathOf(dir, name)}`),
      );
    }
  }

  #utimesByTool(path: Path, atime: TimeSpec, mtime: TimeSpec, doing: string): void {
    const fd = fs.openSync(path, O_PATH | O_NOFOLLOW);
    let held = false;
    try {
      const stat = fs.fstatSync(fd, { bigint: true });
      held = stat.isFile();
      if (held) this.#times.add(fd, stat, atime, mtime);
      else touch(fd, atime, mtime, doing);
    } finally {
      if (!held) fs.closeSync(fd);
    }
  }

  /** Before something that changes a file's times: those that wait to be set come first. */
  #settle(stat: () => fs.BigIntStats): void {
    if (!this.#times.empty && this.#times.holds(stat())) this.#times.flush();
  }

  setxattr(dir: Dir, name: ByteString, key: string, value: Uint8Array): void {
    this.#calls.held(`setting the attribute ${key} of`, dir, name, (fd, doing) =>
      setXattr(handle(fd), key, value, doing()),
    );
  }

  removexattr(dir: Dir, name: ByteString, key: string): void {
    this.#calls.held(`removing the attribute ${key} of`, dir, name, (fd, doing) =>
      removeXattr(handle(fd), key, doing()),
    );
  }

  getxattr(dir: Dir, name: ByteString, key: string): Uint8Array | undefined {
    const verb = `reading the attribute ${key} of`;
    return this.#calls.held(verb, dir, name, (fd, doing) => allXattrs(handle(fd), doing()).get(key));
  }

  listxattr(dir: Dir, name: ByteString): string[] {
    const verb = 'listing the attributes of';
    return this.#calls.held(verb, dir, name, (fd, doing) => [...allXattrs(handle(fd), doing()).keys()]);
  }

  chownDir(dir: Dir, uid: number, gid: number): void {
    attempt(
      () => `setting the owner of ${pathOf(dir)}`,
      () => fs.fchownSync(dir.fd, uid, gid),
    );
  }

  chmodDir(dir: Dir, perm: number): void {
    attempt(
      () => `setting the mode of ${pathOf(dir)}`,
      () => fs.fchmodSync(dir.fd, perm),
    );
  }

  utimesDir(dir: Dir, atime: TimeSpec, mtime: TimeSpec): void {
    const doing = (): string => `setting the times of ${pathOf(dir)}`;
    if (plain(atime) && plain(mtime)) attempt(doing, () => fs.futimesSync(dir.fd, atime.sec, mtime.sec));
    else touch(dir.fd, atime, mtime, doing());
  }

  setxattrDir(dir: Dir, key: string, value: Uint8Array): void {
    setXattr(handle(dir.fd), key, value, `setting the attribute ${key} of ${pathOf(dir)}`);
  }

  removexattrDir(dir: Dir, key: string): void {
    removeXattr(handle(dir.fd), key, `removing the attribute ${key} of ${pathOf(dir)}`);
  }

  getxattrDir(dir: Dir, key: string): Uint8Array | undefined {
    return allXattrs(handle(dir.fd), `reading the attribute ${key} of ${pathOf(dir)}`).get(key);
  }

  listxattrDir(dir: Dir): string[] {
    return [...allXattrs(handle(dir.fd), `listing the attributes of ${pathOf(dir)}`).keys()];
  }

  flush(): void {
    this.#times.flush();
  }

  syncfs(dir: Dir): void {
    this.flush();
    runTool('sync', ['-f', handle(dir.fd)], `syncing the file system of ${pathOf(dir)}`);
  }
}
