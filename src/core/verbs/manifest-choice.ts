/** What is followed where everything is wanted: all platforms, all metadata, or a root that is no index. */
import { isListedImage, runnable } from '../images/select.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import { noMatch } from './no-match.ts';
import type { OnManifest, Wanted } from './wanted.ts';

/** A manifest that its index lists without a platform. */
interface Undeclared {
  readonly desc: Descriptor;
  readonly children: readonly Descriptor[];
}

export class ManifestChoice {
  readonly #wanted: Wanted;
  readonly #root: Descriptor;
  readonly #onManifest: OnManifest | undefined;
  /** Platform to the digest of the manifest that serves it. */
  readonly #chosen = new Map<string, string>();
  /** By platform: manifests that were not chosen, the best first. */
  readonly #standby = new Map<string, readonly Descriptor[]>();
  /** Where each child stands: those of an index side by side, then those of the indexes that it lists, one after another. */
  readonly #places = new Map<string, number>();
  /** Indexes whose turn has not come, in order: documents arrive in any order, and that must not decide. */
  readonly #turns: string[];
  /** By digest: children of indexes that were read ahead of their turn. */
  readonly #early = new Map<string, readonly Descriptor[]>();
  /** Images whose configs tell their platforms. */
  readonly #undeclared: Undeclared[] = [];
  /** Children of the manifests that were read, by digest. */
  readonly #read = new Map<string, readonly Descriptor[]>();
  /** What indexes list that is of no type of a manifest. */
  readonly #others: Descriptor[] = [];
  #hasImages = false;

  constructor(wanted: Wanted, root: Descriptor, onManifest?: OnManifest) {
    this.#wanted = wanted;
    this.#root = root;
    this.#onManifest = onManifest;
    this.#turns = [root.digest];
  }

  /** The children of an index that are to be fetched. */
  ofIndex({ digest }: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    this.#early.set(digest, children);
    for (let next = this.#nextTurn(); next !== undefined; next = this.#nextTurn()) this.#settle(next);
    return children.filter(isDocument);
  }

  /** The children of the index whose turn it is; undefined while that index has not been read. */
  #nextTurn(): readonly Descriptor[] | undefined {
    const [digest = ''] = this.#turns;
    const children = this.#early.get(digest);
    if (children === undefined) return undefined;
    this.#turns.shift();
    this.#early.delete(digest);
    const nested = children.filter(
      (child) => isIndexType(child.mediaType) && !this.#places.has(child.digest),
    );
    this.#turns.unshift(...new Set(nested.map((child) => child.digest)));
    return children;
  }

  #settle(children: readonly Descriptor[]): void {
    const known = children.filter(isDocument);
    for (const { digest } of known)
      if (!this.#places.has(digest)) this.#places.set(digest, this.#places.size);
    this.#others.push(...children.filter((child) => !isDocument(child)));
    for (const [platform, [best, ...others]] of runnable(known)) {
      this.#hasImages = true;
      if (best === undefined || this.#chosen.has(platform)) continue;
      this.#chosen.set(platform, best.digest);
      this.#standby.set(platform, others);
      const read = this.#read.get(best.digest);
      if (read !== undefined) this.#take(platform, best, read);
    }
    this.#hasImages ||= known.some(isListedImage);
  }

  /** The children of a manifest that are to be fetched: layers only when it is wanted, the config always (as metadata). */
  ofManifest(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    if (this.#wanted.metadataOnly) return children.slice(0, 1);
    if (desc.digest === this.#root.digest) {
      this.#onManifest?.(desc, children, undefined, 0);
      return children;
    }
    this.#read.set(desc.digest, children);
    for (const [platform, digest] of this.#chosen) {
      if (digest === desc.digest) this.#take(platform, desc, children);
    }
    if (desc.platform === undefined && isImage(children)) {
      this.#hasImages = true;
      this.#undeclared.push({ desc, children });
    }
    return children;
  }

  /** An artifact makes way for the next manifest of its platform, which may have been read already. */
  #take(platform: string, desc: Descriptor, children: readonly Descriptor[]): void {
    const [next, ...others] = this.#standby.get(platform) ?? [];
    if (isImage(children) || next === undefined) {
      this.#onManifest?.(desc, children, platform, this.#placeOf(desc));
      return;
    }
    this.#standby.set(platform, others);
    this.#chosen.set(platform, next.digest);
    const known = this.#read.get(next.digest);
    if (known !== undefined) this.#take(platform, next, known);
  }

  /** NotFound when the user named other platforms than that of a root manifest's config. */
  async checkRoot(platformOf: () => Promise<Platform | undefined>): Promise<void> {
    const { platforms, named, metadataOnly } = this.#wanted;
    if (platforms === 'all' || !named || metadataOnly) return;
    const platform = await platformOf();
    if (platform === undefined || platforms.some((one) => only(one).match(platform))) return;
    throw noMatch(this.#wanted.reference, platforms, [platformText(platform)]);
  }

  /** Once everything is read: the undeclared images of platforms that nothing serves yet, by their configs. */
  async settleUndeclared(platformOf: (config: Descriptor) => Promise<Platform | undefined>): Promise<void> {
    if (this.#onManifest === undefined || this.#wanted.metadataOnly) return;
    // Manifests come in any order; the first of the index is taken.
    for (const { desc, children } of this.#undeclared.sort(
      (a, b) => this.#placeOf(a.desc) - this.#placeOf(b.desc),
    )) {
      const [config] = children;
      if (config === undefined) continue;
      for (const platform of runnable([{ ...desc, platform: await platformOf(config) }]).keys()) {
        if (this.#chosen.has(platform)) continue;
        this.#chosen.set(platform, desc.digest);
        this.#onManifest(desc, children, platform, this.#placeOf(desc));
      }
    }
  }

  #placeOf({ digest }: Descriptor): number {
    return this.#places.get(digest) ?? 0;
  }

  /**
   * After `settleUndeclared`: the entries of no manifest's type. They are to be fetched where there is nothing else, as an index of
   * nothing else (BuildKit's cache) is an artifact, and not of what is to be unpacked.
   */
  others(): { readonly others: readonly Descriptor[]; readonly areWanted: boolean } {
    if (this.#wanted.metadataOnly) return { others: [], areWanted: false };
    const areWanted = !this.#hasImages && this.#chosen.size === 0 && this.#onManifest === undefined;
    return { others: this.#others, areWanted };
  }
}

function isImage([config]: readonly Descriptor[]): boolean {
  return mayBeImageConfig(config?.mediaType ?? '');
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}
