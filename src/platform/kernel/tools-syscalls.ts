import fs from 'node:fs';
import type { ByteString } from '../../core/bytes.ts';
import { errnoOf } from '../../core/errors.ts';
import type { Creation, Dir, Stat, Syscalls, TimeSpec } from '../../core/ports/syscalls.ts';
import { readCreation } from './creation.ts';
import { isGranted } from './deno-permission.ts';
import { errnoError } from './errno.ts';
import { toStat } from './fs-stat.ts';
import { pathOf, takeFd } from './names.ts';
import { openNoFollow } from './no-follow.ts';
import { attempt } from './tools-calls.ts';
import { ToolsFiles } from './tools-files.ts';
import { makeNode } from './tools-nodes.ts';
import { byDescriptor, byPath, O_PATH, type Path, scoped } from './tools-reach.ts';
import { handle, runTool } from './tools-run.ts';
import { plain, touch } from './tools-times.ts';
import { allXattrs, removeXattr, setXattr } from './tools-xattr.ts';

const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

export interface ToolsSyscallsOptions {
  /** The runtime's node:fs turns bytes that are not UTF-8 into U+FFFD: refuse names that have them (NotImplemented). */
  readonly utf8Only: boolean;
  /** The runtime gives nothing below /proc: directories are reached by their paths. Takes names in UTF-8 only. */
  readonly byPath?: boolean;
}

/**
 * Syscalls without FFI: node:fs on `/proc/self/fd/<descriptor>/<name>`, which stays below the handle and follows
 * nothing, and tools for what node:fs has not (devices, extended attributes, times that are negative or have
 * nanoseconds, syncfs), about 2 ms each. tools-reach.ts says how a tool is led to what it is to change. Where node:fs gives times in milliseconds (Deno), so does `lstat`.
 */
export function createToolsSyscalls(options: ToolsSyscallsOptions): Syscalls {
  return new ToolsSyscalls(options.byPath === true, options.utf8Only);
}

class ToolsSyscalls extends ToolsFiles implements Syscalls {
  readonly provider = 'tools';
  readonly creation: Creation | undefined = readCreation();
  readonly #isByPath: boolean;

  constructor(isByPath: boolean, utf8Only: boolean) {
    super({ reach: isByPath ? byPath : byDescriptor, utf8Only });
    this.#isByPath = isByPath;
  }

  openRoot(path: string): Dir {
    return attempt(
      () => `opening the directory ${JSON.stringify(path)}`,
      () => this.calls.reach.openRoot(path),
    );
  }

  openDir(dir: Dir, name: ByteString): Dir {
    return this.calls.at('opening the directory', dir, name, (path) =>
      this.calls.reach.enter(dir, name, openNoFollow(path, O_RDONLY | O_DIRECTORY)),
    );
  }

  closeDir(dir: Dir): void {
    try {
      attempt(
        () => `closing ${pathOf(dir)}`,
        () => fs.closeSync(takeFd(dir)),
      );
    } catch (err) {
      if (errnoOf(err) === 'EBADF' || errnoOf(err) === undefined) throw err;
    }
  }

  list(dir: Dir): ByteString[] {
    const doing = (): string => `listing ${pathOf(dir)}`;
    const names = attempt(doing, () =>
      fs.readdirSync(this.calls.text(this.calls.reach.base(dir) || '/', doing), { encoding: 'buffer' }),
    );
    return names.map((name) => this.calls.unmangled(name, doing));
  }

  lstat(dir: Dir, name: ByteString): Stat | undefined {
    const stat = this.calls.at('reading the attributes of', dir, name, (path) => {
      const found = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (found === undefined || !this.times.holds(found)) return found;
      this.times.flush();
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

  isMountPoint(dir: Dir, name: ByteString): boolean {
    return this.calls.at('asking for the mount of', dir, name, (path) =>
      this.calls.reach.isMountPoint(dir, path),
    );
  }

  mountsBelow(dir: Dir, name?: ByteString): ByteString[] {
    return attempt(
      () => `looking for mounts below ${pathOf(dir, name)}`,
      () => this.calls.reach.mountsBelow(dir, name),
    );
  }

  readlink(dir: Dir, name: ByteString): ByteString {
    const verb = 'reading the symbolic link';
    const target = this.calls.at(verb, dir, name, (path) => fs.readlinkSync(path, { encoding: 'buffer' }));
    return this.calls.unmangled(target, () => `${verb} ${pathOf(dir, name)}`);
  }

  mkdir(dir: Dir, name: ByteString, perm: number): void {
    this.calls.at('making the directory', dir, name, (path) => fs.mkdirSync(path, perm));
  }

  symlink(target: ByteString, dir: Dir, name: ByteString): void {
    const verb = 'making the symbolic link';
    const text = this.calls.text(target, () => `${verb} ${pathOf(dir, name)}`);
    if (target.includes('\0')) throw errnoError('EINVAL', `${verb} ${pathOf(dir, name)}`);
    if (!isGranted({ name: 'write' })) throw scoped(`${verb} ${pathOf(dir, name)}`, '--allow-write');
    this.calls.at(verb, dir, name, (path) => fs.symlinkSync(text, path));
  }

  link(from: Dir, fromName: ByteString, to: Dir, toName: ByteString): void {
    this.calls.two('linking', from, fromName, to, toName, (a, b) => fs.linkSync(a, b));
  }

  mknod(dir: Dir, name: ByteString, mode: number, major: number, minor: number): void {
    makeNode(this.calls, { dir, name, mode, major, minor });
  }

  rename(...names: Parameters<Syscalls['rename']>): void {
    this.calls.rename(...names);
  }

  unlink(dir: Dir, name: ByteString): void {
    this.calls.at('removing', dir, name, (path) => {
      // Deno's unlinkSync would remove an empty directory.
      if (fs.lstatSync(path).isDirectory()) throw errnoError('EISDIR', `removing ${pathOf(dir, name)}`);
      fs.unlinkSync(path);
    });
  }

  rmdir(dir: Dir, name: ByteString): void {
    this.calls.at('removing the directory', dir, name, (path) => fs.rmdirSync(path));
  }

  chown(dir: Dir, name: ByteString, uid: number, gid: number): void {
    this.calls.at('setting the owner of', dir, name, (path) => fs.lchownSync(path, uid, gid));
  }

  chmod(dir: Dir, name: ByteString, perm: number): void {
    this.calls.node('setting the mode of', dir, name, ({ path, stat }, doing) => {
      if (stat().isSymbolicLink()) throw errnoError('ENOTSUP', doing);
      fs.chmodSync(path, perm);
    });
  }

  utimes(dir: Dir, name: ByteString, atime: TimeSpec, mtime: TimeSpec): void {
    const verb = 'setting the times of';
    if (plain(atime) && plain(mtime)) {
      this.calls.at(verb, dir, name, (path) => {
        this.times.settle(() => fs.lstatSync(path, { bigint: true }));
        fs.lutimesSync(path, atime.sec, mtime.sec);
      });
    } else {
      this.calls.at(verb, dir, name, (path) =>
        this.#utimesByTool(path, atime, mtime, `${verb} ${pathOf(dir, name)}`),
      );
    }
  }

  #utimesByTool(path: Path, atime: TimeSpec, mtime: TimeSpec, doing: string): void {
    if (this.#isByPath) {
      this.calls.reach.node(path, ({ args }) => touch(args, atime, mtime, doing));
      return;
    }
    const fd = fs.openSync(path, O_PATH | O_NOFOLLOW);
    let held = false;
    try {
      const stat = fs.fstatSync(fd, { bigint: true });
      held = stat.isFile();
      if (held) this.times.add(fd, stat, atime, mtime);
      else touch(['--', handle(fd)], atime, mtime, doing);
    } finally {
      if (!held) fs.closeSync(fd);
    }
  }

  setxattr(dir: Dir, name: ByteString, key: string, value: Uint8Array): void {
    this.calls.node(`setting the attribute ${key} of`, dir, name, ({ args }, doing) =>
      setXattr(args, key, value, doing),
    );
  }

  removexattr(dir: Dir, name: ByteString, key: string): void {
    this.calls.node(`removing the attribute ${key} of`, dir, name, ({ args }, doing) =>
      removeXattr(args, key, doing),
    );
  }

  getxattr(dir: Dir, name: ByteString, key: string): Uint8Array | undefined {
    const verb = `reading the attribute ${key} of`;
    return this.calls.node(verb, dir, name, ({ args }, doing) => allXattrs(args, doing).get(key));
  }

  listxattr(dir: Dir, name: ByteString): string[] {
    const verb = 'listing the attributes of';
    return this.calls.node(verb, dir, name, ({ args }, doing) => [...allXattrs(args, doing).keys()]);
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
    else touch(this.#own(dir, doing), atime, mtime, doing());
  }

  setxattrDir(dir: Dir, key: string, value: Uint8Array): void {
    const doing = (): string => `setting the attribute ${key} of ${pathOf(dir)}`;
    setXattr(this.#own(dir, doing), key, value, doing());
  }

  removexattrDir(dir: Dir, key: string): void {
    const doing = (): string => `removing the attribute ${key} of ${pathOf(dir)}`;
    removeXattr(this.#own(dir, doing), key, doing());
  }

  getxattrDir(dir: Dir, key: string): Uint8Array | undefined {
    const doing = (): string => `reading the attribute ${key} of ${pathOf(dir)}`;
    return allXattrs(this.#own(dir, doing), doing()).get(key);
  }

  listxattrDir(dir: Dir): string[] {
    const doing = (): string => `listing the attributes of ${pathOf(dir)}`;
    return [...allXattrs(this.#own(dir, doing), doing()).keys()];
  }

  /** The last arguments of a tool that is to work on the directory itself. */
  #own(dir: Dir, doing: () => string): readonly string[] {
    return attempt(doing, () => ['--', this.calls.reach.toolPath(dir)]);
  }

  flush(): void {
    this.times.flush();
  }

  syncfs(dir: Dir): void {
    this.flush();
    const doing = (): string => `syncing the file system of ${pathOf(dir)}`;
    runTool('sync', ['-f', ...this.#own(dir, doing)], doing());
  }
}
