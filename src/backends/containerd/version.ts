/** The ways of a containerd that depend on its version. */
import type { Labels } from '../../core/content/content-store.ts';
import { labelBytes, MAX_LABEL_BYTES } from '../../core/content/labels.ts';
import type { SnapshotLayer } from '../../core/snapshots/snapshotter.ts';

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

const PREFIX = 'containerd.io/snapshot/';
const DIFF_ID = `${PREFIX}diff-id`;
const PARENT = `${PREFIX}parent-chain-id`;
/** Never taken from an image: a snapshotter gives files to other users by the first two (layerSnapshotLabels there). */
const REFUSED: ReadonlySet<string> = new Set([
  ...[`${PREFIX}uidmapping`, `${PREFIX}gidmapping`],
  ...[DIFF_ID, PARENT],
]);

/** The labels that containerd's unpacker gives a layer's snapshot: annotations for snapshotters, and in 2.3 the layer's ids. */
export function layerLabels({ diffId, parent, annotations }: SnapshotLayer, { namesLayers }: Ways): Labels {
  const inherited = Object.entries(annotations).filter(
    ([key, value]) =>
      key.startsWith(PREFIX) &&
      !REFUSED.has(key) &&
      value !== '' &&
      labelBytes(key, value) <= MAX_LABEL_BYTES,
  );
  const own = namesLayers ? { [DIFF_ID]: diffId, ...(parent === '' ? {} : { [PARENT]: parent }) } : {};
  return { ...Object.fromEntries(inherited), ...own };
}
