/** The labels that containerd's unpacker gives the snapshot of a layer. */
import type { Labels } from '../../core/content/content-store.ts';
import { labelBytes, MAX_LABEL_BYTES } from '../../core/content/labels.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { ImageOfLayer, SnapshotLayer } from '../../core/snapshots/snapshotter.ts';
import type { Ways } from './version.ts';

const PREFIX = 'containerd.io/snapshot/';
const DIFF_ID = `${PREFIX}diff-id`;
const PARENT = `${PREFIX}parent-chain-id`;
/** Never taken from an image: a snapshotter gives files to other users by the first two (layerSnapshotLabels there). */
const REFUSED: ReadonlySet<string> = new Set([
  ...[`${PREFIX}uidmapping`, `${PREFIX}gidmapping`],
  ...[DIFF_ID, PARENT],
]);

/**
 * Annotations for snapshotters, and in 2.3 the layer's ids. `remote`: the snapshotter may fetch layers by itself, and is told of the
 * image (pkg/snapshotters/annotations.go there).
 */
export function layerLabels(layer: SnapshotLayer, { namesLayers }: Ways, remote: boolean): Labels {
  const { diffId, parent, annotations, image } = layer;
  const inherited = Object.entries(annotations).filter(
    ([key, value]) =>
      key.startsWith(PREFIX) &&
      !REFUSED.has(key) &&
      value !== '' &&
      labelBytes(key, value) <= MAX_LABEL_BYTES,
  );
  const own = namesLayers ? { [DIFF_ID]: diffId, ...(parent === '' ? {} : { [PARENT]: parent }) } : {};
  const told = remote && image !== undefined ? imageLabels(image) : {};
  return { ...Object.fromEntries(inherited), ...told, ...own };
}

/** The names say CRI, which set them first; others read them, too. */
function imageLabels({ name, manifest, layers }: ImageOfLayer): Labels {
  const key = `${PREFIX}cri.image-layers`;
  const listed: string[] = [];
  for (const digest of layers) {
    if (labelBytes(key, [...listed, digest].join(',')) > MAX_LABEL_BYTES) break;
    listed.push(digest);
  }
  return {
    [`${PREFIX}cri.image-ref`]: nameOf(name),
    [`${PREFIX}cri.layer-digest`]: layers[0] ?? '',
    [key]: listed.join(','),
    [`${PREFIX}cri.manifest-digest`]: manifest,
  };
}

/** A name of both tag and digest goes without the tag, as CRI has it. */
function nameOf(name: string): string {
  try {
    const { host, repository, digest } = parseReference(name);
    return digest === undefined ? name : `${host}/${repository}@${digest}`;
  } catch {
    return name;
  }
}
