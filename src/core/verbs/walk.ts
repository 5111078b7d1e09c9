/** The handlers of a pull, composed: fetch, children, labels, platform filter, distribution source. */

import type { Info, InfoProvider, Manager } from '../content/content-store.ts';
import { refKey } from '../content/ref-key.ts';
import type { BlobCall } from '../download/fetch-blob.ts';
import { HawserError } from '../errors.ts';
import { dispatch } from '../images/dispatch.ts';
import { childLabels, convertedLabels, sourceLabels } from '../images/gc-labels.ts';
import { platformNames, selectChildren } from '../images/select.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { childrenOf, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseConfig } from '../oci/documents.ts';
import { isImageConfigType, isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';

/** Label key and value together (containerd's limit). */
const MAX_LABEL_BYTES = 4096;
const DEFAULT_CONCURRENCY = 6;

/** What the walk needs of a store. */
export type WalkContent = InfoProvider & Pick<Manager, 'label'>;

export interface WalkDeps {
  readonly content: WalkContent;
  /** Returns once the blob is in the store. */
  readonly bring: (desc: Descriptor, call: BlobCall) => Promise<unknown>;
  /** The bytes of a manifest, index or config that was brought. */
  readonly document: (desc: Descriptor, call: Call) => Promise<Uint8Array>;
  readonly report: Report;
}

export interface WalkOptions {
  readonly reference: Reference;
  readonly platforms: readonly Platform[] | 'all';
  /** The platforms were asked for: a manifest without an index must be for one of them. */
  readonly named: boolean;
  readonly allMetadata: boolean;
  readonly metadataOnly: boolean;
  readonly concurrency: number;
  /** Digests that do not come from the reference's repository. */
  readonly made: ReadonlySet<string>;
  readonly lease?: string | undefined;
  readonly signal: AbortSignal;
  /** A manifest whose layers are wanted has been read; `platform` is the wanted one, or undefined for a root (its config tells). */
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
  const limits = {
    signal: opts.signal,
    limit: opts.concurrency > 0 ? opts.concurrency : DEFAULT_CONCURRENCY,
  };
  await dispatch(root, (desc, call) => walk.handle(desc, call.signal), limits);
  const layers = await walk.settleUntold(opts.signal);
  walk.checkPlatforms();
  if (layers.length === 0) return;
  await dispatch(
    root,
    async (desc, call) => (desc === root ? layers : await walk.handle(desc, call.signal)),
    limits,
  );
}

interface Untold {
  readonly desc: Descriptor;
  /** None until it has been read. */
  readonly children: readonly Descriptor[];
}

class Walk {
  readonly #deps: WalkDeps;
  readonly #root: Descriptor;
  readonly #opts: WalkOptions;
  /** Manifest digest to the wanted platforms it serves. */
  readonly #chosen = new Map<string, Set<string>>();
  readonly #available = new Set<string>();
  /** By digest, what is listed without a platform, in the order of its index: its config tells whether it is wanted. */
  readonly #untold = new Map<string, Untold>();
  /** An index lists what has no platform at all: whatever it is, it is fetched. */
  #artifacts = false;
  /** Of a root that is a manifest. */
  #rootConfig: Descriptor | undefined;

  constructor(deps: WalkDeps, root: Descriptor, opts: WalkOptions) {
    this.#deps = deps;
    this.#root = root;
    this.#opts = opts;
  }

  async handle(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    const call = { signal, lease: this.#opts.lease };
    checkSize(desc);
    const labels = this.#isMade(desc) ? {} : sourceLabels(this.#opts.reference);
    await this.#deps.bring(desc, { ...call, labels });
    if (desc.digest === this.#rootConfig?.digest) await this.#checkRoot(desc, signal);
    const children = await this.#children(desc, signal);
    await this.#label(desc, children, signal);
    this.#opts.onBlob?.(desc);
    const wanted = this.#announce(this.#filter(desc, children));
    return isManifestType(desc.mediaType) ? largestFirst(wanted) : wanted;
  }

  #announce(wanted: readonly Descriptor[]): readonly Descriptor[] {
    for (const child of wanted) {
      this.#deps.report({ type: 'blob', key: refKey(child), desc: child, status: 'waiting', offset: 0 });
    }
    return wanted;
  }

  /**
   * Once all is read: of what no index tells the platform of, the best match by its config for each platform that nothing
   * serves yet. Its layers are returned, to be fetched (for all platforms they are here).
   */
  async settleUntold(signal: AbortSignal): Promise<readonly Descriptor[]> {
    const { platforms, metadataOnly, onManifest } = this.#opts;
    const wanted = platforms === 'all' ? platforms : this.#missing();
    if (metadataOnly || wanted.length === 0 || !isIndexType(this.#root.mediaType)) return [];
    if (platforms === 'all' && onManifest === undefined) return [];
    const told: Descriptor[] = [];
    for (const { desc, children } of this.#untold.values()) {
      const config = children[0];
      if (config === undefined) continue;
      const { platform } = parseConfig(await this.#deps.document(config, { signal }), config);
      told.push({ ...desc, platform });
    }
    for (const name of platformNames(told)) this.#available.add(name);
    const layers: Descriptor[] = [];
    for (const [name, { digest }] of selectChildren(told, wanted).chosen) {
      const { desc, children } = this.#untold.get(digest) as Untold;
      this.#choose(desc, name);
      onManifest?.(desc, children, name);
      layers.push(...children.slice(1));
    }
    this.#untold.clear();
    return platforms === 'all' ? [] : this.#announce(layers);
  }

  /** Every wanted platform has a manifest, as far as is known. */
  checkPlatforms(): void {
    const missing = this.#missing();
    if (this.#opts.metadataOnly || !isIndexType(this.#root.mediaType)) return;
    if (missing.length === 0 || this.#untold.size > 0 || this.#artifacts) return;
    throw this.#noMatch(missing);
  }

  /** The wanted platforms that nothing was chosen for. */
  #missing(): readonly Platform[] {
    const { platforms } = this.#opts;
    if (platforms === 'all') return [];
    return platforms.filter((platform) => !this.#serves(formatPlatform(platform)));
  }

  #serves(platform: string): boolean {
    return [...this.#chosen.values()].some((names) => names.has(platform));
  }

  async #checkRoot(config: Descriptor, signal: AbortSignal): Promise<void> {
    const { platforms, named, metadataOnly } = this.#opts;
    if (platforms === 'all' || !named || metadataOnly || !mayBeImageConfig(config.mediaType)) return;
    const { platform } = parseConfig(await this.#deps.document(config, { signal }), config);
    if (platform === undefined || platforms.some((one) => only(one).match(platform))) return;
    this.#available.add(formatPlatform(platform));
    throw this.#noMatch(platforms);
  }

  #noMatch(missing: readonly Platform[]): HawserError {
    return noMatch(this.#opts.reference, missing.map(formatPlatform), [...this.#available].sort());
  }

  async #children(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    if (!isIndexType(desc.mediaType) && !isManifestType(desc.mediaType)) return [];
    return childrenOf(await this.#deps.document(desc, { signal }), desc);
  }

  #isMade({ digest }: Descriptor): boolean {
    return this.#opts.made.has(digest);
  }

  /** All children are labelled, wanted or not, as containerd does; only what changes is written. */
  async #label(desc: Descriptor, children: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    const info: Info = await this.#deps.content.info(desc.digest, { signal });
    const labels: Record<string, string> = this.#isMade(desc)
      ? { ...convertedLabels(children) }
      : { ...childLabels(children), ...sourceLabels(this.#opts.reference, info.labels) };
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
    for (const name of platformNames(known)) this.#available.add(name);
    for (const [name, manifest] of selection.chosen) this.#choose(manifest, name);
    for (const child of known) {
      const { digest, platform } = child;
      if (platform === undefined && !this.#untold.has(digest))
        this.#untold.set(digest, { desc: child, children: [] });
    }
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

  /** The first keeps a platform: an index is read before those that it lists. */
  #choose(manifest: Descriptor, platform: string): void {
    if (this.#serves(platform)) return;
    const names = this.#chosen.get(manifest.digest) ?? new Set<string>();
    this.#chosen.set(manifest.digest, names.add(platform));
  }

  /** Layers only of manifests that are wanted; the config always (it is what metadata means). */
  #filterManifest(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const config = children.slice(0, 1);
    if (this.#opts.metadataOnly) return config;
    if (desc.digest === this.#root.digest) {
      this.#rootConfig = config[0];
      this.#opts.onManifest?.(desc, children, undefined);
      return children;
    }
    const names = this.#chosen.get(desc.digest);
    for (const name of names ?? []) this.#opts.onManifest?.(desc, children, name);
    const untold = names === undefined && desc.platform === undefined;
    if (untold && !this.#setAside(desc, children)) return children;
    return names !== undefined || this.#opts.platforms === 'all' ? children : config;
  }

  /** To be settled when all is read. False for what is no image. */
  #setAside(desc: Descriptor, children: readonly Descriptor[]): boolean {
    const isImage = mayBeImageConfig(children[0]?.mediaType ?? '');
    if (isImage) this.#untold.set(desc.digest, { desc, children });
    else this.#artifacts = true;
    return isImage;
  }
}

/** The config, without which nothing can be unpacked, then the layers: what takes longest is not to be begun last. */
function largestFirst([config, ...layers]: readonly Descriptor[]): readonly Descriptor[] {
  return config === undefined ? [] : [config, ...layers.sort((a, b) => b.size - a.size)];
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
