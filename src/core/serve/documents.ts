/** The manifests and indexes of a store: their types, what they reach, and what refers to them. */
import { Limiter } from '../async/limiter.ts';
import type { ContentStore, Info } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { ifFound, isKind } from '../errors.ts';
import { PREFIX, preferred, referrersIn } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { childrenOf, documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isBlobListType, isIndexType, isManifestType, isSchema1Type } from '../oci/media-types.ts';
import { parseReferrer } from '../oci/referrer.ts';
import { type AttachmentKind, attachmentIn, parseAttachmentTag } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Repository, Root } from './repositories.ts';

interface Document {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** A document that refers to another one, as the referrers API lists it. */
export interface Referrer {
  readonly subject: string;
  readonly descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size' | 'annotations' | 'artifactType'>;
}

type Child = Pick<Descriptor, 'mediaType' | 'digest'>;
type OnDamaged = (digest: Digest, err: unknown) => void;
type Content = Pick<ContentStore, 'info' | 'open' | 'list'>;

/** What is remembered of documents, which never change. */
const MAX_REMEMBERED = 20_000;
/** Children of documents that are remembered, about 30 MB. */
const MAX_CHILDREN = 200_000;
/** Documents in memory at once: each may have 8 MiB. */
const AT_ONCE = 4;
/** Documents that may be reached from an image: as many as a pull would take. */
const MAX_REACHED = 20_000;

export class Documents {
  readonly #content: Content;
  readonly #referrers = new Map<string, Referrer | undefined>();
  readonly #onDamaged: OnDamaged;
  /** The children of documents, by digest: they never change. */
  readonly #known = new Map<string, readonly Child[]>();
  /** Documents and children in `#known`. */
  #kept = 0;
  readonly #damaged = new Map<string, true>();
  readonly #types = new Map<string, string | undefined>();
  readonly #slots = new Limiter(AT_ONCE);
  readonly #scan = new Limiter(1);

  constructor(content: Content, onDamaged: OnDamaged) {
    this.#content = content;
    this.#onDamaged = onDamaged;
  }

  /** The media type; undefined for a blob that is no manifest and no index. DataLoss for one that is found rotten. */
  async typeOf(info: Pick<Info, 'digest' | 'size'>, call: Call): Promise<string | undefined> {
    if (this.#types.has(info.digest)) return this.#types.get(info.digest);
    const type = await this.#slots.run(call.signal, async () => (await this.#read(info, call))?.mediaType);
    remember(this.#types, info.digest, type, MAX_REMEMBERED);
    return type;
  }

  async #read(info: Pick<Info, 'digest' | 'size'>, call: Call): Promise<Document | undefined> {
    if (info.size > MAX_MANIFEST_BYTES) return undefined;
    const bytes = await readBlob(this.#content, info, MAX_MANIFEST_BYTES, call);
    const mediaType = documentType(bytes, '');
    return mediaType === undefined || !isDocument(mediaType) ? undefined : { mediaType, bytes };
  }

  /**
   * Whether one of `roots` reaches the digest, by documents that are here and by the labels that name what refers to them (signatures),
   * which are read only when no document leads there. A damaged document is told once, and reaches nothing.
   */
  async reaches(roots: readonly Root[], digest: Digest, call: Call): Promise<boolean> {
    if (roots.some((root) => root.digest === digest)) return true;
    for (const labelled of [false, true]) {
      const seen = new Set<string>();
      for (const root of roots) if (await this.#finds(root, digest, { seen, labelled }, call)) return true;
    }
    return false;
  }

  /** `seen`: documents all of whose children were looked at. `labelled`: what refers to a document counts as its child. */
  async #finds(
    root: Root,
    digest: Digest,
    { seen, labelled }: { readonly seen: Set<string>; readonly labelled: boolean },
    call: Call,
  ): Promise<boolean> {
    let reached = 0;
    const seenInPart = new Set<string>();
    for (const open: Root[] = [root]; open.length > 0 && reached < MAX_REACHED; ) {
      const next = open.pop();
      if (next === undefined || !isDocument(next.mediaType) || seen.has(next.digest)) continue;
      const looked = next.entries === undefined ? seen : seenInPart;
      if (looked.has(next.digest)) continue;
      looked.add(next.digest);
      const own = admitted(next, await this.#children(next, call));
      const children = labelled ? [...own, ...(await this.#referring(next, call))] : own;
      if (children.some((child) => child.digest === digest)) return true;
      open.push(...children.filter((child) => isDocument(child.mediaType)));
      reached += children.length;
    }
    return false;
  }

  /** None of a document that is absent or damaged, which is looked up again the next time. */
  async #children(desc: Child, call: Call): Promise<readonly Child[]> {
    const known = this.#known.get(desc.digest);
    if (known !== undefined) return known;
    const info = await ifFound(this.#content.info(desc.digest, call));
    if (info === undefined || info.size > MAX_MANIFEST_BYTES) return [];
    const { mediaType } = desc;
    try {
      const children = await this.#slots.run(call.signal, async () => {
        const bytes = await readBlob(this.#content, info, MAX_MANIFEST_BYTES, call);
        return childrenOf(bytes, { mediaType, digest: info.digest, size: info.size });
      });
      return this.#keep(desc.digest, children);
    } catch (err) {
      call.signal?.throwIfAborted();
      if (isKind(err, 'NotFound')) return [];
      if (!isKind(err, 'DataLoss', 'InvalidArgument')) throw err;
      if (!this.#damaged.has(desc.digest)) this.#onDamaged(desc.digest, err);
      remember(this.#damaged, desc.digest, true, MAX_REMEMBERED);
      return [];
    }
  }

  /** What is here of the documents that the labels of `desc` name. */
  async #referring(desc: Child, call: Call): Promise<readonly Child[]> {
    const found: Child[] = [];
    const info = await ifFound(this.#content.info(desc.digest, call));
    for (const named of info === undefined ? [] : referrersIn(info.labels)) {
      const referrer = isDigest(named) ? await ifFound(this.#content.info(named, call)) : undefined;
      const mediaType =
        referrer && (await ifFound(this.typeOf(referrer, call), 'DataLoss', 'InvalidArgument'));
      if (referrer !== undefined && mediaType !== undefined)
        found.push({ mediaType, digest: referrer.digest });
    }
    return found;
  }

  #keep(digest: Digest, descs: readonly Descriptor[]): readonly Child[] {
    const children = descs.map((desc) => ({ mediaType: desc.mediaType, digest: desc.digest }));
    this.#kept += children.length + 1;
    if (this.#kept > MAX_CHILDREN) {
      this.#known.clear();
      this.#kept = children.length + 1;
    }
    this.#known.set(digest, children);
    return children;
  }

  /**
   * What cosign would find under the tag, by the labels of what the tag is about, which an image of the repository reaches. Of several, the
   * newest that came from this repository, else the newest. Undefined for other tags.
   */
  async attachedUnder(tag: string, repository: Repository, call: Call): Promise<Digest | undefined> {
    const of = parseAttachmentTag(tag);
    if (of === undefined || !(await this.reaches(repository.roots, of.subject, call))) return undefined;
    const found: Info[] = [];
    for (const { digest } of await this.#referring({ mediaType: '', digest: of.subject }, call)) {
      const info = await ifFound(this.#content.info(digest, call));
      if (info === undefined) continue;
      // A damaged one hides none of the others.
      const reading = this.#slots.run(call.signal, () => this.#read(info, call));
      const document = await ifFound(reading, 'DataLoss');
      if (document !== undefined && kindOf(info, document) === of.kind) found.push(info);
    }
    const { host, path } = repository;
    return preferred(found, { host, repository: path })?.digest;
  }

  /** Sorted by digest. Documents that cannot be read are left out. */
  async referrersOf(subject: Digest, call: Call): Promise<Referrer[]> {
    return await this.#scan.run(call.signal, async () => {
      const found: Referrer[] = [];
      for (const info of await this.#content.list(call)) {
        const referrer = await this.#referrer(info, call);
        if (referrer?.subject === subject) found.push(referrer);
      }
      return found;
    });
  }

  async #referrer(info: Info, call: Call): Promise<Referrer | undefined> {
    if (this.#referrers.has(info.digest)) return this.#referrers.get(info.digest);
    const labels = Object.keys(info.labels);
    // Labels that the walk of a pull gives to documents only.
    if (info.size > MAX_MANIFEST_BYTES || !labels.some((key) => key.startsWith(PREFIX))) return undefined;
    let referrer: Referrer | undefined;
    try {
      referrer = referrerIn(info, await this.#read(info, call));
    } catch {
      call.signal?.throwIfAborted();
      return undefined;
    }
    remember(this.#referrers, info.digest, referrer, MAX_REMEMBERED);
    return referrer;
  }
}

/** Of an index: the entries that have come in, and indexes, as they may list such. */
function admitted({ mediaType, digest, entries }: Root, children: readonly Child[]): readonly Root[] {
  if (entries === undefined || entries.has(digest) || !isIndexType(mediaType)) return children;
  const found = children.filter((child) => entries.has(child.digest) || isIndexType(child.mediaType));
  return found.map((child) => ({ ...child, entries: entries.has(child.digest) ? undefined : entries }));
}

function kindOf({ digest, size }: Info, { bytes, mediaType }: Document): AttachmentKind | undefined {
  try {
    return attachmentIn(bytes, { mediaType, digest, size });
  } catch {
    return undefined;
  }
}

function referrerIn({ digest, size }: Info, document: Document | undefined): Referrer | undefined {
  if (document === undefined) return undefined;
  const { bytes, mediaType } = document;
  const parsed = parseReferrer(bytes, { mediaType, digest, size });
  if (parsed === undefined) return undefined;
  const { subject, artifactType, annotations } = parsed;
  const given = Object.keys(annotations).length > 0 ? { annotations } : {};
  const type = artifactType === undefined ? {} : { artifactType };
  return { subject, descriptor: { mediaType, digest, size, ...type, ...given } };
}

function isDocument(mediaType: string): boolean {
  const tests = [isManifestType, isIndexType, isBlobListType, isSchema1Type];
  return tests.some((test) => test(mediaType));
}

/** Forgets all once there are too many. */
function remember<T>(all: Map<string, T>, key: string, value: T, most: number): void {
  if (all.size >= most) all.clear();
  all.set(key, value);
}
