import type { ByteString } from '../../core/bytes.ts';
import type { Dir } from '../../core/ports/syscalls.ts';
import { CString } from './c-string.ts';
import { errnoError, errnoNumber } from './errno.ts';
import { AT_SYMLINK_NOFOLLOW, type FfiCalls, XATTR_MAX } from './ffi-calls.ts';
import type { Bytes, Libc, LibcFunctions, Long } from './libc.ts';
import { checkName, pathOf } from './names.ts';
import { splitNul } from './stat.ts';

const SYS_listxattrat = 465n;
const SIZE = BigInt(XATTR_MAX);
const ENODATA = errnoNumber('ENODATA');

interface How {
  /** The errno for which the result is -1. */
  readonly absent?: number;
  /** The result where there is no attribute at all; not given: such a call must be made. */
  readonly none?: number;
}

/**
 * Extended attributes by libc. The calls that follow no symlink take a path: that of the handle in /proc, and a last component.
 * Without /proc the file or directory is opened; whether there are attributes at all has a call of its own (Linux 6.13), so
 * that nothing else has to be opened for nothing.
 */
export class FfiXattrs {
  readonly #fn: LibcFunctions;
  readonly #calls: FfiCalls;
  readonly #key: CString;

  constructor(libc: Libc, calls: FfiCalls) {
    this.#fn = libc.fn;
    this.#calls = calls;
    this.#key = new CString(libc, 512);
  }

  set(dir: Dir, name: ByteString, key: string, value: Uint8Array): void {
    const size = BigInt(value.length);
    const k = this.#keyBytes(key, dir, name);
    this.#named(
      `setting the attribute ${key} of`,
      [dir, name],
      (path) => this.#fn.lsetxattr(path, k, value, size, 0),
      (fd) => this.#fn.fsetxattr(fd, k, value, size, 0),
    );
  }

  remove(dir: Dir, name: ByteString, key: string): void {
    const k = this.#keyBytes(key, dir, name);
    this.#named(
      `removing the attribute ${key} of`,
      [dir, name],
      (path) => this.#fn.lremovexattr(path, k),
      (fd) => this.#fn.fremovexattr(fd, k),
    );
  }

  get(dir: Dir, name: ByteString, key: string): Uint8Array | undefined {
    const k = this.#keyBytes(key, dir, name);
    const got = this.#named(
      `reading the attribute ${key} of`,
      [dir, name],
      (path) => this.#fn.lgetxattr(path, k, this.#calls.large, SIZE),
      (fd) => this.#fn.fgetxattr(fd, k, this.#calls.large, SIZE),
      { absent: ENODATA, none: -1 },
    );
    return this.#value(got);
  }

  list(dir: Dir, name: ByteString): string[] {
    const { large } = this.#calls;
    const got = this.#named(
      'listing the attributes of',
      [dir, name],
      (path) => this.#fn.llistxattr(path, large, SIZE),
      (fd) => this.#fn.flistxattr(fd, large, SIZE),
      { none: 0 },
    );
    return splitNul(large, got);
  }

  setOfDir(dir: Dir, key: string, value: Uint8Array): void {
    const k = this.#keyBytes(key, dir);
    this.#calls.on(`setting the attribute ${key} of`, dir, () =>
      this.#fn.fsetxattr(dir.fd, k, value, BigInt(value.length), 0),
    );
  }

  removeOfDir(dir: Dir, key: string): void {
    const k = this.#keyBytes(key, dir);
    this.#calls.on(`removing the attribute ${key} of`, dir, () => this.#fn.fremovexattr(dir.fd, k));
  }

  getOfDir(dir: Dir, key: string): Uint8Array | undefined {
    const k = this.#keyBytes(key, dir);
    const read = (): Long => this.#fn.fgetxattr(dir.fd, k, this.#calls.large, SIZE);
    return this.#value(this.#calls.on(`reading the attribute ${key} of`, dir, read, ENODATA));
  }

  listOfDir(dir: Dir): string[] {
    const { large } = this.#calls;
    const list = (): Long => this.#fn.flistxattr(dir.fd, large, SIZE);
    return splitNul(large, this.#calls.on('listing the attributes of', dir, list));
  }

  #named(
    verb: string,
    [dir, name]: readonly [Dir, ByteString],
    byPath: (path: Bytes) => Long,
    byDescriptor: (fd: number) => Long,
    how: How = {},
  ): number {
    const calls = this.#calls;
    checkName(name);
    const doing = (): string => `${verb} ${pathOf(dir, name)}`;
    if (!calls.hasProc) return this.#withoutProc([dir, name], doing, byDescriptor, how);
    const path = calls.names[0].set(`/proc/self/fd/${dir.fd}/${name}`);
    if (path === undefined) throw errnoError('ENAMETOOLONG', doing());
    return calls.run(() => byPath(path), doing, how.absent);
  }

  #withoutProc(
    [dir, name]: readonly [Dir, ByteString],
    doing: () => string,
    call: (fd: number) => Long,
    { absent, none }: How,
  ): number {
    const calls = this.#calls;
    const mode = calls.lstat(dir, name)?.mode;
    if (mode === undefined) throw errnoError('ENOENT', doing());
    if (none !== undefined && this.#hasNone(dir, name)) return none;
    return calls.opened(dir.fd, calls.name(0, dir, name), mode, doing, call, absent);
  }

  /** False also where the kernel has no such call. */
  #hasNone(dir: Dir, name: ByteString): boolean {
    const { large } = this.#calls;
    const bytes = this.#calls.name(0, dir, name);
    return (
      Number(this.#fn.sysListxattrat(SYS_listxattrat, dir.fd, bytes, AT_SYMLINK_NOFOLLOW, large, SIZE)) === 0
    );
  }

  #value(length: number): Uint8Array | undefined {
    return length < 0 ? undefined : this.#calls.large.slice(0, length);
  }

  #keyBytes(key: string, dir: Dir, name?: ByteString): Bytes {
    const bytes = this.#key.set(key);
    if (bytes === undefined) throw errnoError('ERANGE', `using the attribute ${key} of ${pathOf(dir, name)}`);
    return bytes;
  }
}
