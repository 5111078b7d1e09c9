/** Ids of a user namespace: `first` to `first + count - 1`. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

/** Whose the unpacked files become. */
export interface OwnerPolicy {
  /**
   * `keep`: whomever the layer names (needs CAP_CHOWN). `ours`: this process's user. `record`: the same, and what the layer
   * says goes into the attribute `user.rootlesscontainers` of files and directories, as umoci and rootlesscontainers have it: a
   * protobuf message of uid (1) and gid (2), absent for 0:0.
   */
  readonly mode: 'keep' | 'ours' | 'record';
  /** What the user namespace maps: the only ids that can be given. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}
