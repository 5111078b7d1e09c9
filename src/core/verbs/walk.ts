/** The handlers of a pull, composed: fetch, children, labels, platform filter, distribution source. */
import { Limiter } from '../async/limiter.ts';
import { blobKey } from '../content/blob-key.ts';
import type { InfoProvider, Manager } from '../content/content-store.ts';
import type { Doubts } from '../download/doubts.ts';
import type { BlobCall } from '../download/fetch-blob.ts';
import { HawserError } from '../errors.ts';
import { type Claims, claim, type DispatchOptions, dispatch } from '../images/dispatch.ts';
import { admittedLabels, convertedLabels, sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { childrenOf, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseConfig } from '../oci/documents.ts';
import {
  isBlobListType,
  isDocumentType,
  isImageConfigType,
  isIndexType,
  isManifestType,
  mayBeImageConfig,
} from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import { type Choice, type ChoiceOptions, chooseManifests } from './choose-manifests.ts';
import { labelContent } from './label-content.ts';
import { ManifestChoice } from './manifest-choice.ts';
import type { OnManifest, Wanted } from './wanted.ts';

export const DEFAULT_CONCURRENCY = 6;

/** What the walk needs of a store. */
export type WalkContent = InfoProvider & Pick<Manager, 'label'>;

export interface WalkDeps {
  readonly content: WalkContent;
  /** Returns once the blob is in the store. `new`: its labels are those of the call. */
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
  const { platforms, metadataOnly } = options;
  if (!isDocumentType(root.mediaType)) {
    const message = `${root.digest} is of an unknown type (${root.mediaType}): what it may refer to is not fetched`;
    deps.report({ type: 'warning', message });
  }
  const walk = new Walk(deps, root, options, call);
  if (platforms === 'all' || metadataOnly || !isIndexType(root.mediaType)) await walk.everything();
  else await walk.platforms(platforms);
}

class Walk {
  readonly #deps: WalkDeps;
  readonly #root: Descriptor;
  readonly #options: WalkOptions;
  readonly #call: WalkCall;
  readonly #choice: ManifestChoice;
  readonly #limits: DispatchOptions & { readonly signal: AbortSignal };
  /** Of a root that is a manifest. */
  #rootConfig: Descriptor | undefined;
  /** By digest: documents that were brought for the choice, or are on their way, with their children. */
  readonly #brought = new Map<string, Promise<readonly Descriptor[]>>();
  readonly #claimed: Claims = new Map();
  /** Digests below the entries that may come in: whoever vouches for an index vouches for what it lists. */
  readonly #vouched = new Set<string>();

  constructor(deps: WalkDeps, root: Descriptor, options: WalkOptions, call: WalkCall) {
    this.#deps = deps;
    this.#root = root;
    this.#options = options;
    this.#call = call;
    this.#choice = new ManifestChoice(options, root, call.onManifest);
    this.#limits = { signal: call.signal, limit: options.concurrency || DEFAULT_CONCURRENCY };
  }

  /** Follows all children. */
  async everything(): Promise<void> {
    const { signal } = this.#limits;
    await dispatch(this.#root, async (desc, { signal }) => await this.#visit(desc, signal), this.#limits);
    await this.#choice.settleUndeclared((config) => this.#platformOf(config, signal));
    const { others, areWanted } = this.#choice.others();
    if (areWanted) await this.#rest(others, () => []);
    else this.#leaveOut(others);
  }

  /** Reads what decides which manifests are for `platforms`; then brings these. */
  async platforms(platforms: readonly Platform[]): Promise<void> {
    const { onManifest } = this.#call;
    const { reference, allMetadata, entries } = this.#options;
    const leaveOut = (others: readonly Descriptor[]) => this.#leaveOut(others);
    const choice = await this.#choose({ reference, platforms, unpacks: onManifest !== undefined, leaveOut });
    const manifests = new Map<string, readonly Descriptor[]>();
    for (const [place, { platform, found }] of choice.chosen.entries()) {
      const children = await this.#bring(found.desc, this.#limits.signal);
      manifests.set(found.desc.digest, children);
      onManifest?.(found.desc, children, platform, place);
    }
    for (const desc of choice.artifacts) {
      manifests.set(desc.digest, await this.#bring(desc, this.#limits.signal));
    }
    const parts = [...manifests.values()].flatMap(largestFirst);
    const mayCome = ({ digest }: Descriptor) => entries === undefined || entries.has(digest);
    const listed = allMetadata ? await this.#bring(this.#root, this.#limits.signal) : [];
    const metadata = listed.filter((desc) => isKnown(desc) && mayCome(desc));
    this.#leaveOut(choice.others.filter((desc) => !mayCome(desc)));
    await this.#rest([...parts, ...choice.others.filter(mayCome), ...metadata], metadataOf);
  }

  async #choose(options: ChoiceOptions): Promise<Choice> {
    const { signal, limit } = this.#limits;
    const limiter = new Limiter(limit);
    // What was begun serves all searches: only the wait for a slot ends with one of them.
    const read = async (desc: Descriptor, call: Call): Promise<Uint8Array> => {
      await limiter.run(call.signal, async () => {
        if (desc !== this.#root && !this.#brought.has(desc.digest)) await this.#announce([desc], signal);
        await this.#bring(desc, signal);
      });
      return await this.#deps.document(desc, call);
    };
    return await chooseManifests(read, this.#root, options, { signal });
  }

  /** Brings blobs, and those below them that `next` names, beside what was brought. */
  async #rest(blobs: readonly Descriptor[], next: typeof metadataOf): Promise<void> {
    if (blobs.length === 0) return;
    const announce = async (found: readonly Descriptor[], signal: AbortSignal) =>
      await this.#announce(
        found.filter(({ digest }) => !this.#brought.has(digest)),
        signal,
      );
    await announce(blobs, this.#limits.signal);
    const handler = async (desc: Descriptor, { signal }: { signal: AbortSignal }) => {
      if (desc === this.#root) return blobs;
      const children = next(desc, await this.#bring(desc, signal));
      await announce(children, signal);
      return children;
    };
    await dispatch(this.#root, handler, this.#limits);
  }

  #leaveOut(others: readonly Descriptor[]): void {
    for (const { digest, mediaType } of others) {
      // A child of an unknown type is no error (image-spec image-index.md).
      const message = `Left out ${digest}: an index lists it as ${mediaType}, which is no manifest`;
      this.#deps.report({ type: 'warning', message });
    }
  }

  /** Brings one blob, and returns the children to visit. */
  async #visit(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    const wanted = this.#wantedOf(desc, await this.#bringNew(desc, signal));
    await this.#announce(wanted, signal);
    return wanted;
  }

  /** Brings a blob once; its children. */
  #bring(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    claim(this.#claimed, desc, 0);
    const children = this.#brought.get(desc.digest) ?? this.#bringNew(desc, signal);
    this.#brought.set(desc.digest, children);
    return children;
  }

  /** Brings one blob and labels it; its children. */
  async #bringNew(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    checkSize(desc);
    const labels = this.#isGenerated(desc) ? {} : sourceLabels(this.#options.reference);
    const doubts = this.#call.doubts?.(desc);
    const brought = await this.#deps.bring(desc, { signal, lease: this.#call.lease, labels, doubts });
    if (desc.digest === this.#rootConfig?.digest && mayBeImageConfig(desc.mediaType)) {
      await this.#choice.checkRoot(() => this.#platformOf(desc, signal));
    }
    const children = await this.#children(desc, signal);
    if (brought !== 'new' || children.length > 0) await this.#label(desc, children, signal);
    this.#call.onBlob?.(desc);
    return children;
  }

  async #announce(blobs: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    if (blobs.length > 0) await this.#call.beforeFetch?.(blobs, { signal });
    for (const desc of blobs) {
      this.#deps.report({ type: 'blob', key: blobKey(desc), desc, status: 'waiting', offset: 0 });
    }
  }

  async #platformOf(config: Descriptor, signal: AbortSignal): Promise<Platform | undefined> {
    return parseConfig(await this.#deps.document(config, { signal }), config).platform;
  }

  #wantedOf(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    if (isIndexType(desc.mediaType)) return this.#choice.ofIndex(desc, this.#admittedOf(desc, children));
    if (isBlobListType(desc.mediaType)) return children;
    if (!isManifestType(desc.mediaType)) return [];
    if (desc.digest === this.#root.digest) this.#rootConfig = children[0];
    return largestFirst(this.#choice.ofManifest(desc, children));
  }

  #admittedOf(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    return isIndexType(desc.mediaType) ? this.#admitted(desc, children) : children;
  }

  /** Of an index that nobody vouches for: the entries that may come in, and indexes, as they may list such. */
  #admitted({ digest }: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const { entries } = this.#options;
    if (entries === undefined) return children;
    if (entries.has(digest) || this.#vouched.has(digest)) {
      for (const child of children) this.#vouched.add(child.digest);
      return children;
    }
    return children.filter((child) => entries.has(child.digest) || isIndexType(child.mediaType));
  }

  async #children(desc: Descriptor, signal: AbortSignal): Promise<readonly Descriptor[]> {
    if (!isDocumentType(desc.mediaType)) return [];
    return childrenOf(await this.#deps.document(desc, { signal }), desc);
  }

  #isGenerated({ digest }: Descriptor): boolean {
    return this.#options.generated.has(digest);
  }

  /** Labels all children that may come in, wanted or not, as containerd does; only what changes is written. */
  async #label(desc: Descriptor, children: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    const info = await this.#deps.content.info(desc.digest, { signal });
    const labels = this.#isGenerated(desc)
      ? convertedLabels(children)
      : {
          ...admittedLabels(children, this.#admittedOf(desc, children), info.labels),
          ...sourceLabels(this.#options.reference, info.labels),
        };
    const { content, report } = this.#deps;
    await labelContent(content, info, labels, report, { signal });
  }
}

/** The config, without which nothing can be unpacked, then the layers: the one that takes longest is begun first. */
function largestFirst([config, ...layers]: readonly Descriptor[]): readonly Descriptor[] {
  return config === undefined ? [] : [config, ...layers.sort((a, b) => b.size - a.size)];
}

function isKnown({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

/** The documents below a document. */
function metadataOf({ mediaType }: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
  if (isIndexType(mediaType)) return children.filter(isKnown);
  if (isManifestType(mediaType)) return children.slice(0, 1);
  return children;
}

/** A document that is too large to be read is not fetched either. */
function checkSize({ mediaType, digest, size }: Descriptor): void {
  const limit = isDocumentType(mediaType)
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
