/** Which manifests of an image are wanted, decided while its indexes and manifests are read. */
import { isArtifactEntry, isListedImage, platformNames, selectChildren } from '../images/select.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';
import { noMatch } from './no-match.ts';

/** What of an image is wanted. */
export interface Wanted {
  readonly reference: Reference;
  readonly platforms: readonly Platform[] | 'all';
  /** The user named the platforms: a root that is a manifest must be for one of them. */
  readonly named: boolean;
  readonly allMetadata: boolean;
  readonly metadataOnly: boolean;
}

/** Called for a manifest whose layers are wanted. `platform`: the one it serves; undefined for a root, whose config decides. */
export type OnManifest = (
  manifest: Descriptor,
  children: readonly Descriptor[],
  platform: string | undefined,
) => void;

/** A manifest that its index lists without a platform. */
interface Undeclared {
  readonly desc: Descriptor;
  /** Empty until the manifest has been read. */
  readonly children: readonly Descriptor[];
}

export class ManifestChoice {
  readonly #wanted: Wanted;
  readonly #root: Descriptor;
  readonly #report: Report;
  readonly #onManifest: OnManifest | undefined;
  /** Manifest digest to the wanted platforms that the manifest serves. */
  readonly #chosen = new Map<string, Set<string>>();
  /** What indexes list as images, and what their configs show to be one. */
  readonly #listed: Descriptor[] = [];
  /** Digests of manifests that turned out to be artifacts, and of indexes, whose own entries tell more. */
  readonly #noImages = new Set<string>();
  /** By digest, in the order of the index. Only their configs tell whether they are wanted. */
  readonly #undeclared = new Map<string, Undeclared>();
  /** By platform: matching manifests that were not chosen, the best first. */
  readonly #standby = new Map<string, readonly Descriptor[]>();
  /** By platform: matching artifacts, the best first: those that their entries call so, then those that turned out to be one. */
  readonly #artifacts = { said: new Map<string, Descriptor[]>(), unsaid: new Map<string, Descriptor[]>() };
  /** What may be an image, and was not followed. */
  readonly #passed: Descriptor[] = [];
  /** Children of the manifests that were read, by digest. */
  readonly #read = new Map<string, readonly Descriptor[]>();
  /** Something without a platform that is no image was fetched: enough where there is no image at all. */
  #hasUntold = false;
  /** Everything is read: what is chosen from now on keeps its platform. */
  #isSettled = false;
  /** What indexes list that is of no type of a manifest. */
  readonly #others: Descriptor[] = [];

  constructor(wanted: Wanted, root: Descriptor, report: Report, onManifest?: OnManifest) {
    this.#wanted = wanted;
    this.#root = root;
    this.#report = report;
    this.#onManifest = onManifest;
  }

  /** The children of an index that are to be fetched. */
  ofIndex(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const { platforms, allMetadata, metadataOnly } = this.#wanted;
    const known = children.filter(isDocument);
    this.#others.push(...children.filter((child) => !isDocument(child)));
    const selection = selectChildren(known, platforms);
    this.#noImages.add(desc.digest);
    this.#listed.push(...known.filter(isListedImage));
    for (const [name, candidates] of selection.candidates) this.#offer(name, candidates);
    for (const [name, found] of selection.artifacts) remember(this.#artifacts.said, name, found);
    const followed = new Set(selection.follow);
    this.#passed.push(...known.filter((child) => mayBeImage(child) && !followed.has(child)));
    const isNested = selection.follow.some(({ mediaType }) => isIndexType(mediaType));
    for (const child of known) {
      const { digest, platform } = child;
      if (platform === undefined && !this.#undeclared.has(digest))
        this.#undeclared.set(digest, { desc: child, children: [] });
    }
    if (this.#isRoot(desc) && !isNested) this.check();
    return allMetadata || metadataOnly ? known : selection.follow;
  }

  /** The children of a manifest that are to be fetched: layers only when it is wanted, the config always (as metadata). */
  ofManifest(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const config = children.slice(0, 1);
    if (this.#wanted.metadataOnly) return config;
    if (this.#isRoot(desc)) {
      this.#onManifest?.(desc, children, undefined);
      return children;
    }
    this.#read.set(desc.digest, children);
    if (!isImage(children)) {
      this.#noImages.add(desc.digest);
      if (!this.#isSettled && this.#chosen.has(desc.digest)) return this.#makeWay(desc, children);
    }
    const names = this.#chosen.get(desc.digest);
    for (const name of names ?? []) this.#onManifest?.(desc, children, name);
    const undeclared = names === undefined && desc.platform === undefined;
    if (undeclared && !this.#setAside(desc, children)) return children;
    return names !== undefined || this.#wanted.platforms === 'all' ? children : config;
  }

  /** NotFound when the user named other platforms than that of a root manifest's config. */
  async checkRoot(platformOf: () => Promise<Platform | undefined>): Promise<void> {
    const { platforms, named, metadataOnly } = this.#wanted;
    if (platforms === 'all' || !named || metadataOnly) return;
    const platform = await platformOf();
    if (platform === undefined || platforms.some((one) => only(one).match(platform))) return;
    throw noMatch(this.#wanted.reference, platforms, [platformText(platform)]);
  }

  /**
   * Once everything is read: the best of the undeclared manifests for each wanted platform that nothing serves yet, by their
   * configs. Returns the layers to fetch (none when all platforms are wanted: then they have been fetched).
   */
  async settleUndeclared(
    platformOf: (config: Descriptor) => Promise<Platform | undefined>,
  ): Promise<readonly Descriptor[]> {
    const { platforms, metadataOnly } = this.#wanted;
    this.#isSettled = true;
    const wanted = platforms === 'all' ? platforms : this.#missing();
    if (metadataOnly || wanted.length === 0 || !isIndexType(this.#root.mediaType)) return [];
    if (platforms === 'all' && this.#onManifest === undefined) return [];
    const declared: Descriptor[] = [];
    for (const { desc, children } of this.#undeclared.values()) {
      const [config] = children;
      if (config !== undefined) declared.push({ ...desc, platform: await platformOf(config) });
    }
    this.#listed.push(...declared);
    const layers: Descriptor[] = [];
    for (const [name, [best]] of selectChildren(declared, wanted).candidates) {
      const found = best === undefined ? undefined : this.#undeclared.get(best.digest);
      if (found === undefined) continue;
      const { desc, children } = found;
      this.#choose(desc, name);
      this.#onManifest?.(desc, children, name);
      layers.push(...children.slice(1));
    }
    this.#undeclared.clear();
    return platforms === 'all' ? [] : layers;
  }

  /** After `settleUndeclared`: of an index without any image, the artifacts for the wanted platforms, or their parts. */
  settleArtifacts(): readonly Descriptor[] {
    if (this.#wanted.metadataOnly || this.#hasImages()) return [];
    return this.#missing().flatMap((platform) => {
      const name = platformText(platform);
      const [best] = this.#artifactsFor(name);
      if (best === undefined) return [];
      this.#choose(best, name);
      return this.#visitOf(best, name);
    });
  }

  #artifactsFor(platform: string): readonly Descriptor[] {
    const { said, unsaid } = this.#artifacts;
    return [...(said.get(platform) ?? []), ...(unsaid.get(platform) ?? [])];
  }

  /**
   * After `settleArtifacts`: the entries of no manifest's type that are to be fetched, as an index of nothing else (BuildKit's cache) is
   * an artifact. They are left out where there is an image, and of what is to be unpacked.
   */
  settleOthers(): readonly Descriptor[] {
    if (this.#others.length === 0 || this.#wanted.metadataOnly) return [];
    if (!this.#hasImages() && this.#chosen.size === 0 && this.#onManifest === undefined) {
      this.#hasUntold = true;
      return this.#others;
    }
    for (const { digest, mediaType } of this.#others) {
      // A child of an unknown type is no error (image-spec image-index.md).
      const message = `Left out ${digest}: an index lists it as ${mediaType}, which is no manifest`;
      this.#report({ type: 'warning', message });
    }
    this.#others.length = 0;
    return [];
  }

  /** NotFound when a wanted platform has no manifest, as far as is known. An index of artifacts alone has no platforms to miss. */
  check(): void {
    if (this.#wanted.metadataOnly || !isIndexType(this.#root.mediaType)) return;
    const images = this.#images();
    const missing = this.#missing().filter(
      (one) => images.length > 0 || this.#artifactsFor(platformText(one)).length === 0,
    );
    if (missing.length === 0 || this.#undeclared.size > 0) return;
    if (images.length === 0 && (this.#hasUntold || this.#others.length > 0)) return;
    throw noMatch(this.#wanted.reference, missing, platformNames(images));
  }

  #images(): Descriptor[] {
    return this.#listed.filter(({ digest }) => !this.#noImages.has(digest));
  }

  #hasImages(): boolean {
    return this.#images().length > 0;
  }

  #isRoot({ digest }: Descriptor): boolean {
    return digest === this.#root.digest;
  }

  /** The wanted platforms that no manifest was chosen for. */
  #missing(): readonly Platform[] {
    const { platforms } = this.#wanted;
    if (platforms === 'all') return [];
    return platforms.filter((platform) => !this.#serves(platformText(platform)));
  }

  #serves(platform: string): boolean {
    return [...this.#chosen.values()].some((names) => names.has(platform));
  }

  /** Chooses the best candidate; the others stand by. An index chooses when it is read. */
  #offer(platform: string, candidates: readonly Descriptor[]): void {
    const [best, ...others] = candidates;
    if (best === undefined || isIndexType(best.mediaType) || this.#serves(platform)) return;
    this.#choose(best, platform);
    this.#standby.set(platform, others);
  }

  /**
   * A chosen manifest that is an artifact makes way for the next candidates: the result is to be visited in place of its layers, which
   * are wanted with all platforms only. Without candidates everything is read that may be an image: only where nothing is one, the
   * artifact has its platform.
   */
  #makeWay(desc: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    const names = this.#chosen.get(desc.digest) ?? [];
    this.#chosen.delete(desc.digest);
    const next = this.#wanted.platforms === 'all' ? [...children] : children.slice(0, 1);
    for (const name of names) {
      remember(this.#artifacts.unsaid, name, [desc]);
      const [candidate, ...others] = this.#standby.get(name) ?? [];
      if (candidate === undefined) {
        next.push(...this.#passed.splice(0));
        continue;
      }
      this.#standby.set(name, others);
      this.#choose(candidate, name);
      next.push(...this.#visitOf(candidate, name));
    }
    return next;
  }

  /** A candidate; its children where it has been read already. */
  #visitOf(candidate: Descriptor, platform: string): readonly Descriptor[] {
    const children = this.#read.get(candidate.digest);
    if (children === undefined) return [candidate];
    this.#onManifest?.(candidate, children, platform);
    return children;
  }

  /** The first manifest keeps a platform: an index is read before those that it lists. */
  #choose(manifest: Descriptor, platform: string): void {
    if (this.#serves(platform)) return;
    const names = this.#chosen.get(manifest.digest) ?? new Set<string>();
    this.#chosen.set(manifest.digest, names.add(platform));
  }

  /** Keeps an undeclared manifest until all are read. False for what is no image. */
  #setAside(desc: Descriptor, children: readonly Descriptor[]): boolean {
    if (!isImage(children)) {
      this.#hasUntold = true;
      return false;
    }
    this.#undeclared.set(desc.digest, { desc, children });
    this.#listed.push(desc);
    return true;
  }
}

function isImage([config]: readonly Descriptor[]): boolean {
  return mayBeImageConfig(config?.mediaType ?? '');
}

function mayBeImage(child: Descriptor): boolean {
  return child.platform === undefined ? !isArtifactEntry(child) : isListedImage(child);
}

function remember(map: Map<string, Descriptor[]>, platform: string, found: readonly Descriptor[]): void {
  map.set(platform, [...(map.get(platform) ?? []), ...found]);
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}
