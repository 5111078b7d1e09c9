/**
 * The labels that tie content together for garbage collection and later pushes, with containerd's keys
 * (core/images/mediatypes.go ChildGCLabels, core/remotes/docker/handler.go AppendDistributionSourceLabel).
 */
import type { Labels } from '../content/content-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import { isConfigType, isLayerType, isManifestType } from '../oci/media-types.ts';
import type { Reference } from '../reference/reference.ts';

/** Keys of labels of a document, each the digest of one that it refers to, begin so. */
export const PREFIX = 'containerd.io/gc.ref.content';
/** Of these, the keys whose digest is that of a document which refers to the labelled one begin so. */
const REFERRER = `${PREFIX}.referrer.`;
/** Annotation of a referrer's descriptor: the digest of the manifest that it refers to (containerd 2.2). */
export const SUBJECT = 'io.containerd.manifest.subject';

/**
 * A label for each child, in order. The first config has no number; all others count from 0 for each prefix. A referrer's
 * key has its digest in it, so that the key stays when others come and go. Of two with one key the later is counted among
 * the rest (containerd forgets the first).
 */
export function childLabels(children: readonly Descriptor[]): Labels {
  const labels: Record<string, string> = {};
  const counts = new Map<string, number>();
  for (const child of children) {
    const referrer = referrerKey(child);
    if (referrer !== undefined && (labels[referrer] ?? child.digest) === child.digest) {
      labels[referrer] = child.digest;
      continue;
    }
    const prefix = referrer === undefined ? childPrefix(child.mediaType) : `${PREFIX}.`;
    const index = counts.get(prefix) ?? 0;
    counts.set(prefix, index + 1);
    labels[index > 0 || prefix.endsWith('.') ? `${prefix}${index}` : prefix] = child.digest;
  }
  return labels;
}

/** Label of an index whose entries have come in one by one, as nobody vouches for the index: an entry without a label has not. */
const BY_ENTRIES = 'hawser/admitted-by-entries';

/** As `childLabels`, for those of the children that may come in. `before`: the labels that the document has. */
export function admittedLabels(
  children: readonly Descriptor[],
  admitted: readonly Descriptor[],
  before: Labels,
): Labels {
  const labels = childLabels(children);
  if (admitted.length === children.length)
    return before[BY_ENTRIES] === undefined ? labels : { ...labels, [BY_ENTRIES]: '' };
  const digests = new Set<string>(admitted.map(({ digest }) => digest));
  const kept = Object.entries(labels).filter(([, digest]) => digests.has(digest));
  const isWhole = Object.entries(labels).every(([key, digest]) => before[key] === digest);
  return { ...Object.fromEntries(kept), ...(isWhole ? {} : { [BY_ENTRIES]: 'true' }) };
}

/** Whether an index with these labels keeps only those of its entries that were let in. */
export function isByEntries(labels: Labels): boolean {
  return labels[BY_ENTRIES] !== undefined;
}

/** The labels of a converted manifest: all children counted, as containerd 1.6 does. */
export function convertedLabels(children: readonly Descriptor[]): Labels {
  return Object.fromEntries(children.map(({ digest }, index) => [`${PREFIX}.${index}`, digest]));
}

/** containerd before 1.3 numbered all children alike, the config with 0. */
const LAYER = /^containerd\.io\/gc\.ref\.content\.(?:l\.\d+|[1-9]\d*)$/;
/** A manifest says of its config which one it is; an index, whose numbered children are manifests, has none. */
const CONFIG = /^containerd\.io\/gc\.ref\.content\.(?:config|0)$/;

/** The keys by which a document of this type keeps its layers: of a manifest that keeps its config. */
export function layerLabels(mediaType: string, labels: Labels): string[] {
  return keepsConfig(mediaType, labels) ? Object.keys(labels).filter(isLayerLabel) : [];
}

/** The digest of the config that a manifest with these labels keeps. */
export function configLabel(labels: Labels): string | undefined {
  return Object.entries(labels).find(([key]) => CONFIG.test(key))?.[1];
}

/**
 * Whether these are the labels of a manifest that keeps its config: its layers may then have been let go of (content prune references).
 * Labels alone do not tell: an index numbers the indexes that it lists.
 */
export function keepsConfig(mediaType: string, labels: Labels): boolean {
  return isManifestType(mediaType) && configLabel(labels) !== undefined;
}

/** Whether a manifest keeps a layer by the label of this key. */
export function isLayerLabel(key: string): boolean {
  return LAYER.test(key);
}

function referrerKey({ annotations, digest }: Descriptor): string | undefined {
  if (annotations?.[SUBJECT] === undefined) return undefined;
  return `${REFERRER}sha256.${hexOf(digest).slice(0, 12)}`;
}

/** The digests of what refers to a document with these labels, as the labels say them. */
export function referrersIn(labels: Labels): string[] {
  return Object.entries(labels).flatMap(([key, digest]) => (key.startsWith(REFERRER) ? [digest] : []));
}

function childPrefix(mediaType: string): string {
  if (isConfigType(mediaType)) return `${PREFIX}.config`;
  if (isManifestType(mediaType)) return `${PREFIX}.m.`;
  if (isLayerType(mediaType)) return `${PREFIX}.l.`;
  return `${PREFIX}.`;
}

/** The label of an image's config that keeps a snapshot chain from garbage collection. */
export function snapshotLabelKey(snapshotter: string): string {
  return `containerd.io/gc.ref.snapshot.${snapshotter}`;
}

/** Label of a layer blob: its diff ID. */
export const UNCOMPRESSED_LABEL = 'containerd.io/uncompressed';

/** The key for `host`, without its port (containerd's rule). */
export function sourceLabelKey(host: string): string {
  const bracket = host.startsWith('[') ? host.indexOf(']') : -1;
  const name = bracket > 0 ? host.slice(1, bracket) : host.replace(/:\d+$/, '');
  return `containerd.io/distribution.source.${name}`;
}

/** The label with the repositories that have a blob: the reference's, and those in `before`. Empty for an archive that is no layout: no registry is known to have its blobs. */
export function sourceLabels(
  from: Pick<Reference, 'host' | 'repository' | 'layout'>,
  before: Labels = {},
): Labels {
  if (from.layout?.files !== undefined) return {};
  const key = sourceLabelKey(from.host);
  return { [key]: appendSource(before[key], from.repository) };
}

/** Whether the labels say that a repository has the content. */
export function isFrom(
  labels: Labels,
  { host, repository }: Pick<Reference, 'host' | 'repository'>,
): boolean {
  return (labels[sourceLabelKey(host)] ?? '').split(',').includes(repository);
}

/** Of documents that could be at one tag of cosign's: the newest of those that the repository has, else the newest of all. */
export function preferred<T extends { readonly labels: Labels; readonly createdAt: number }>(
  documents: readonly T[],
  repository: Pick<Reference, 'host' | 'repository'> | undefined,
): T | undefined {
  const own = documents.filter(({ labels }) => repository !== undefined && isFrom(labels, repository));
  return (own.length > 0 ? own : [...documents]).sort((a, b) => b.createdAt - a.createdAt)[0];
}

/** A list of repositories, comma-separated, sorted, each once. */
export function appendSource(present: string | undefined, repository: string): string {
  const all = new Set([...(present ?? '').split(','), repository].filter((one) => one !== ''));
  return [...all].sort().join(',');
}
