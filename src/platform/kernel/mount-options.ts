/** containerd's mixed mount options to mount(2)'s flags and data (core/mount/mount_linux.go parseMountOptions). */
import { type ByteString, display, fromUtf8 } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';

/** mount(2) copies one page, NUL included, and ignores the rest. */
export const DATA_MAX = 4095;

const MS_RDONLY = 1;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_SYNCHRONOUS = 16;
const MS_MANDLOCK = 64;
const MS_DIRSYNC = 128;
const MS_NOATIME = 1024;
const MS_NODIRATIME = 2048;
const MS_UNBINDABLE = 1 << 17;
const MS_PRIVATE = 1 << 18;
const MS_SLAVE = 1 << 19;
const MS_SHARED = 1 << 20;
const MS_RELATIME = 1 << 21;
const MS_STRICTATIME = 1 << 24;

const SET: Readonly<Record<string, number>> = {
  bind: MS_BIND,
  dirsync: MS_DIRSYNC,
  mand: MS_MANDLOCK,
  noatime: MS_NOATIME,
  nodev: MS_NODEV,
  nodiratime: MS_NODIRATIME,
  noexec: MS_NOEXEC,
  nosuid: MS_NOSUID,
  rbind: MS_BIND | MS_REC,
  relatime: MS_RELATIME,
  remount: MS_REMOUNT,
  ro: MS_RDONLY,
  strictatime: MS_STRICTATIME,
  sync: MS_SYNCHRONOUS,
};

const CLEAR: Readonly<Record<string, number>> = {
  async: MS_SYNCHRONOUS,
  atime: MS_NOATIME,
  defaults: 0,
  dev: MS_NODEV,
  diratime: MS_NODIRATIME,
  exec: MS_NOEXEC,
  nomand: MS_MANDLOCK,
  norelatime: MS_RELATIME,
  nostrictatime: MS_STRICTATIME,
  rw: MS_RDONLY,
  suid: MS_NOSUID,
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_REC,
  rshared: MS_SHARED | MS_REC,
  rslave: MS_SLAVE | MS_REC,
  runbindable: MS_UNBINDABLE | MS_REC,
  shared: MS_SHARED,
  slave: MS_SLAVE,
  unbindable: MS_UNBINDABLE,
};

export interface MountOptions {
  readonly flags: number;
  /** The kernel takes each by a call of its own, after the mount. */
  readonly propagation: readonly number[];
  /** The options of the file system, `key` or `key=value`, as the kernel takes them. */
  readonly data: readonly ByteString[];
}

export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  const propagation: number[] = [];
  const data: ByteString[] = [];
  for (const option of options) {
    if (Object.hasOwn(SET, option)) flags |= SET[option] ?? 0;
    else if (Object.hasOwn(CLEAR, option)) flags &= ~(CLEAR[option] ?? 0);
    else if (Object.hasOwn(PROPAGATION, option)) propagation.push(PROPAGATION[option] ?? 0);
    else if (option !== '') data.push(fromUtf8(option));
  }
  return { flags, propagation, data };
}

const ATTRIBUTES: readonly (readonly [flag: number, attribute: number])[] = [
  [MS_RDONLY, 1],
  [MS_NOSUID, 2],
  [MS_NODEV, 4],
  [MS_NOEXEC, 8],
  [MS_NOATIME, 0x10],
  [MS_STRICTATIME, 0x20],
  [MS_NODIRATIME, 0x80],
];

/** fsmount(2)'s MOUNT_ATTR_* of mount(2)'s MS_*. */
export function mountAttributes(flags: number): number {
  let out = 0;
  for (const [flag, attribute] of ATTRIBUTES) if ((flags & flag) !== 0) out |= attribute;
  return out;
}

/** Splits overlay's `lowerdir` value at the colons that no backslash escapes. The parts stay escaped. */
export function splitLowers(value: ByteString): ByteString[] {
  return value.match(/(?:\\.|[^:\\])+/gs) ?? [];
}

export function unescapeOverlay(path: ByteString): ByteString {
  return path.replace(/\\(.)/gs, '$1');
}

/** The options with each lower directory by the name that `shortName` gives for its (unescaped) path. */
export function renameLowers(
  data: readonly ByteString[],
  shortName: (lower: ByteString) => ByteString,
): ByteString[] {
  const key = 'lowerdir=';
  return data.map((option) => {
    if (!option.startsWith(key)) return option;
    const lowers = splitLowers(option.slice(key.length));
    return key + lowers.map((lower) => shortName(unescapeOverlay(lower))).join(':');
  });
}

/**
 * The source of an overlay whose lower directories go by names that tell nothing: the nearest one, so that who looks at the mount
 * knows what is shown. Overlayfs itself ignores the source.
 */
export function tellingSource(data: readonly ByteString[], source: string): string {
  const value = data.find((option) => option.startsWith('lowerdir='))?.slice('lowerdir='.length) ?? '';
  const [nearest] = splitLowers(value);
  return nearest === undefined ? source : display(unescapeOverlay(nearest));
}

export function tooLong(doing: string): HawserError {
  return new HawserError('InvalidArgument', `${doing}: mount options are too long`, {
    hint: 'Use a store with a shorter path, or Linux 6.8 or newer',
    reason: { type: 'errno', errno: 'E2BIG' },
  });
}
