import type { Call } from './call.ts';

/**
 * containerd's mount: `options` hold flags (`ro`, `rbind`) and data (`lowerdir=...`) mixed, in order. A path in data has a
 * backslash before each backslash, comma and colon (Linux, fs/overlayfs/params.c).
 */
export interface Mount {
  /** Of the file system: `overlay`, `bind`. */
  readonly type: string;
  /** A directory for `bind`, else a device or a word. */
  readonly source: string;
  /** In the order of mount(8)'s `-o`. */
  readonly options: readonly string[];
}

/** A mount as proc_pid_mountinfo(5) shows it, with \\ooo decoded. */
export interface Mounted {
  readonly type: string;
  readonly source: string;
  /** The directory of its file system that is mounted: `/` unless it is a bind mount. */
  readonly root: string;
  /** The options of the file system (`lowerdir=...`). */
  readonly options: readonly string[];
}

export interface MountPoint extends Mounted {
  /** Absolute. */
  readonly point: string;
}

export interface Mounter {
  readonly provider: 'ffi' | 'tools';
  /** Mounts all, in order, at `target` (an existing directory). On failure what was mounted is unmounted again. */
  mount(mounts: readonly Mount[], target: string, call?: Call): Promise<void>;
  /** Unmounts everything stacked at `target`, or the topmost mount. Not a mount point: FailedPrecondition. */
  unmount(target: string, opts?: { lazy?: boolean; topmost?: boolean } & Call): Promise<void>;
  /** Mount points at or below `path`, from /proc/self/mountinfo. */
  mountpoints(path: string, call?: Call): Promise<string[]>;
  /** All mounts of this process's mount namespace, in the order in which they cover one another. */
  mounts(call?: Call): Promise<MountPoint[]>;
  /** What is mounted at exactly `target`, the topmost last. None: not a mount point, or absent. */
  stack(target: string, call?: Call): Promise<Mounted[]>;
}
