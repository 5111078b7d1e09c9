/** The verb `prune references`: lets go of the layers of images, which stay unpacked (ctr content prune references). */
import type { Backend } from '../backend.ts';
import type { Info, Labels } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { ifFound } from '../errors.ts';
import { references } from '../gc/references.ts';
import type { Survey } from '../gc/survey.ts';
import { configLabel, isLayerLabel, layerLabels } from '../images/gc-labels.ts';
import { documentType, MAX_MANIFEST_BYTES, parseManifest } from '../oci/documents.ts';
import { isManifestType } from '../oci/media-types.ts';
import { attachmentKind } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';

/** The keys of the labels that go, by the manifest's digest; and the manifests whose layers are not unpacked, which keep theirs. */
export interface PrunedReferences {
  readonly goes: ReadonlyMap<string, readonly string[]>;
  readonly left: readonly string[];
}

type Roles = Pick<Backend, 'content' | 'snapshotter' | 'snapshotterNames'>;

/** `all`: also of images that are not unpacked, as ctr does. Changes nothing. */
export async function chooseReferences(
  backend: Roles,
  { all, ...call }: { readonly all: boolean } & Call,
): Promise<PrunedReferences> {
  const content = await backend.content.list(call);
  const committed = await committedSnapshots(backend, call);
  const labelsOf = new Map<string, Labels>(content.map(({ digest, labels }) => [digest, labels]));
  const isUnpacked = (manifest: Labels): boolean => {
    const config = labelsOf.get(configLabel(manifest) ?? '') ?? {};
    return [...references(config)].some(({ type, id }) => committed.has(`${type}\0${id}`));
  };
  const goes = new Map<string, readonly string[]>();
  const left: string[] = [];
  for (const info of content) {
    const { digest, labels } = info;
    if (!Object.keys(labels).some(isLayerLabel)) continue;
    const keys = layerLabels(await typeOf(backend, info, call), labels);
    if (keys.length === 0) continue;
    if (all || isUnpacked(labels)) goes.set(digest, keys);
    else left.push(digest);
  }
  return { goes, left };
}

/** '' for what cannot be read, and for signatures and other documents about images: their labels stay. */
async function typeOf({ content }: Roles, { digest, size }: Info, call: Call): Promise<string> {
  if (size > MAX_MANIFEST_BYTES) return '';
  const bytes = await ifFound(readBlob(content, { digest, size }, MAX_MANIFEST_BYTES, call), 'DataLoss');
  const mediaType = (bytes && documentType(bytes, '')) ?? '';
  if (bytes === undefined || !isManifestType(mediaType)) return mediaType;
  try {
    const manifest = parseManifest(bytes, { mediaType, digest, size });
    const isImage = manifest.subject === undefined && attachmentKind(manifest) === undefined;
    return isImage ? mediaType : '';
  } catch {
    return '';
  }
}

async function committedSnapshots(backend: Roles, call: Call): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const snapshotter of backend.snapshotterNames) {
    for (const { kind, name } of await backend.snapshotter(snapshotter).list(call)) {
      if (kind === 'Committed') found.add(`snapshots/${snapshotter}\0${name}`);
    }
  }
  return found;
}

/** Removes the labels: the layers go with the next collection, unless something else keeps them. */
export async function pruneReferences(
  { content }: Pick<Backend, 'content'>,
  { goes }: PrunedReferences,
  call: Call,
): Promise<void> {
  for (const { digest } of await content.list(call)) {
    const keys = goes.get(digest) ?? [];
    if (keys.length > 0) await content.label(digest, Object.fromEntries(keys.map((key) => [key, ''])), call);
  }
}

/** The survey as it will be then. */
export function withoutReferences(survey: Survey, namespace: string, { goes }: PrunedReferences): Survey {
  const strip = (digest: string, labels: Labels): Labels => {
    const keys = new Set(goes.get(digest));
    return Object.fromEntries(Object.entries(labels).filter(([key]) => !keys.has(key)));
  };
  const namespaces = survey.namespaces.map((one) => {
    if (one.name !== namespace) return one;
    const content = one.state.content.map((blob) => ({ ...blob, labels: strip(blob.digest, blob.labels) }));
    return { ...one, state: { ...one.state, content } };
  });
  return { ...survey, namespaces };
}
