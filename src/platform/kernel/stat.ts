/** Decoders of kernel structures (little-endian machines only, which all that Node and Deno run on are). */
import { type ByteString, fromBytes } from '../../core/bytes.ts';
import type { Stat, TimeSpec } from '../../core/ports/syscalls.ts';
import type { StatLayout } from './libc.ts';

const TWO32 = 4294967296;

export const STATX_SIZE = 256;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_MNT_ID_UNIQUE = 0x4000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO32 + view.getUint32(at, true);
}

function ino(view: DataView, at: number): string {
  const high = view.getUint32(at + 4, true);
  return high < 0x200000
    ? String(high * TWO32 + view.getUint32(at, true))
    : String(view.getBigUint64(at, true));
}

function time(view: DataView, at: number): TimeSpec {
  const sec = view.getInt32(at + 4, true) * TWO32 + view.getUint32(at, true);
  return { sec, nsec: view.getUint32(at + 8, true) };
}

/** struct statx (statx(2)); the same on every machine. */
export function decodeStatx(view: DataView): Stat {
  return {
    mode: view.getUint16(28, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    size: u64(view, 40),
    nlink: view.getUint32(16, true),
    dev: `${view.getUint32(136, true)}:${view.getUint32(140, true)}`,
    ino: ino(view, 32),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    atime: time(view, 64),
    mtime: time(view, 112),
    blocks: u64(view, 48),
  };
}

/** The kernel's struct stat (stat(2)). */
export function decodeStat(view: DataView, at: StatLayout): Stat {
  return {
    mode: view.getUint32(at.mode, true),
    uid: view.getUint32(at.uid, true),
    gid: view.getUint32(at.gid, true),
    size: u64(view, 48),
    nlink: view.getUint32(at.nlink, true),
    dev: `${major(view, 0)}:${minor(view, 0)}`,
    ino: ino(view, 8),
    rdevMajor: major(view, at.rdev),
    rdevMinor: minor(view, at.rdev),
    atime: time(view, 72),
    mtime: time(view, 88),
    blocks: u64(view, 64),
  };
}

/** Of a dev_t, as `makeDev` makes it. */
function major(view: DataView, at: number): number {
  return ((view.getUint32(at, true) >>> 8) & 0xfff) + (view.getUint32(at + 4, true) & 0xfffff000);
}

function minor(view: DataView, at: number): number {
  const low = view.getUint32(at, true);
  return (low & 0xff) + ((low >>> 12) & 0xffffff00);
}

/** STATX_ATTR_MOUNT_ROOT of a struct statx; `undefined` where the kernel does not tell (before Linux 5.8). */
export function decodeMountRoot(view: DataView): boolean | undefined {
  const known = (view.getUint32(56, true) & STATX_ATTR_MOUNT_ROOT) !== 0;
  return known ? (view.getUint32(8, true) & STATX_ATTR_MOUNT_ROOT) !== 0 : undefined;
}

/** stx_mnt_id of a struct statx, when the kernel filled in the unique one. */
export function decodeMountId(view: DataView): string {
  return (view.getUint32(0, true) & STATX_MNT_ID_UNIQUE) === 0 ? '' : String(view.getBigUint64(144, true));
}

/** Two struct timespec of 64-bit fields. `sec` may be any integer that a number holds exactly. */
export function encodeTimes(view: DataView, atime: TimeSpec, mtime: TimeSpec, offset = 0): void {
  let at = offset;
  for (const { sec, nsec } of [atime, mtime]) {
    view.setUint32(at, sec >>> 0, true);
    view.setInt32(at + 4, Math.floor(sec / TWO32), true);
    view.setUint32(at + 8, nsec, true);
    view.setUint32(at + 12, 0, true);
    at += 16;
  }
}

/** Appends the names in a getdents64(2) buffer (struct linux_dirent64), without `.` and `..`. */
export function decodeDirents(bytes: Uint8Array, view: DataView, length: number, into: ByteString[]): void {
  for (let at = 0; at < length; ) {
    const size = view.getUint16(at + 16, true);
    const start = at + 19;
    const name = fromBytes(bytes, start, bytes.indexOf(0, start));
    if (name !== '.' && name !== '..') into.push(name);
    at += size;
  }
}

/** The dev_t that libc takes: glibc's and musl's makedev. */
export function makeDev(major: number, minor: number): bigint {
  const a = BigInt(major);
  const b = BigInt(minor);
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn);
}

/** Splits a NUL-separated list (llistxattr(2)). */
export function splitNul(bytes: Uint8Array, length: number): ByteString[] {
  const out: ByteString[] = [];
  for (let at = 0; at < length; ) {
    const end = bytes.indexOf(0, at);
    out.push(fromBytes(bytes, at, end));
    at = end + 1;
  }
  return out;
}
