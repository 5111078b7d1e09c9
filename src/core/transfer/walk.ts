/** The handlers of a pull, composed: fetch, children, labels, platform filter, distribution source. */

import { readBlob } from '../content/read.ts';
import { refKey } from '../content/ref-key.ts';
import type { Info, InfoProvider, Manager, Provider } from '../content/roles.ts';
import { HawserError } from '../errors.ts';
import { dispatch } from '../images/dispatch.ts';
import { appendSource, childLabels, convertedLabels, sourceLabelKey } from '../images/gc-labels.ts';
import { platformsOf, selectChildren } from '../images/select.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { childrenOf, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isImageConfigType, isIndexType, isManifestType } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';

/** Label key and value together (containerd's limit). */
const MAX_LABEL_BYTES = 4096;
const DEFAULT_CONCURRENCY = 6;

/** What the walk needs of a store. */
export type WalkContent = InfoProvider & Provider & Pick<Manager, 'label'>;

export interface WalkDeps {
  readonly content: WalkContent;
  /** Returns once the blob is in the store. */
  readonly bring: (desc: Descriptor, call: WriteCall) => Promise<unknown>;
  readonly report: Report;
}

export interface WalkOptions {
  readonly reference: Reference;
  readonly platforms: readonly Platform[] | 'all';
  readonly allMetadata: boolean;
  readonly metadataOnly: boolean;
  readonly concurrency: number;
  /** Digests that do not come from the reference's repository. */
  readonly made: ReadonlySet<string>;
  readonly lease?: string | undefined;
  readonly signal: AbortSignal;
  /** A manifest whose layers are wanted has been read; `platform` is the wanted one, or undefined when only its config tells. */
  readonly onManifest?: (
    manifest: Descriptor,
    children: readonly Descriptor[],
    platform: string | undefined,
  ) => void;
  /** A blob is in the store. */
  readonly onBlob?: (desc: Descriptor) => void;
}

/** Fetches everything wanted below `root`. NotFound when the index lacks a wanted platform, naming those it has. */
export async function walkImage(deps: WalkDeps, root: Descriptor, opts: WalkOptions): Promise<void> {
  const walk = new Walk(deps, root, opts);
  await dispatch(root, (desc, call) => walk.handle(desc, call.signal), {
    signal: opts.signal,
    limit: opts.concurrency > 0 ? opts.concurrency : DEFAULT_CONCURRENCY,
  });
  walk.checkPlatforms();
}

class Walk {
  readonly #deps: WalkDeps;
  readonly #root: Descriptor;
  readonly #opts: WalkOptions;
  /** Manifest digest to the wanted platforms it serves. */
  readonly #chosen = new Map<string, Set<string>>();
  readonly #available = new Set<string>();
  /** Children whose platform their index does not tell: any of them may be what is wanted. */
  #untold = false;

  constructor(deps: WalkDeps, root: Descriptor, opts: WalkOptions) {
    this.#deps = deps;
    this.#root = root;
    this.#opts = opts;
  }

  async handle(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    const call = { signal, lease: this.#opts.lease };
    checkSize(desc);
    await this.#deps.bring(desc, call);
    const children = await this.#children(desc, signal);
    await this.#label(desc, children, signal);
    this.#opts.onBlob?.(desc);
    const wanted = this.#filter(desc, children);
    for (const child of wanted) {
      this.#deps.report({ type: 'blob', key: refKey(child), desc: child, status: 'waiting', offset: 0 });
    }
    return wanted;
  }

  /** Every wanted platform has a manifest, as far as the indexes tell. */
  checkPlatforms(): void {
    const { platforms, metadataOnly } = this.#opts;
    if (platforms === 'all' || metadataOnly || !isIndexType(this.#root.mediaType) || this.#untold) return;
    const found = new Set([...this.#chosen.values()].flatMap((names) => [...names]));
    const missing = platforms.map(formatPlatform).filter((name) => !found.has(name));
    if (missing.length > 0) throw noMatch(this.#opts.reference, missing, [...this.#available].sort());
  }

  async #children(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    if (!isIndexType(desc.mediaType) && !isManifestType(desc.mediaType)) return [];
    const bytes = await readBlob(this.#deps.content, desc, MAX_MANIFEST_BYTES, { signal });
    return childrenOf(bytes, desc);
  }

  /** All children are labelled, wanted or not, as containerd does; only what changes is written. */
  async #label(desc: Descriptor, children: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    const info: Info = await this.#deps.content.info(desc.digest, { signal });
    const { host, repository } = this.#opts.reference;
    const key = sourceLabelKey(host);
    const made = this.#opts.made.has(desc.digest);
    const labels: Record<string, string> = { ...(made ? convertedLabels(children) : childLabels(children)) };
    if (!made) labels[key] = appendSource(info.labels[key], repository);
    for (const [name, value] of Object.entries(labels)) {
      if (name.length + value.length > MAX_LABEL_BYTES) {
        this.#deps.report({
          type: 'warning',
          message: `Label ${name} of ${desc.digest} would be too long: left as it is`,
        });
        delete labels[name];
      } else if (info.labels[name] === value) delete labels[name];
    }
    if (Object.keys(labels).length > 0) await this.#deps.content.label(desc.digest, labels, { signal });
  }

  #filter(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    if (isIndexType(desc.mediaType)) return this.#filterIndex(desc, children);
    if (isManifestType(desc.mediaType)) return this.#filterManifest(desc, children);
    return [];
  }

  #filterIndex(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const { platforms, allMetadata, metadataOnly } = this.#opts;
    const known = children.filter((child) => this.#isKnown(child));
    const selection = selectChildren(known, platforms);
    for (const name of platformsOf(known)) this.#available.add(name);
    for (const [name, manifest] of selection.chosen) this.#choose(manifest, name);
    if (known.some((child) => child.platform === undefined)) this.#untold = true;
    if (desc.digest === this.#root.digest) this.checkPlatforms();
    return allMetadata || metadataOnly ? known : selection.follow;
  }

  /** image-spec image-index.md: what an index lists of an unknown type is no error. It is left out. */
  #isKnown(child: Descriptor): boolean {
    if (isManifestType(child.mediaType) || isIndexType(child.mediaType)) return true;
    const message = `Left out ${child.digest}: an index lists it as ${child.mediaType}, which is no manifest`;
    this.#deps.report({ type: 'warning', message });
    return false;
  }

  #choose(manifest: Descriptor, platform: string): void {
    const names = this.#chosen.get(manifest.digest) ?? new Set<string>();
    this.#chosen.set(manifest.digest, names.add(platform));
  }

  /** Layers only of manifests that are wanted; the config always (it is what metadata means). */
  #filterManifest(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const config = children.slice(0, 1);
    if (this.#opts.metadataOnly) return config;
    const names = this.#chosen.get(desc.digest);
    const isRoot = desc.digest === this.#root.digest;
    const everything = this.#opts.platforms === 'all';
    if (names === undefined && !isRoot && desc.platform !== undefined && !everything) return config;
    for (const name of names ?? []) this.#opts.onManifest?.(desc, children, name);
    if (names === undefined && desc.platform === undefined)
      this.#opts.onManifest?.(desc, children, undefined);
    return children;
  }
}

/** A document that is too large to be read is not fetched either. */
function checkSize({ mediaType, digest, size }: Descriptor): void {
  const isDocument = isManifestType(mediaType) || isIndexType(mediaType);
  const limit = isDocument ? MAX_MANIFEST_BYTES : isImageConfigType(mediaType) ? MAX_CONFIG_BYTES : size;
  if (size <= limit) return;
  throw new HawserError(
    'ResourceExhausted',
    `Cannot fetch ${digest}: it has ${size} bytes, more than the ${limit} allowed for such a document`,
  );
}

function noMatch(
  reference: Reference,
  missing: readonly string[],
  available: readonly string[],
): HawserError {
  return new HawserError(
    'NotFound',
    `Cannot pull "${reference.raw}": no match for platform ${missing.join(', ')}`,
    {
      hint:
        available.length > 0
          ? `The image has: ${available.join(', ')}. Choose with --platform`
          : 'The index lists no image for any platform',
    },
  );
}
