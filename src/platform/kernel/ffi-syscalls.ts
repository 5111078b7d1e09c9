import { type ByteString, fromBytes } from '../../core/bytes.ts';
import {
  type Creation,
  type Dir,
  type RenameMode,
  S_IFMT,
  S_IFREG,
  type Stat,
  type Syscalls,
  type TimeSpec,
} from '../../core/ports/syscalls.ts';
import { mountsBelow } from './crossing.ts';
import { errnoError } from './errno.ts';
import { AT_SYMLINK_NOFOLLOW, FfiCalls, O_NOCTTY, O_NONBLOCK } from './ffi-calls.ts';
import { FfiXattrs } from './ffi-xattrs.ts';
import type { Libc, LibcFunctions } from './libc.ts';
import { checkRoot, type NamedDir, pathOf, pathOfFile, takeFd } from './names.ts';
import { decodeDirents, encodeTimes, makeDev } from './stat.ts';
import { WholeFiles } from './whole-files.ts';

const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const AT_REMOVEDIR = 0x200;

/** read(2) and write(2) move at most about 2 GiB a call; we ask for less. */
const IO_MAX = 1 << 30;
const DENTS_BYTES = 32768n;

/** Syscalls over libc, for any runtime that can call C. Not reentrant: buffers are shared between calls. */
export function createFfiSyscalls(libc: Libc, creation?: Creation): Syscalls {
  return new FfiSyscalls(libc, creation);
}

class FfiSyscalls implements Syscalls {
  readonly provider = 'ffi';
  readonly creation: Creation | undefined;
  readonly #fn: LibcFunctions;
  readonly #calls: FfiCalls;
  readonly #xattrs: FfiXattrs;
  readonly #openDirFlags: number;
  readonly makeFiles: Syscalls['makeFiles'];

  constructor(libc: Libc, creation: Creation | undefined) {
    this.creation = creation;
    this.#fn = libc.fn;
    this.#calls = new FfiCalls(libc);
    this.#xattrs = new FfiXattrs(libc, this.#calls);
    this.#openDirFlags = libc.machine.O_DIRECTORY | this.#calls.noFollow;
    const whole = libc.linked && new WholeFiles(libc.linked, this.#calls);
    this.makeFiles = whole && ((dir, files) => whole.make(dir, files));
  }

  openRoot(path: string): Dir {
    const root = checkRoot(path);
    const doing = `opening the directory ${JSON.stringify(path)}`;
    const bytes = this.#calls.names[0].set(root);
    if (bytes === undefined) throw errnoError('ENAMETOOLONG', doing);
    const fd = this.#calls.run(
      () => this.#fn.open(bytes, this.#openDirFlags, 0),
      () => doing,
    );
    return { fd, path: root } as NamedDir;
  }

  openDir(dir: Dir, name: ByteString): Dir {
    const fd = this.#calls.at('opening the directory', dir, name, (n) =>
      this.#fn.openat(dir.fd, n, this.#openDirFlags, 0),
    );
    return { fd, path: `${(dir as NamedDir).path}/${name}` } as NamedDir;
  }

  closeDir(dir: Dir): void {
    this.#calls.closeDir(takeFd(dir), () => pathOf(dir));
  }

  list(dir: Dir): ByteString[] {
    const doing = (): string => `listing ${pathOf(dir)}`;
    const out: ByteString[] = [];
    this.#calls.run(() => this.#fn.lseek(dir.fd, 0n, 0), doing);
    const nr = this.#calls.machine.SYS_getdents64;
    for (;;) {
      const got = this.#calls.run(
        () => this.#fn.sysGetdents64(nr, dir.fd, this.#calls.large, DENTS_BYTES),
        doing,
      );
      if (got === 0) return out;
      decodeDirents(this.#calls.large, this.#calls.largeView, got, out);
    }
  }

  lstat(dir: Dir, name: ByteString): Stat | undefined {
    return this.#calls.lstat(dir, name);
  }

  fstat(dir: Dir): Stat {
    return this.#calls.fstat(dir.fd, () => pathOf(dir));
  }

  mountId(dir: Dir): string {
    return this.#calls.mountId(dir.fd, () => pathOf(dir));
  }

  isMountPoint(dir: Dir, name: ByteString): boolean {
    return this.#calls.isMountPoint(dir, name);
  }

  mountsBelow(dir: Dir, name?: ByteString): ByteString[] {
    return mountsBelow(dir, name);
  }

  readlink(dir: Dir, name: ByteString): ByteString {
    const into = this.#calls.large;
    const length = this.#calls.at('reading the symbolic link', dir, name, (n) =>
      this.#fn.readlinkat(dir.fd, n, into, BigInt(into.length)),
    );
    return fromBytes(into, 0, length);
  }

  createFile(dir: Dir, name: ByteString, perm: number): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | this.#calls.noFollow;
    return this.#calls.at('creating the file', dir, name, (n) => this.#fn.openat(dir.fd, n, flags, perm));
  }

  openFile(dir: Dir, name: ByteString): number {
    // Without O_NONBLOCK a FIFO put in the file's place would hang us.
    const flags = O_NONBLOCK | O_NOCTTY | this.#calls.noFollow;
    const fd = this.#calls.at('opening the file', dir, name, (n) => this.#fn.openat(dir.fd, n, flags, 0));
    if ((this.#calls.fstat(fd, () => pathOf(dir, name)).mode & S_IFMT) === S_IFREG) return fd;
    this.#fn.close(fd);
    throw errnoError('EISDIR', `opening the file ${pathOf(dir, name)}, which is not a regular file`);
  }

  read(fd: number, into: Uint8Array): number {
    const length = BigInt(Math.min(into.length, IO_MAX));
    return this.#calls.run(
      () => this.#fn.read(fd, into, length),
      () => `reading ${pathOfFile(fd)}`,
    );
  }

  write(fd: number, bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      const length = Math.min(rest.length, IO_MAX);
      const done = this.#calls.run(
        () => this.#fn.write(fd, rest, length),
        () => `writing ${pathOfFile(fd)}`,
      );
      if (done === rest.length) return;
      rest = rest.subarray(done);
    }
  }

  writeAt(fd: number, bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const rest = bytes.subarray(done, done + IO_MAX);
      done += this.#calls.run(
        () => this.#fn.pwrite(fd, rest, BigInt(rest.length), BigInt(position + done)),
        () => `writing ${pathOfFile(fd)}`,
      );
    }
  }

  truncateFile(fd: number, size: number): void {
    this.#calls.run(
      () => this.#fn.ftruncate(fd, BigInt(size)),
      () => `setting the size of ${pathOfFile(fd)}`,
    );
  }

  closeFile(fd: number): void {
    this.#calls.close(fd, () => pathOfFile(fd));
  }

  mkdir(dir: Dir, name: ByteString, perm: number): void {
    this.#calls.at('making the directory', dir, name, (n) => this.#fn.mkdirat(dir.fd, n, perm));
  }

  symlink(target: ByteString, dir: Dir, name: ByteString): void {
    const bytes = this.#calls.names[1].set(target);
    if (bytes === undefined)
      throw errnoError('ENAMETOOLONG', `making the symbolic link ${pathOf(dir, name)}`);
    this.#calls.at('making the symbolic link', dir, name, (n) => this.#fn.symlinkat(bytes, dir.fd, n));
  }

  link(from: Dir, fromName: ByteString, to: Dir, toName: ByteString): void {
    this.#calls.two('linking', from, fromName, to, toName, (a, b) =>
      this.#fn.linkat(from.fd, a, to.fd, b, 0),
    );
  }

  mknod(dir: Dir, name: ByteString, mode: number, major: number, minor: number): void {
    const dev = makeDev(major, minor);
    this.#calls.at('making the device or pipe', dir, name, (n) => this.#fn.mknodat(dir.fd, n, mode, dev));
  }

  rename(from: Dir, fromName: ByteString, to: Dir, toName: ByteString, mode: RenameMode = 'replace'): void {
    if (mode === 'replace') {
      this.#calls.two('renaming', from, fromName, to, toName, (a, b) =>
        this.#fn.renameat(from.fd, a, to.fd, b),
      );
    } else this.#calls.rename2(from, fromName, to, toName, mode);
  }

  unlink(dir: Dir, name: ByteString): void {
    this.#calls.at('removing', dir, name, (n) => this.#fn.unlinkat(dir.fd, n, 0));
  }

  rmdir(dir: Dir, name: ByteString): void {
    this.#calls.at('removing the directory', dir, name, (n) => this.#fn.unlinkat(dir.fd, n, AT_REMOVEDIR));
  }

  chown(dir: Dir, name: ByteString, uid: number, gid: number): void {
    this.#calls.at('setting the owner of', dir, name, (n) =>
      this.#fn.fchownat(dir.fd, n, uid, gid, AT_SYMLINK_NOFOLLOW),
    );
  }

  chmod(dir: Dir, name: ByteString, perm: number): void {
    const bytes = this.#calls.name(0, dir, name);
    this.#calls.fchmodat(dir.fd, bytes, perm, () => `setting the mode of ${pathOf(dir, name)}`);
  }

  utimes(dir: Dir, name: ByteString, atime: TimeSpec, mtime: TimeSpec): void {
    encodeTimes(this.#calls.smallView, atime, mtime);
    this.#calls.at('setting the times of', dir, name, (n) =>
      this.#fn.utimensat(dir.fd, n, this.#calls.small, AT_SYMLINK_NOFOLLOW),
    );
  }

  setxattr(dir: Dir, name: ByteString, key: string, value: Uint8Array): void {
    this.#xattrs.set(dir, name, key, value);
  }

  removexattr(dir: Dir, name: ByteString, key: string): void {
    this.#xattrs.remove(dir, name, key);
  }

  getxattr(dir: Dir, name: ByteString, key: string): Uint8Array | undefined {
    return this.#xattrs.get(dir, name, key);
  }

  listxattr(dir: Dir, name: ByteString): string[] {
    return this.#xattrs.list(dir, name);
  }

  chownDir(dir: Dir, uid: number, gid: number): void {
    this.#calls.on('setting the owner of', dir, () => this.#fn.fchown(dir.fd, uid, gid));
  }

  chmodDir(dir: Dir, perm: number): void {
    this.#calls.on('setting the mode of', dir, () => this.#fn.fchmod(dir.fd, perm));
  }

  utimesDir(dir: Dir, atime: TimeSpec, mtime: TimeSpec): void {
    encodeTimes(this.#calls.smallView, atime, mtime);
    this.#calls.on('setting the times of', dir, () => this.#fn.futimens(dir.fd, this.#calls.small));
  }

  setxattrDir(dir: Dir, key: string, value: Uint8Array): void {
    this.#xattrs.setOfDir(dir, key, value);
  }

  removexattrDir(dir: Dir, key: string): void {
    this.#xattrs.removeOfDir(dir, key);
  }

  getxattrDir(dir: Dir, key: string): Uint8Array | undefined {
    return this.#xattrs.getOfDir(dir, key);
  }

  listxattrDir(dir: Dir): string[] {
    return this.#xattrs.listOfDir(dir);
  }

  flush(): void {}

  syncfs(dir: Dir): void {
    this.#calls.on('syncing the file system of', dir, () => this.#fn.syncfs(dir.fd));
  }
}
