import { type ByteString, fromUtf8, toBytes } from '../../core/bytes.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Mount, Mounter } from '../../core/ports/mounter.ts';
import { errnoError, errnoName } from './errno.ts';
import type { Libc } from './libc.ts';
import {
  DATA_MAX,
  type MountOptions,
  MS_BIND,
  MS_REC,
  MS_REMOUNT,
  mountAttributes,
  parseMountOptions,
  renameLowers,
  splitLowers,
  tellingSource,
  tooLong,
  unescapeOverlay,
} from './mount-options.ts';

const SYS_move_mount = 429n;
const SYS_fsopen = 430n;
const SYS_fsconfig = 431n;
const SYS_fsmount = 432n;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const AT_FDCWD = -100;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** fsconfig(2) takes strings of fewer than 256 bytes. */
const VALUE_MAX = 255;
const STACK_MAX = 1000;

/** Mounter by mount(2) and umount2(2); overlays whose options are over one page by fsopen(2) and its kin. */
export function createFfiMounter(
  libc: Libc,
  table: Pick<Mounter, 'mountpoints' | 'mounts' | 'stack'>,
): Mounter {
  const calls = new MountCalls(libc);
  return {
    provider: 'ffi',
    ...table,
    async mount(mounts: readonly Mount[], target: string, call?: Call): Promise<void> {
      let done = 0;
      try {
        for (const mount of mounts) {
          call?.signal?.throwIfAborted();
          calls.mount(mount, target);
          done++;
        }
      } catch (err) {
        while (done-- > 0) calls.umount(target, MNT_DETACH);
        throw err;
      }
    },
    async unmount(target, opts = {}) {
      opts.signal?.throwIfAborted();
      calls.unmount(target, opts.lazy === true ? MNT_DETACH : 0, opts.topmost === true ? 1 : STACK_MAX);
    },
  };
}

function cString(text: ByteString): Uint8Array {
  return toBytes(`${text}\0`);
}

class MountCalls {
  readonly #libc: Libc;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  mount(mount: Mount, target: string): void {
    const doing = `mounting ${mount.type} at ${JSON.stringify(target)}`;
    const options = parseMountOptions(mount.options);
    const point = cString(fromUtf8(target));
    if (options.data.join(',').length > DATA_MAX) {
      this.#mountLong(mount, options, point, doing);
    } else {
      this.#mount2(mount, options, options.data.join(','), point, doing);
    }
    try {
      for (const flags of options.propagation) this.#classic(null, point, null, flags, null, doing);
    } catch (err) {
      this.umount(target, MNT_DETACH);
      throw err;
    }
  }

  umount(target: string, flags: number): number {
    if (this.#libc.fn.umount2(cString(fromUtf8(target)), flags | UMOUNT_NOFOLLOW) >= 0) return 0;
    return this.#libc.errno();
  }

  /** At most `count` mounts. */
  unmount(target: string, flags: number, count: number): void {
    const doing = `unmounting ${JSON.stringify(target)}`;
    for (let done = 0; done < count; done++) {
      const errno = this.umount(target, flags);
      if (errno === 0) continue;
      const name = errnoName(errno);
      if (name !== 'EINVAL') throw errnoError(name, doing);
      if (done > 0) return;
      throw new HawserError('FailedPrecondition', `${doing}: not a mount point`, {
        reason: { type: 'errno', errno: name },
      });
    }
  }

  #mount2(mount: Mount, options: MountOptions, data: ByteString, point: Uint8Array, doing: string): void {
    const source = cString(fromUtf8(mount.source));
    const type = cString(fromUtf8(mount.type));
    const bind = options.flags & (MS_BIND | MS_REC);
    const isBind = (options.flags & (MS_BIND | MS_REMOUNT)) === MS_BIND;
    const flags = isBind ? bind : options.flags;
    this.#classic(source, point, type, flags, cString(data), doing);
    const rest = options.flags & ~bind;
    if (!isBind || rest === 0) return;
    // On a new bind mount the kernel ignores all other flags: a second call sets them.
    try {
      this.#classic(null, point, null, rest | MS_BIND | MS_REMOUNT, null, doing);
    } catch (err) {
      this.#libc.fn.umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW);
      throw err;
    }
  }

  #classic(
    source: Uint8Array | null,
    point: Uint8Array,
    type: Uint8Array | null,
    flags: number,
    data: Uint8Array | null,
    doing: string,
  ): void {
    if (this.#libc.fn.mount(source, point, type, BigInt(flags >>> 0), data) < 0) this.#fail(doing);
  }

  /**
   * Kernels before 6.8 have no `lowerdir+`, and old seccomp filters refuse calls that they do not know with EPERM: there the
   * lower directories go by short names of their descriptors.
   */
  #mountLong(mount: Mount, options: MountOptions, point: Uint8Array, doing: string): void {
    if (mount.type !== 'overlay') throw tooLong(doing);
    try {
      this.#overlay(options, point, doing);
    } catch (err) {
      if (!isKind(err, 'InvalidArgument', 'NotImplemented', 'PermissionDenied')) throw err;
      this.#shortNames(mount, options, point, doing);
    }
  }

  #overlay(options: MountOptions, point: Uint8Array, doing: string): void {
    const { fn } = this.#libc;
    const context = this.#check(fn.sysFsopen(SYS_fsopen, cString('overlay'), FSOPEN_CLOEXEC), doing);
    const set = (command: number, key: Uint8Array | null, value: Uint8Array | null): void => {
      this.#check(fn.sysFsconfig(SYS_fsconfig, context, command, key, value, 0), doing);
    };
    try {
      for (const [key, value] of settings(options.data)) {
        if (value === undefined) set(FSCONFIG_SET_FLAG, cString(key), null);
        else if (value.length > VALUE_MAX) throw tooLong(doing);
        else set(FSCONFIG_SET_STRING, cString(key), cString(value));
      }
      set(FSCONFIG_CMD_CREATE, null, null);
      const attributes = mountAttributes(options.flags);
      const made = this.#check(fn.sysFsmount(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes), doing);
      try {
        const empty = cString('');
        this.#check(
          fn.sysMoveMount(SYS_move_mount, made, empty, AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH),
          doing,
        );
      } finally {
        fn.close(made);
      }
    } finally {
      fn.close(context);
    }
  }

  #shortNames(mount: Mount, options: MountOptions, point: Uint8Array, doing: string): void {
    const held: number[] = [];
    try {
      const joined = renameLowers(options.data, (lower) => {
        const fd = this.#check(this.#libc.fn.open(cString(lower), O_PATH | O_CLOEXEC, 0), doing);
        held.push(fd);
        return `/proc/self/fd/${fd}`;
      }).join(',');
      if (joined.length > DATA_MAX) throw tooLong(doing);
      const named = { ...mount, source: tellingSource(options.data, mount.source) };
      this.#mount2(named, options, joined, point, doing);
    } finally {
      for (const fd of held) this.#libc.fn.close(fd);
    }
  }

  #check(result: number | bigint, doing: string): number {
    const number = Number(result);
    return number < 0 ? this.#fail(doing) : number;
  }

  #fail(doing: string): never {
    throw errnoError(errnoName(this.#libc.errno()), doing);
  }
}

/** `lowerdir+` takes one path, unescaped; every other option is as in mount(2)'s data. */
function settings(data: readonly ByteString[]): [key: ByteString, value: ByteString | undefined][] {
  return data.flatMap((option): [ByteString, ByteString | undefined][] => {
    const cut = option.indexOf('=');
    if (cut < 0) return [[option, undefined]];
    const key = option.slice(0, cut);
    const value = option.slice(cut + 1);
    if (key !== 'lowerdir') return [[key, value]];
    return splitLowers(value).map((lower) => ['lowerdir+', unescapeOverlay(lower)]);
  });
}
