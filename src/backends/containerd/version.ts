/** The ways of a containerd that depend on its version. */

export interface Ways {
  /** ctr fetches the manifests and configs of all platforms (2.0, cmd/ctr/commands/images/pull.go). */
  readonly allMetadata: boolean;
  /** Snapshots are labelled with the layer's diff ID and the parent's chain ID (2.3, core/unpack/unpacker.go). */
  readonly namesLayers: boolean;
}

/** `version`: as containerd gives it, such as `1.6.20~ds1`, `v2.4.2` or `2.4.2+unknown`. An unknown form is taken for 1.x. */
export function waysOf(version: string): Ways {
  const [, major = 1, minor = 0] = (/^v?(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  return { allMetadata: major >= 2, namesLayers: major > 2 || (major === 2 && minor >= 3) };
}
