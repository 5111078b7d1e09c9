/** The libc functions that we call through a runtime's foreign function interface, as one table for all runtimes. */

export type FfiType = 'i32' | 'u32' | 'i64' | 'u64' | 'buffer' | 'pointer' | 'void';

export interface Signature {
  /** The C symbol, where it is not the key. */
  readonly symbol?: string;
  readonly args: readonly FfiType[];
  readonly result: FfiType;
}

/** Bytes that the callee reads or writes, what `Libc.pin` gave for such, or NULL. */
export type Bytes = Uint8Array | bigint | null;
/** 64-bit arguments must be bigints (node:ffi takes nothing else); 64-bit results may be either. */
export type Long = number | bigint;

/**
 * Strings are NUL-terminated bytes. A negative result means that `Libc.errno` holds the reason. Those named `sys*` go
 * through syscall(2), for libc has no function for them everywhere; their first argument is the number.
 */
export interface LibcFunctions {
  open(path: Bytes, flags: number, mode: number): number;
  openat(dir: number, name: Bytes, flags: number, mode: number): number;
  close(fd: number): number;
  lseek(fd: number, offset: bigint, whence: number): Long;
  read(fd: number, into: Bytes, length: bigint): Long;
  /** Its length is a number: the runtime's part of this table sees to the rest. */
  write(fd: number, from: Uint8Array, length: number): Long;
  pwrite(fd: number, from: Bytes, length: bigint, offset: bigint): Long;
  ftruncate(fd: number, size: bigint): number;
  readlinkat(dir: number, name: Bytes, into: Bytes, length: bigint): Long;
  mkdirat(dir: number, name: Bytes, mode: number): number;
  mknodat(dir: number, name: Bytes, mode: number, dev: bigint): number;
  symlinkat(target: Bytes, dir: number, name: Bytes): number;
  linkat(from: number, fromName: Bytes, to: number, toName: Bytes, flags: number): number;
  renameat(from: number, fromName: Bytes, to: number, toName: Bytes): number;
  unlinkat(dir: number, name: Bytes, flags: number): number;
  fchownat(dir: number, name: Bytes, uid: number, gid: number, flags: number): number;
  fchown(fd: number, uid: number, gid: number): number;
  chmod(path: Bytes, mode: number): number;
  fchmod(fd: number, mode: number): number;
  utimensat(dir: number, name: Bytes, times: Bytes, flags: number): number;
  futimens(fd: number, times: Bytes): number;
  lsetxattr(path: Bytes, key: Bytes, value: Bytes, size: bigint, flags: number): number;
  lgetxattr(path: Bytes, key: Bytes, into: Bytes, size: bigint): Long;
  llistxattr(path: Bytes, into: Bytes, size: bigint): Long;
  lremovexattr(path: Bytes, key: Bytes): number;
  fsetxattr(fd: number, key: Bytes, value: Bytes, size: bigint, flags: number): number;
  fremovexattr(fd: number, key: Bytes): number;
  fgetxattr(fd: number, key: Bytes, into: Bytes, size: bigint): Long;
  flistxattr(fd: number, into: Bytes, size: bigint): Long;
  syncfs(fd: number): number;
  mount(source: Bytes, target: Bytes, type: Bytes, flags: bigint, data: Bytes): number;
  umount2(target: Bytes, flags: number): number;
  sysStatx(nr: bigint, dir: number, name: Bytes, flags: number, mask: number, into: Bytes): Long;
  sysGetdents64(nr: bigint, fd: number, into: Bytes, length: bigint): Long;
  sysNewfstatat(nr: bigint, dir: number, name: Bytes, into: Bytes, flags: number): Long;
  sysListxattrat(nr: bigint, dir: number, name: Bytes, flags: number, into: Bytes, size: bigint): Long;
  sysRenameat2(nr: bigint, from: number, a: Bytes, to: number, b: Bytes, flags: number): Long;
  sysFchmodat2(nr: bigint, dir: number, name: Bytes, mode: number, flags: number): Long;
  sysFsopen(nr: bigint, type: Bytes, flags: number): Long;
  sysFsconfig(nr: bigint, fd: number, command: number, key: Bytes, value: Bytes, aux: number): Long;
  sysFsmount(nr: bigint, fd: number, flags: number, attributes: number): Long;
  sysMoveMount(nr: bigint, from: number, fromName: Bytes, to: number, toName: Bytes, flags: number): Long;
}

const at = (...rest: FfiType[]): Signature => ({ args: ['i32', 'buffer', ...rest], result: 'i32' });
const sys = (...rest: FfiType[]): Signature => ({ symbol: 'syscall', args: ['i64', ...rest], result: 'i64' });

export const LIBC_SIGNATURES: { readonly [K in keyof LibcFunctions]: Signature } = {
  open: { args: ['buffer', 'i32', 'u32'], result: 'i32' },
  openat: at('i32', 'u32'),
  close: { args: ['i32'], result: 'i32' },
  lseek: { args: ['i32', 'i64', 'i32'], result: 'i64' },
  read: { args: ['i32', 'buffer', 'u64'], result: 'i64' },
  write: { args: ['i32', 'buffer', 'u64'], result: 'i64' },
  pwrite: { args: ['i32', 'buffer', 'u64', 'i64'], result: 'i64' },
  ftruncate: { args: ['i32', 'i64'], result: 'i32' },
  readlinkat: { args: ['i32', 'buffer', 'buffer', 'u64'], result: 'i64' },
  mkdirat: at('u32'),
  mknodat: at('u32', 'u64'),
  symlinkat: { args: ['buffer', 'i32', 'buffer'], result: 'i32' },
  linkat: at('i32', 'buffer', 'i32'),
  renameat: at('i32', 'buffer'),
  unlinkat: at('i32'),
  fchownat: at('u32', 'u32', 'i32'),
  fchown: { args: ['i32', 'u32', 'u32'], result: 'i32' },
  chmod: { args: ['buffer', 'u32'], result: 'i32' },
  fchmod: { args: ['i32', 'u32'], result: 'i32' },
  utimensat: at('buffer', 'i32'),
  futimens: { args: ['i32', 'buffer'], result: 'i32' },
  lsetxattr: { args: ['buffer', 'buffer', 'buffer', 'u64', 'i32'], result: 'i32' },
  lgetxattr: { args: ['buffer', 'buffer', 'buffer', 'u64'], result: 'i64' },
  llistxattr: { args: ['buffer', 'buffer', 'u64'], result: 'i64' },
  lremovexattr: { args: ['buffer', 'buffer'], result: 'i32' },
  fsetxattr: { args: ['i32', 'buffer', 'buffer', 'u64', 'i32'], result: 'i32' },
  fremovexattr: { args: ['i32', 'buffer'], result: 'i32' },
  fgetxattr: { args: ['i32', 'buffer', 'buffer', 'u64'], result: 'i64' },
  flistxattr: { args: ['i32', 'buffer', 'u64'], result: 'i64' },
  syncfs: { args: ['i32'], result: 'i32' },
  mount: { args: ['buffer', 'buffer', 'buffer', 'u64', 'buffer'], result: 'i32' },
  umount2: { args: ['buffer', 'i32'], result: 'i32' },
  sysStatx: sys('i32', 'buffer', 'i32', 'u32', 'buffer'),
  sysGetdents64: sys('i32', 'buffer', 'u64'),
  sysNewfstatat: sys('i32', 'buffer', 'buffer', 'i32'),
  sysListxattrat: sys('i32', 'buffer', 'u32', 'buffer', 'u64'),
  sysRenameat2: sys('i32', 'buffer', 'i32', 'buffer', 'u32'),
  sysFchmodat2: sys('i32', 'buffer', 'u32', 'i32'),
  sysFsopen: sys('buffer', 'u32'),
  sysFsconfig: sys('i32', 'u32', 'buffer', 'buffer', 'i32'),
  sysFsmount: sys('i32', 'u32', 'u32'),
  sysMoveMount: sys('i32', 'buffer', 'i32', 'buffer', 'u32'),
};

/** What is linked into the static executable for files: scripts/static/files.c says what the functions do. */
export interface LinkedFiles {
  /** hawser_make_files on this batch, which whole-files.ts writes. The caller keeps the bytes, and never transfers their buffer. */
  maker(batch: Uint8Array): () => void;
  /** Where a buffer is. */
  address(buffer: ArrayBufferLike): number;
}

export const LINKED_FILES: Readonly<Record<string, Signature>> = {
  hawser_make_files: { args: ['u64'], result: 'void' },
};

export interface Libc {
  readonly fn: LibcFunctions;
  /**
   * Stands for bytes that are used again and again, and costs less in calls. The caller keeps them as long, and never
   * transfers their buffer.
   */
  pin(bytes: Uint8Array): Bytes;
  /** errno of the calling thread: right only directly after a call that failed. */
  errno(): number;
  readonly machine: Machine;
  /** Of the static executable only. */
  readonly linked?: LinkedFiles | undefined;
}

/** The numbers that differ between machines. All other O_* and AT_* values we use are the same on both. */
export interface Machine {
  readonly O_DIRECTORY: number;
  readonly O_NOFOLLOW: number;
  readonly SYS_statx: bigint;
  readonly SYS_getdents64: bigint;
  readonly SYS_renameat2: bigint;
  readonly SYS_newfstatat: bigint;
  readonly stat: StatLayout;
}

/** Where the fields of the kernel's struct stat are, as far as machines differ. */
export interface StatLayout {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
}

const MACHINES: Readonly<Record<string, Machine>> = {
  x86_64: {
    O_DIRECTORY: 0o200000,
    O_NOFOLLOW: 0o400000,
    SYS_statx: 332n,
    SYS_getdents64: 217n,
    SYS_renameat2: 316n,
    SYS_newfstatat: 262n,
    stat: { mode: 24, nlink: 16, uid: 28, gid: 32, rdev: 40 },
  },
  aarch64: {
    O_DIRECTORY: 0o40000,
    O_NOFOLLOW: 0o100000,
    SYS_statx: 291n,
    SYS_getdents64: 61n,
    SYS_renameat2: 276n,
    SYS_newfstatat: 79n,
    stat: { mode: 16, nlink: 20, uid: 24, gid: 28, rdev: 32 },
  },
};

/** By any of the names that runtimes give (`x64`, `arm64`, `x86_64`, `aarch64`). `undefined`: not one we know. */
export function machineOf(arch: string): Machine | undefined {
  return MACHINES[arch === 'x64' ? 'x86_64' : arch === 'arm64' ? 'aarch64' : arch];
}

/** Tried in order: glibc, the process itself (a static or musl runtime), musl. */
export const LIBC_NAMES: readonly (string | null)[] = [
  'libc.so.6',
  null,
  'libc.musl-x86_64.so.1',
  'libc.musl-aarch64.so.1',
];
