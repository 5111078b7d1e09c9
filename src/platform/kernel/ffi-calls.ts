import type { ByteString } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import {
  type Dir,
  type RenameMode,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
} from '../../core/ports/syscalls.ts';
import { CString } from './c-string.ts';
import { inDifferentMounts } from './crossing.ts';
import { errnoError, errnoName, errnoNumber } from './errno.ts';
import type { Bytes, Libc, LibcFunctions, Long, Machine } from './libc.ts';
import { checkName, pathOf } from './names.ts';
import {
  decodeMountId,
  decodeMountRoot,
  decodeStat,
  decodeStatx,
  STATX_BASIC_STATS,
  STATX_MNT_ID_UNIQUE,
  STATX_SIZE,
} from './stat.ts';

export const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
export const O_NOCTTY = 0o400;
export const O_NONBLOCK = 0o4000;
export const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const SYS_fchmodat2 = 452n;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

const EINTR = errnoNumber('EINTR');
const EPERM = errnoNumber('EPERM');
const ENOSYS = errnoNumber('ENOSYS');
const EINVAL = errnoNumber('EINVAL');
const ENOENT = errnoNumber('ENOENT');
const EBADF = errnoNumber('EBADF');

/** XATTR_SIZE_MAX and XATTR_LIST_MAX (limits.h): no value and no list of attributes is longer. */
export const XATTR_MAX = 65536;

/** Calls of libc for FfiSyscalls: reused buffers, names as C strings, repetition when interrupted, errors in words. */
export class FfiCalls {
  readonly machine: Machine;
  readonly noFollow: number;
  readonly names: readonly [CString, CString];
  readonly small: Bytes;
  readonly smallView: DataView = new DataView(new ArrayBuffer(STATX_SIZE));
  readonly large: Uint8Array = new Uint8Array(XATTR_MAX);
  readonly largeView: DataView = new DataView(this.large.buffer);
  readonly #libc: Libc;
  readonly #fn: LibcFunctions;
  readonly #empty: Uint8Array = new Uint8Array(1);
  #hasStatx = true;
  #hasFchmodat2 = true;
  #hasProc: boolean | undefined;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#fn = libc.fn;
    this.machine = libc.machine;
    this.names = [new CString(libc), new CString(libc)];
    this.small = libc.pin(new Uint8Array(this.smallView.buffer));
    this.noFollow = libc.machine.O_NOFOLLOW | O_CLOEXEC;
  }

  /** Runs `call` until it is not interrupted. -1 when it fails with `absent`; else failure throws. */
  run(call: () => Long, doing: () => string, absent?: number): number {
    for (;;) {
      const result = Number(call());
      if (result >= 0) return result;
      const errno = this.#libc.errno();
      if (errno === absent) return -1;
      if (errno !== EINTR) throw errnoError(errnoName(errno), doing());
    }
  }

  /**
   * As `run`, for a call that not every kernel has. `undefined` where there is none: old seccomp filters refuse calls that they
   * do not know with EPERM (libseccomp before 2.5, Docker before 20.10), as newer ones do with ENOSYS.
   */
  runNew(call: () => Long, doing: () => string, absent?: number): number | undefined {
    for (;;) {
      const result = Number(call());
      if (result >= 0) return result;
      const errno = this.#libc.errno();
      if (errno === absent) return -1;
      if (errno === ENOSYS || errno === EPERM) return undefined;
      if (errno !== EINTR) throw errnoError(errnoName(errno), doing());
    }
  }

  on(verb: string, dir: Dir, call: () => Long, absent?: number): number {
    return this.run(call, () => `${verb} ${pathOf(dir)}`, absent);
  }

  at(verb: string, dir: Dir, name: ByteString, call: (name: Bytes) => Long, absent?: number): number {
    const bytes = this.name(0, dir, name);
    return this.run(
      () => call(bytes),
      () => `${verb} ${pathOf(dir, name)}`,
      absent,
    );
  }

  two(
    verb: string,
    from: Dir,
    fromName: ByteString,
    to: Dir,
    toName: ByteString,
    call: (from: Bytes, to: Bytes) => Long,
  ): void {
    const a = this.name(0, from, fromName);
    const b = this.name(1, to, toName);
    this.run(
      () => call(a, b),
      () => `${verb} ${pathOf(from, fromName)} to ${pathOf(to, toName)}`,
    );
  }

  /**
   * A file system that lacks a flag of renameat2(2) answers EINVAL, a seccomp filter that does not know the call EPERM. Where
   * `new` is lacking, a look comes before.
   */
  rename2(
    from: Dir,
    fromName: ByteString,
    to: Dir,
    toName: ByteString,
    mode: Exclude<RenameMode, 'replace'>,
  ): void {
    const [a, b] = [this.name(0, from, fromName), this.name(1, to, toName)];
    const flag = mode === 'exchange' ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (this.#fn.sysRenameat2(this.machine.SYS_renameat2, from.fd, a, to.fd, b, flag) >= 0) return;
    const errno = this.#libc.errno();
    const doing = `renaming ${pathOf(from, fromName)} to ${pathOf(to, toName)}`;
    if (errno !== EINVAL && errno !== ENOSYS && errno !== EPERM) throw errnoError(errnoName(errno), doing);
    if (mode === 'exchange') throw errnoError('ENOSYS', `swapping: ${doing}`);
    if (this.lstat(to, toName) !== undefined) throw errnoError('EEXIST', doing);
    this.two('renaming', from, fromName, to, toName, (x, y) => this.#fn.renameat(from.fd, x, to.fd, y));
  }

  /** The name as a C string in one of the two buffers. */
  name(slot: 0 | 1, dir: Dir, name: ByteString): Bytes {
    checkName(name);
    const bytes = this.names[slot].set(name);
    if (bytes === undefined) throw errnoError('ENAMETOOLONG', `using the name ${pathOf(dir, name)}`);
    return bytes;
  }

  /** lstat of a name. `undefined` when absent. */
  lstat(dir: Dir, name: ByteString): Stat | undefined {
    const bytes = this.name(0, dir, name);
    const doing = (): string => `reading the attributes of ${pathOf(dir, name)}`;
    return this.#stat(dir.fd, bytes, AT_SYMLINK_NOFOLLOW, doing, ENOENT);
  }

  fstat(fd: number, what: () => string): Stat {
    const doing = (): string => `reading the attributes of ${what()}`;
    const stat = this.#stat(fd, this.#empty, AT_EMPTY_PATH, doing);
    if (stat === undefined) throw errnoError('ENOENT', doing());
    return stat;
  }

  /** By statx(2), the same on every machine; where there is none, by newfstatat(2). */
  #stat(fd: number, name: Bytes, flags: number, doing: () => string, absent?: number): Stat | undefined {
    if (this.#hasStatx) {
      const found = this.runNew(() => this.#statx(fd, name, flags), doing, absent);
      if (found !== undefined) return found < 0 ? undefined : decodeStatx(this.smallView);
      this.#hasStatx = false;
    }
    const { SYS_newfstatat, stat } = this.machine;
    const call = (): Long => this.#fn.sysNewfstatat(SYS_newfstatat, fd, name, this.small, flags);
    return this.run(call, doing, absent) < 0 ? undefined : decodeStat(this.smallView, stat);
  }

  mountId(fd: number, what: () => string): string {
    if (!this.#hasStatx) return '';
    const call = (): Long => this.#statx(fd, this.#empty, AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE);
    const found = this.runNew(call, () => `asking for the mount of ${what()}`);
    return found === undefined ? '' : decodeMountId(this.smallView);
  }

  /** By the attributes of statx(2), else by /proc, else by the device. */
  isMountPoint(dir: Dir, name: ByteString): boolean {
    const stat = this.lstat(dir, name);
    if (stat === undefined) return false;
    const told = this.#hasStatx ? decodeMountRoot(this.smallView) : undefined;
    if (told !== undefined) return told;
    const doing = (): string => `opening ${pathOf(dir, name)}`;
    const bytes = this.name(0, dir, name);
    const held = this.run(() => this.#fn.openat(dir.fd, bytes, O_PATH | this.noFollow, 0), doing);
    try {
      const crosses = inDifferentMounts(dir.fd, held);
      return crosses ?? stat.dev !== this.fstat(dir.fd, () => pathOf(dir)).dev;
    } finally {
      this.#fn.close(held);
    }
  }

  #statx(fd: number, name: Bytes, flags: number, mask: number = STATX_BASIC_STATS): Long {
    return this.#fn.sysStatx(this.machine.SYS_statx, fd, name, flags, mask, this.small);
  }

  /** fchmodat2(2) is of Linux 6.6, and a container's seccomp filter may refuse what it does not know with EPERM. */
  fchmodat(fd: number, name: Bytes, perm: number, doing: () => string): void {
    if (this.#hasFchmodat2) {
      if (this.#fn.sysFchmodat2(SYS_fchmodat2, fd, name, perm, AT_SYMLINK_NOFOLLOW) >= 0) return;
      const errno = this.#libc.errno();
      if (errno !== ENOSYS && errno !== EPERM) throw errnoError(errnoName(errno), doing());
      this.#hasFchmodat2 = errno !== ENOSYS;
    }
    const held = this.run(() => this.#fn.openat(fd, name, O_PATH | this.noFollow, 0), doing);
    try {
      const { mode } = this.fstat(held, doing);
      if ((mode & S_IFMT) === S_IFLNK) throw errnoError('ENOTSUP', doing());
      if (this.hasProc) {
        const path = this.names[1].set(`/proc/self/fd/${held}`) ?? null;
        this.run(() => this.#fn.chmod(path, perm), doing);
      } else this.opened(fd, name, mode, doing, (open) => this.#fn.fchmod(open, perm));
    } finally {
      this.#fn.close(held);
    }
  }

  /** Whether /proc leads to this process's descriptors. */
  get hasProc(): boolean {
    if (this.#hasProc === undefined) {
      const fd = this.#fn.open(this.names[1].set('/proc/self/fd') ?? null, O_PATH | O_CLOEXEC, 0);
      this.#hasProc = fd >= 0;
      if (fd >= 0) this.#fn.close(fd);
    }
    return this.#hasProc;
  }

  /**
   * For what takes a descriptor that is open in earnest, where /proc is not there. Opening a device could act on the device:
   * then FailedPrecondition, as for a symlink. `mode` has the type.
   */
  opened(
    dir: number,
    name: Bytes,
    mode: number,
    doing: () => string,
    call: (fd: number) => Long,
    absent?: number,
  ): number {
    const type = mode & S_IFMT;
    if (type !== S_IFREG && type !== S_IFDIR && type !== S_IFIFO) throw needsProc(doing());
    const fd = this.run(() => this.#fn.openat(dir, name, O_NONBLOCK | O_NOCTTY | this.noFollow, 0), doing);
    try {
      return this.run(() => call(fd), doing, absent);
    } finally {
      this.#fn.close(fd);
    }
  }

  closeDir(fd: number, what: () => string): void {
    if (this.#fn.close(fd) < 0 && this.#libc.errno() === EBADF)
      throw errnoError('EBADF', `closing ${what()}`);
  }

  /** Not repeated when interrupted: Linux has released the descriptor by then. */
  close(fd: number, what: () => string): void {
    if (this.#fn.close(fd) >= 0) return;
    const errno = this.#libc.errno();
    if (errno !== EINTR) throw errnoError(errnoName(errno), `closing ${what()}`);
  }
}

export function needsProc(doing: string): HawserError {
  return new HawserError('FailedPrecondition', `${doing}: this takes /proc, which is not mounted here`, {
    hint: 'Mount it: mount -t proc proc /proc',
  });
}
