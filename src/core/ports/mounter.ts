import type { Call } from './call.ts';

/**
 * containerd's mount: `options` hold flags (`ro`, `rbind`) and data (`lowerdir=...`) mixed, in order. A path in data has a
 * backslash before each backslash, comma and colon (Linux, fs/overlayfs/params.c).
 */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface Mounter {
  readonly provider: 'ffi' | 'tools';
  /** Mounts all, in order, at `target` (an existing directory). On failure what was mounted is unmounted again. */
  mount(mounts: readonly Mount[], target: string, call?: Call): Promise<void>;
  /** Unmounts everything stacked at `target`. Not a mount point: FailedPrecondition. */
  unmount(target: string, opts?: { lazy?: boolean } & Call): Promise<void>;
  /** Mount points at or below `path`, from /proc/self/mountinfo. */
  mountpoints(path: string, call?: Call): Promise<string[]>;
}
