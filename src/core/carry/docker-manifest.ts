/** manifest.json, which classic `docker load`, crane and RKE2 read: one platform of each image. */

import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';
import { isForeignLayer, mayBeImageConfig } from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import { rank } from '../platforms/pick.ts';
import { repoTag } from './annotations.ts';
import type { PlannedExport } from './export-plan.ts';

/** Where a layout has a blob. */
export function blobPath(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** `auto`: without the images that old readers would take wrongly. */
export type DockerForm = 'auto' | 'always' | 'never';

export interface DockerEntry {
  readonly target: Digest;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly tags: readonly string[];
}

/** An entry for each target that has an image, and why others have none. `host`: the platform to take where it is among them. */
export function dockerEntries(
  images: readonly PlannedExport[],
  host: Platform,
  form: DockerForm,
): { readonly entries: readonly DockerEntry[]; readonly leftOut: readonly string[] } {
  const entries = new Map<string, DockerEntry>();
  const leftOut: string[] = [];
  if (form === 'never') return { entries: [], leftOut };
  for (const image of images) {
    const tag = repoTag(image.name);
    const tags = tag === undefined ? [] : [tag];
    const known = entries.get(image.target.digest);
    if (known !== undefined) {
      entries.set(image.target.digest, { ...known, tags: [...known.tags, ...tags] });
      continue;
    }
    const found = pick(image, host);
    if (found === undefined) continue;
    const why = form === 'auto' ? obstacle(found.layers) : undefined;
    if (why === undefined) entries.set(image.target.digest, { ...found, target: image.target.digest, tags });
    else leftOut.push(`${image.name} is not in manifest.json: ${why}`);
  }
  return { entries: [...entries.values()], leftOut };
}

function pick(image: PlannedExport, host: Platform): Pick<DockerEntry, 'config' | 'layers'> | undefined {
  const images = image.manifests.filter(
    ({ manifest, desc }) => mayBeImageConfig(manifest.config.mediaType) && desc.platform?.os !== 'unknown',
  );
  const candidates = images.map((part) => ({ platform: part.desc.platform, part }));
  const [best] = rank(candidates, only(host));
  const manifest = (best?.part ?? images[0])?.manifest;
  return manifest && { config: manifest.config, layers: manifest.layers };
}

/** Media types are lost in this form: readers look at the first layer, or know gzip only. */
function obstacle(layers: readonly Descriptor[]): string | undefined {
  if (layers.some(({ mediaType }) => isForeignLayer(mediaType))) return 'a layer is not to be distributed';
  const kinds = new Set(layers.map(({ mediaType }) => /[.+](gzip|zstd)$/.exec(mediaType)?.[1] ?? 'tar'));
  if (kinds.has('zstd'))
    return 'its layers are zstd, which old readers of that file do not know (--docker always)';
  if (kinds.size > 1)
    return 'its layers are compressed differently, which its readers do not expect (--docker always)';
  return undefined;
}

/** `path`: where the archive has a blob. */
export function dockerManifestJson(entries: readonly DockerEntry[]): Uint8Array {
  const list = entries.map(({ config, layers, tags }) => ({
    Config: blobPath(config.digest),
    RepoTags: tags,
    Layers: layers.map(({ digest }) => blobPath(digest)),
  }));
  return new TextEncoder().encode(JSON.stringify(list));
}
