/** What images are made of, as far as it is in the store, and whether their documents fit together. */
import type { Info, Labels, Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { isKind, messageOf } from '../errors.ts';
import { MAX_DEPTH, MAX_NODES } from '../images/dispatch.ts';
import { manifestFor } from '../images/find-manifest.ts';
import { referrersIn } from '../images/gc-labels.ts';
import type { Image } from '../images/image-store.ts';
import { type LayerStep, planUnpack } from '../layers/layer-steps.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import {
  childrenOf,
  documentType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../oci/documents.ts';
import {
  isDocumentType,
  isIndexType,
  isManifestType,
  mayBeImageConfig,
  OCI_MANIFEST,
  OCTET_STREAM,
} from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { BlobChecks } from './blobs.ts';
import { childLabelsFix, diffIdFix, mayLackLayers, snapshotLabelsFix } from './labels.ts';

export interface KnownBlob {
  readonly desc: Descriptor;
  readonly images: Set<string>;
  /** It must be in the store, and is not. */
  missing: boolean;
}

export interface KnownLayer {
  readonly step: LayerStep;
  readonly images: Set<string>;
}

interface Deps {
  readonly content: Provider;
  readonly hashers: Hashers;
  readonly platform: Platform;
  readonly checks: BlobChecks;
  readonly records: ReadonlyMap<Digest, Info>;
  /** Nobody but hawser labels the content: its labels can be told to be wrong. */
  readonly ownLabels: boolean;
}

/** Reads the documents of images. A document whose bytes are damaged is not followed; BlobChecks knows of it. */
export class ImageWalk {
  /** By digest: all blobs that the images name and that are in the store, or must be. */
  readonly blobs: Map<Digest, KnownBlob> = new Map();
  /** By chain ID. */
  readonly layers: Map<string, KnownLayer> = new Map();
  /** By digest. */
  readonly bad: Map<Digest, { readonly problem: string; readonly images: Set<string> }> = new Map();
  /** By digest. */
  readonly labels: Map<Digest, { readonly want: Labels; readonly images: Set<string> }> = new Map();
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Looks at the documents of an image. Where no manifest of an index is here, the one for this machine counts as missing. */
  async add(image: Image, call: Call): Promise<void> {
    const { wanted, absent } = await this.#manifestOf(image, call);
    const visit = new Visit(this, this.#deps, image.name, wanted, call);
    await visit.document(image.target, true, 0);
    await visit.beside();
    if (absent === undefined || visit.hasManifest) return;
    await new Visit(this, this.#deps, image.name, absent, call).document(image.target, true, 0);
  }

  /** The manifest for this machine; `absent`: which is not here. */
  async #manifestOf(
    { target }: Image,
    call: Call,
  ): Promise<{ wanted?: Digest; absent?: Digest | undefined }> {
    const { content, platform } = this.#deps;
    let absent: Digest | undefined;
    const open: Provider['open'] = async (digest, opts) => {
      try {
        return await content.open(digest, opts);
      } catch (err) {
        if (isKind(err, 'NotFound')) absent = digest;
        throw err;
      }
    };
    try {
      return { wanted: (await manifestFor({ open }, target, only(platform), call)).desc.digest };
    } catch (err) {
      call.signal?.throwIfAborted();
      if (isKind(err, 'Canceled', 'DeadlineExceeded', 'Unavailable')) throw err;
      return { absent };
    }
  }

  noteBlob(desc: Descriptor, image: string, missing: boolean): void {
    const known = this.blobs.get(desc.digest) ?? { desc, images: new Set(), missing: false };
    this.blobs.set(desc.digest, known);
    known.images.add(image);
    known.missing ||= missing;
  }

  noteBad({ digest }: Descriptor, image: string, problem: string): void {
    const known = this.bad.get(digest) ?? { problem, images: new Set() };
    this.bad.set(digest, known);
    known.images.add(image);
  }

  /** `want`: undefined when the labels are right. */
  noteLabels({ digest }: Descriptor, image: string, want: Labels | undefined): void {
    if (want === undefined || !this.#deps.ownLabels) return;
    const known = this.labels.get(digest) ?? { want, images: new Set() };
    this.labels.set(digest, known);
    known.images.add(image);
  }

  noteLayers(steps: readonly LayerStep[], image: string): void {
    for (const step of steps) {
      const known = this.layers.get(step.chainId) ?? { step, images: new Set() };
      this.layers.set(step.chainId, known);
      known.images.add(image);
    }
  }
}

/** The documents of one image. */
class Visit {
  readonly #walk: ImageWalk;
  readonly #deps: Deps;
  readonly #image: string;
  /** The manifest of this machine's platform: all its blobs must be here. */
  readonly #wanted: Digest | undefined;
  readonly #call: Call;
  readonly #seen = new Set<Digest>();
  /** What labels of documents tie to them: signatures, SBOMs. */
  readonly #referrers: Digest[] = [];
  #isBeside = false;
  /** Whether a manifest of the image was met. */
  hasManifest = false;

  constructor(walk: ImageWalk, deps: Deps, image: string, wanted: Digest | undefined, call: Call) {
    this.#walk = walk;
    this.#deps = deps;
    this.#image = image;
    this.#wanted = wanted;
    this.#call = call;
  }

  /** What is tied to the documents that were visited, and to what is tied to them. None of it must be here. */
  async beside(): Promise<void> {
    this.#isBeside = true;
    for (let at = 0; at < Math.min(this.#referrers.length, MAX_NODES); at++) {
      const digest = this.#referrers[at];
      const record = digest === undefined ? undefined : this.#deps.records.get(digest);
      if (record === undefined || this.#seen.has(record.digest)) continue;
      await this.document(await this.#described(record), false, 0);
    }
  }

  /** Of a damaged one nothing tells the type: nearly all are of this one. */
  async #described({ digest, size }: Info): Promise<Descriptor> {
    const manifest = { mediaType: OCI_MANIFEST, digest, size };
    const bytes = await this.#bytes(manifest, false);
    const mediaType = bytes === undefined ? OCI_MANIFEST : (documentType(bytes, '') ?? OCTET_STREAM);
    return { ...manifest, mediaType };
  }

  /** Any descriptor: what is no document ends here. */
  async document(desc: Descriptor, required: boolean, depth: number): Promise<void> {
    if (!this.#seen.has(desc.digest))
      this.#referrers.push(...referrersIn(this.#labelsOf(desc)).filter(isDigest));
    const bytes = await this.#bytes(desc, required);
    if (bytes === undefined || this.#seen.has(desc.digest) || depth > MAX_DEPTH) return;
    this.#seen.add(desc.digest);
    try {
      const isHere = (digest: Digest): boolean => this.#deps.records.has(digest);
      const want = childLabelsFix(desc, childrenOf(bytes, desc), this.#labelsOf(desc), isHere);
      this.#walk.noteLabels(desc, this.#image, want);
      if (isManifestType(desc.mediaType)) await this.#manifest(desc, parseManifest(bytes, desc));
      else if (isIndexType(desc.mediaType)) {
        for (const child of parseIndex(bytes, desc).manifests) {
          await this.document(child, child.digest === this.#wanted, depth + 1);
        }
      } else for (const child of childrenOf(bytes, desc)) await this.document(child, false, depth + 1);
    } catch (err) {
      this.#refuse(desc, err);
    }
  }

  async #manifest(desc: Descriptor, manifest: Manifest): Promise<void> {
    this.hasManifest ||= !this.#isBeside;
    const required = desc.digest === this.#wanted;
    const children = [manifest.config, ...manifest.layers];
    const labels = this.#labelsOf(desc);
    const kept = new Set(Object.values(labels));
    for (const layer of manifest.layers) {
      const isGone = mayLackLayers(desc.mediaType, labels) && !kept.has(layer.digest);
      this.#present(layer, required && !isGone);
    }
    if (this.#isBeside || !mayBeImageConfig(manifest.config.mediaType)) {
      this.#present(manifest.config, required);
      return;
    }
    const bytes = await this.#bytes(manifest.config, required);
    if (bytes === undefined) return;
    try {
      const { diffIds } = parseConfig(bytes, manifest.config);
      const steps = planUnpack(desc, children, diffIds, this.#deps.hashers);
      this.#walk.noteLayers(steps, this.#image);
      for (const { layer, diffId } of steps)
        this.#walk.noteLabels(layer, this.#image, diffIdFix(diffId, this.#labelsOf(layer)));
      const want = snapshotLabelsFix(steps.at(-1)?.chainId ?? '', this.#labelsOf(manifest.config));
      this.#walk.noteLabels(manifest.config, this.#image, want);
    } catch (err) {
      // An artifact, or too large to be unpacked: not damaged for that.
      if (!isKind(err, 'FailedPrecondition', 'ResourceExhausted', 'NotImplemented')) {
        this.#refuse(manifest.config, err);
      }
    }
  }

  #labelsOf({ digest }: Descriptor): Labels {
    return this.#deps.records.get(digest)?.labels ?? {};
  }

  #refuse(desc: Descriptor, err: unknown): void {
    this.#call.signal?.throwIfAborted();
    if (isKind(err, 'Canceled', 'DeadlineExceeded', 'Unavailable')) throw err;
    this.#walk.noteBad(desc, this.#image, messageOf(err));
  }

  /** False when the blob is not in the store, or is described with another size than it has. */
  #present(desc: Descriptor, required: boolean): boolean {
    const record = this.#deps.records.get(desc.digest);
    if (record !== undefined || required) this.#walk.noteBlob(desc, this.#image, record === undefined);
    if (record === undefined) return false;
    if (record.size === desc.size) return true;
    const problem = `the image says that it has ${desc.size} bytes; it has ${record.size}`;
    this.#walk.noteBad(desc, this.#image, problem);
    return false;
  }

  /** The bytes of a document; undefined for other blobs, and when they are not here or damaged. */
  async #bytes(desc: Descriptor, required: boolean): Promise<Uint8Array | undefined> {
    const { mediaType, digest, size } = desc;
    if (!this.#present(desc, required)) return undefined;
    const isList = isDocumentType(mediaType);
    const limit = isList ? MAX_MANIFEST_BYTES : MAX_CONFIG_BYTES;
    if ((!isList && !mayBeImageConfig(mediaType)) || size > limit) return undefined;
    const { checks, content } = this.#deps;
    if ((await checks.problem(digest, this.#call)) !== undefined) return undefined;
    return await readBlob(content, desc, limit, this.#call);
  }
}
