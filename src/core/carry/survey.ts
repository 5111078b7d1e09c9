/** What of an image is in a store: its documents read and verified, its layers looked up. */
import type { InfoProvider, Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import { MAX_DEPTH, MAX_NODES } from '../images/dispatch.ts';
import { readDocument } from '../images/find-manifest.ts';
import { isPresent } from '../images/inspect.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { childrenOf, type Manifest, parseIndex, parseManifest } from '../oci/documents.ts';
import { isBlobListType, isIndexType, isManifestType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';

/** A part of an image that is here, or is not. */
export type Part =
  | {
      readonly type: 'index';
      readonly desc: Descriptor;
      readonly bytes: Uint8Array;
      readonly parts: readonly Part[];
    }
  | {
      readonly type: 'manifest';
      readonly desc: Descriptor;
      readonly manifest: Manifest;
      /** Of its config and layers. */
      readonly missing: readonly Descriptor[];
    }
  /** A document that lists blobs and has no config, or something of an unknown type. `blobs`: what it lists. */
  | {
      readonly type: 'other';
      readonly desc: Descriptor;
      readonly blobs: readonly Descriptor[];
      readonly missing: readonly Descriptor[];
    }
  | { readonly type: 'absent'; readonly desc: Descriptor };

export type Leaf = Exclude<Part, { type: 'index' }>;

type Store = Provider & InfoProvider;

interface SurveyOptions extends Call {
  readonly documentsOnly?: boolean;
}

/** Bytes of the documents of one image that are read and kept. */
const MAX_BYTES = 64 << 20;

/** What one image has come to. */
interface Count {
  readonly seen: Set<string>;
  bytes: number;
}

/**
 * Each digest is read once, however many images and indexes list it. InvalidArgument for an image nested too deep, of too many parts, or
 * whose documents are too large together.
 */
export class Survey {
  readonly #store: Store;
  readonly #call: Call;
  readonly #documentsOnly: boolean;
  readonly #parts = new Map<string, Promise<Part>>();
  readonly #here = new Map<string, Promise<boolean>>();

  /** `documentsOnly`: configs and layers are not looked up, and count as there. */
  constructor(store: Store, { documentsOnly = false, ...call }: SurveyOptions) {
    this.#store = store;
    this.#call = call;
    this.#documentsOnly = documentsOnly;
  }

  /** The part that the root `desc` of an image names, with the descriptor as it was given. */
  async look(desc: Descriptor): Promise<Part> {
    return await this.#visit(desc, { seen: new Set(), bytes: 0 }, 0);
  }

  async #visit(desc: Descriptor, count: Count, depth: number): Promise<Part> {
    this.#call.signal?.throwIfAborted();
    if (depth > MAX_DEPTH) throw refuse(desc, `it is nested more than ${MAX_DEPTH} levels deep`);
    count.seen.add(desc.digest);
    if (count.seen.size > MAX_NODES) throw refuse(desc, `the image has more than ${MAX_NODES} parts`);
    const part = this.#parts.get(desc.digest) ?? this.#read(desc, count, depth);
    this.#parts.set(desc.digest, part);
    return { ...(await part), desc };
  }

  async #read(desc: Descriptor, count: Count, depth: number): Promise<Part> {
    if (!(await this.#isHere(desc))) return { type: 'absent', desc };
    if (isManifestType(desc.mediaType)) {
      const manifest = parseManifest(await this.#document(desc, count), desc);
      const missing = await this.#missing([manifest.config, ...manifest.layers]);
      return { type: 'manifest', desc, manifest, missing };
    }
    if (isIndexType(desc.mediaType)) {
      const bytes = await this.#document(desc, count);
      const parts: Part[] = [];
      for (const child of parseIndex(bytes, desc).manifests)
        parts.push(await this.#visit(child, count, depth + 1));
      return { type: 'index', desc, bytes, parts };
    }
    if (!isBlobListType(desc.mediaType)) return { type: 'other', desc, blobs: [], missing: [] };
    const blobs = childrenOf(await this.#document(desc, count), desc);
    return { type: 'other', desc, blobs, missing: await this.#missing(blobs) };
  }

  async #document(desc: Descriptor, count: Count): Promise<Uint8Array> {
    count.bytes += desc.size;
    if (count.bytes > MAX_BYTES)
      throw refuse(desc, `the documents of the image have more than ${MAX_BYTES} bytes together`);
    return await readDocument(this.#store, desc, this.#call);
  }

  async #missing(blobs: readonly Descriptor[]): Promise<Descriptor[]> {
    const missing: Descriptor[] = [];
    if (this.#documentsOnly) return missing;
    for (const blob of blobs) if (!(await this.#isHere(blob))) missing.push(blob);
    return missing;
  }

  #isHere({ digest }: Descriptor): Promise<boolean> {
    const here = this.#here.get(digest) ?? isPresent(this.#store, digest, this.#call);
    this.#here.set(digest, here);
    return here;
  }
}

/** What is no index, in order, each digest once. */
export function leavesOf(root: Part): Leaf[] {
  const leaves: Leaf[] = [];
  const seen = new Set<string>();
  const visit = (part: Part): void => {
    if (seen.has(part.desc.digest)) return;
    seen.add(part.desc.digest);
    if (part.type === 'index') part.parts.forEach(visit);
    else leaves.push(part);
  };
  visit(root);
  return leaves;
}

export function isWhole(leaf: Leaf): boolean {
  return leaf.type !== 'absent' && leaf.missing.length === 0;
}

function refuse({ digest }: Descriptor, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot read the image at ${digest}: ${why}`, {
    hint: 'The image is malformed or hostile; ask its publisher',
  });
}
