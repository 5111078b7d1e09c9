import fs from 'node:fs';
import type { ByteString } from '../../core/bytes.ts';
import { errnoOf } from '../../core/errors.ts';
import {
  type Creation,
  type Dir,
  S_IFLNK,
  S_IFMT,
  type Stat,
  type Syscalls,
  type TimeSpec,
} from '../../core/ports/syscalls.ts';
import { readCreation } from './creation.ts';
import { inDifferentMounts, mountsBelow } from './crossing.ts';
import { errnoError } from './errno.ts';
import { toStat } from './fs-stat.ts';
import { type NamedDir, pathOf, takeFd } from './names.ts';
import { attempt, O_PATH, type Path } from './tools-calls.ts';
import { ToolsFiles } from './tools-files.ts';
import { makeNode, openRoot } from './tools-nodes.ts';
import { handle, runTool } from './tools-run.ts';
import { plain, touch } from './tools-times.ts';
import { allXattrs, removeXattr, setXattr } from './tools-xattr.ts';

const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

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

class ToolsSyscalls extends ToolsFiles implements Syscalls {
  readonly provider = 'tools';
  readonly creation: Creation | undefined = readCreation();

  openRoot(path: string): Dir {
    return openRoot(this.calls, path);
  }

  openDir(dir: Dir, name: ByteString): Dir {
    const fd = this.calls.at('opening the directory', dir, name, (path) =>
      fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    );
    return { fd, path: `${(dir as NamedDir).path}/${name}` } as NamedDir;
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
    const names = attempt(doing, () => fs.readdirSync(`/proc/self/fd/${dir.fd}`, { encoding: 'buffer' }));
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
    return this.calls.held('asking for the mount of', dir, name, (fd) => {
      return inDifferentMounts(dir.fd, fd) ?? fs.fstatSync(dir.fd).dev !== fs.fstatSync(fd).dev;
    });
  }

  mountsBelow(dir: Dir, name?: ByteString): ByteString[] {
    return mountsBelow(dir, name);
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
    this.calls.held('setting the mode of', dir, name, (fd, doing) => {
      if ((fs.fstatSync(fd).mode & S_IFMT) === S_IFLNK) throw errnoError('ENOTSUP', doing());
      fs.chmodSync(`/proc/self/fd/${fd}`, perm);
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
    const fd = fs.openSync(path, O_PATH | O_NOFOLLOW);
    let held = false;
    try {
      const stat = fs.fstatSync(fd, { bigint: true });
      held = stat.isFile();
      if (held) this.times.add(fd, stat, atime, mtime);
      else touch(fd, atime, mtime, doing);
    } finally {
      if (!held) fs.closeSync(fd);
    }
  }

  setxattr(dir: Dir, name: ByteString, key: string, value: Uint8Array): void {
    this.calls.held(`setting the attribute ${key} of`, dir, name, (fd, doing) =>
      setXattr(handle(fd), key, value, doing()),
    );
  }

  removexattr(dir: Dir, name: ByteString, key: string): void {
    this.calls.held(`removing the attribute ${key} of`, dir, name, (fd, doing) =>
      removeXattr(handle(fd), key, doing()),
    );
  }

  getxattr(dir: Dir, name: ByteString, key: string): Uint8Array | undefined {
    const verb = `reading the attribute ${key} of`;
    return this.calls.held(verb, dir, name, (fd, doing) => allXattrs(handle(fd), doing()).get(key));
  }

  listxattr(dir: Dir, name: ByteString): string[] {
    const verb = 'listing the attributes of';
    return this.calls.held(verb, dir, name, (fd, doing) => [...allXattrs(handle(fd), doing()).keys()]);
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
    this.times.flush();
  }

  syncfs(dir: Dir): void {
    this.flush();
    runTool('sync', ['-f', handle(dir.fd)], `syncing the file system of ${pathOf(dir)}`);
  }
}
