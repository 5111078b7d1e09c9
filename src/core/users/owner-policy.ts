/** Ids of a user namespace: `first` to `first + count - 1`. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

/**
 * To whom unpacked files belong. `keep`: to the owners that the layer names (needs CAP_CHOWN). `ours`: to this process's user.
 * `record`: as `ours`, and files and directories get the attribute `user.rootlesscontainers` with the owner that the layer names,
 * as umoci and rootlesscontainers have it: a protobuf message of uid (1) and gid (2), absent for 0:0.
 */
export type OwnerMode = 'keep' | 'ours' | 'record';

/** To whom the unpacked files belong, and who there is. */
export interface OwnerPolicy {
  readonly mode: OwnerMode;
  /** The ids that the user namespace maps: no other can be given. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}
