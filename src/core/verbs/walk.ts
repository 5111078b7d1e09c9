/** The handlers of a pull, composed: fetch, children, labels, platform filter, distribution source. */
import type { Info, InfoProvider, Manager } from '../content/content-store.ts';
import { MAX_LABEL_BYTES } from '../content/labels.ts';
import { refKey } from '../content/ref-key.ts';
import type { Doubts } from '../download/doubts.ts';
import type { BlobCall } from '../download/fetch-blob.ts';
import { HawserError } from '../errors.ts';
import { dispatch } from '../images/dispatch.ts';
import { childLabels, convertedLabels, sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { childrenOf, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseConfig } from '../oci/documents.ts';
import {
  isBlobListType,
  isImageConfigType,
  isIndexType,
  isManifestType,
  mayBeImageConfig,
} from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import { ManifestChoice, type OnManifest, type Wanted } from './manifest-choice.ts';

export const DEFAULT_CONCURRENCY = 6;

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

export interface WalkOptions extends Wanted {
  /** Handlers at work at once; 0: the default. */
  readonly concurrency: number;
  /** Digests of documents that a conversion wrote: they do not come from the reference's repository. */
  readonly generated: ReadonlySet<string>;
}

export interface WalkHooks {
  readonly onManifest?: OnManifest;
  /** A blob is in the store. */
  readonly onBlob?: (desc: Descriptor) => void;
  /** Called with blobs that are about to be fetched. */
  readonly beforeFetch?: (blobs: readonly Descriptor[], call: Call) => Promise<void>;
  /** By which a reader of the arriving blob says that its bytes are wrong. */
  readonly doubts?: (desc: Descriptor) => Doubts;
}

export type WalkCall = { readonly lease?: string | undefined; readonly signal: AbortSignal } & WalkHooks;

/** Fetches everything wanted below `root`. NotFound when the index lacks a wanted platform, naming those it has. */
export async function walkImage(
  deps: WalkDeps,
  root: Descriptor,
  options: WalkOptions,
  call: WalkCall,
): Promise<void> {
  const { signal } = call;
  const choice = new ManifestChoice(options, root, deps.report, call.onManifest);
  const walk = new Walk(deps, root, options, call, choice);
  const limits = { signal, limit: options.concurrency > 0 ? options.concurrency : DEFAULT_CONCURRENCY };
  if (!isDocument(root)) {
    const message = `${root.digest} is of an unknown type (${root.mediaType}): what it may refer to is not fetched`;
    deps.report({ type: 'warning', message });
  }
  await dispatch(root, (desc, { signal }) => walk.visit(desc, signal), limits);
  const layers = await choice.settleUndeclared((config) => walk.platformOf(config, signal));
  const others = [...layers, ...choice.settleArtifacts(), ...choice.settleOthers()];
  choice.check();
  if (others.length === 0) return;
  await walk.announce(others, signal);
  const rest = async (desc: Descriptor, { signal }: { signal: AbortSignal }) =>
    desc === root ? others : await walk.visit(desc, signal);
  await dispatch(root, rest, limits);
}

class Walk {
  readonly #deps: WalkDeps;
  readonly #root: Descriptor;
  readonly #options: WalkOptions;
  readonly #call: WalkCall;
  readonly #choice: ManifestChoice;
  /** Of a root that is a manifest. */
  #rootConfig: Descriptor | undefined;

  constructor(
    deps: WalkDeps,
    root: Descriptor,
    options: WalkOptions,
    call: WalkCall,
    choice: ManifestChoice,
  ) {
    this.#deps = deps;
    this.#root = root;
    this.#options = options;
    this.#call = call;
    this.#choice = choice;
  }

  /** Brings one blob, labels it, and returns the children to visit. */
  async visit(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    checkSize(desc);
    const labels = this.#isGenerated(desc) ? {} : sourceLabels(this.#options.reference);
    const doubts = this.#call.doubts?.(desc);
    await this.#deps.bring(desc, { signal, lease: this.#call.lease, labels, doubts });
    if (desc.digest === this.#rootConfig?.digest && mayBeImageConfig(desc.mediaType)) {
      await this.#choice.checkRoot(() => this.platformOf(desc, signal));
    }
    const children = await this.#children(desc, signal);
    await this.#label(desc, children, signal);
    this.#call.onBlob?.(desc);
    const wanted = this.#wantedOf(desc, children);
    await this.announce(wanted, signal);
    return wanted;
  }

  async announce(blobs: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    if (blobs.length > 0) await this.#call.beforeFetch?.(blobs, { signal });
    for (const desc of blobs) {
      this.#deps.report({ type: 'blob', key: refKey(desc), desc, status: 'waiting', offset: 0 });
    }
  }

  async platformOf(config: Descriptor, signal: AbortSignal): Promise<Platform | undefined> {
    return parseConfig(await this.#deps.document(config, { signal }), config).platform;
  }

  #wantedOf(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    if (isIndexType(desc.mediaType)) return this.#choice.ofIndex(desc, children);
    if (isBlobListType(desc.mediaType)) return children;
    if (!isManifestType(desc.mediaType)) return [];
    if (desc.digest === this.#root.digest) this.#rootConfig = children[0];
    return largestFirst(this.#choice.ofManifest(desc, children));
  }

  async #children(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    if (!isDocument(desc)) return [];
    return childrenOf(await this.#deps.document(desc, { signal }), desc);
  }

  #isGenerated({ digest }: Descriptor): boolean {
    return this.#options.generated.has(digest);
  }

  /** Labels all children, wanted or not, as containerd does; only what changes is written. */
  async #label(desc: Descriptor, children: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    const info: Info = await this.#deps.content.info(desc.digest, { signal });
    const labels: Record<string, string> = this.#isGenerated(desc)
      ? { ...convertedLabels(children) }
      : { ...childLabels(children), ...sourceLabels(this.#options.reference, info.labels) };
    for (const [name, value] of Object.entries(labels)) {
      if (name.length + value.length > MAX_LABEL_BYTES) {
        const message = `Label ${name} of ${desc.digest} would be too long: left as it is`;
        this.#deps.report({ type: 'warning', message });
        delete labels[name];
      } else if (info.labels[name] === value) delete labels[name];
    }
    if (Object.keys(labels).length > 0) await this.#deps.content.label(desc.digest, labels, { signal });
  }
}

/** The config, without which nothing can be unpacked, then the layers: the one that takes longest is begun first. */
function largestFirst([config, ...layers]: readonly Descriptor[]): readonly Descriptor[] {
  return config === undefined ? [] : [config, ...layers.sort((a, b) => b.size - a.size)];
}

function isDocument({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType) || isBlobListType(mediaType);
}

/** A document that is too large to be read is not fetched either. */
function checkSize({ mediaType, digest, size }: Descriptor): void {
  const limit = isDocument({ mediaType })
    ? MAX_MANIFEST_BYTES
    : isImageConfigType(mediaType)
      ? MAX_CONFIG_BYTES
      : size;
  if (size <= limit) return;
  throw new HawserError(
    'ResourceExhausted',
    `Cannot fetch ${digest}: it has ${size} bytes, more than the ${limit} allowed for such a document`,
  );
}
