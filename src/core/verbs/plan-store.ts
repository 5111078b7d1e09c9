import type { Info, InfoProvider, Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { readVerified, type StreamDeps } from '../download/stream-blob.ts';
import { HawserError, wrap } from '../errors.ts';
import { isPresent } from '../images/inspect.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_CONFIG_BYTES } from '../oci/documents.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { WalkContent } from './walk.ts';

/** A blob or document that a pull needs. */
export interface PlannedBlob {
  /** Digest, size in bytes, and type. */
  readonly desc: Descriptor;
  /** The store has it. */
  readonly present: boolean;
}

/** Most bytes of all documents of one plan together. */
const MAX_DOCUMENTS = 128 * 1024 * 1024;

function tooLarge(what: string, size: number, limit: number): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `Cannot read ${what}: ${size} bytes, more than the ${limit} allowed`,
    {
      hint: 'An honest image is far smaller: ask its publisher',
    },
  );
}

/** The store as it is, with the documents that were fetched for the plan in memory over it. */
export class PlanStore implements WalkContent {
  readonly blobs: PlannedBlob[] = [];
  readonly #store: InfoProvider & Provider;
  readonly #source: StreamDeps;
  readonly #absent = new Map<Digest, number>();
  readonly #documents = new Map<Digest, Uint8Array>();
  #held = 0;

  constructor(store: InfoProvider & Provider, source: StreamDeps) {
    this.#store = store;
    this.#source = source;
  }

  /** Takes the place of fetching a blob into the store. Of layers and configs only the size is noted. */
  readonly bring = async (desc: Descriptor, call: Call): Promise<void> => {
    const present = await isPresent(this.#store, desc.digest, call);
    this.blobs.push({ desc, present });
    if (present) return;
    this.#absent.set(desc.digest, desc.size);
    if (isManifestType(desc.mediaType) || isIndexType(desc.mediaType)) await this.document(desc, call);
  };

  /** The bytes of a manifest, index or config, from the store or (verified) from the registry. */
  readonly document = async (desc: Descriptor, call: Call): Promise<Uint8Array> => {
    if (!this.#absent.has(desc.digest)) return await readBlob(this.#store, desc, MAX_CONFIG_BYTES, call);
    const read = this.#documents.get(desc.digest) ?? (await this.#fetch(desc, call));
    this.#documents.set(desc.digest, read);
    return read;
  };

  async #fetch(desc: Descriptor, call: Call): Promise<Uint8Array> {
    if (desc.size > MAX_CONFIG_BYTES) throw tooLarge(desc.digest, desc.size, MAX_CONFIG_BYTES);
    this.#held += desc.size;
    if (this.#held > MAX_DOCUMENTS) {
      throw tooLarge('the documents of the image', this.#held, MAX_DOCUMENTS);
    }
    const bytes = new Uint8Array(desc.size);
    let filled = 0;
    const take = async (chunk: Uint8Array): Promise<void> => {
      bytes.set(chunk, filled);
      filled += chunk.length;
    };
    try {
      await readVerified(this.#source, desc, take, call);
      return bytes;
    } catch (err) {
      throw wrap(`Cannot fetch ${desc.digest}`, err);
    }
  }

  async info(digest: Digest, call?: Call): Promise<Info> {
    const size = this.#absent.get(digest);
    if (size === undefined) return await this.#store.info(digest, call);
    return { digest, size, createdAt: 0, updatedAt: 0, labels: {} };
  }

  /** Sets nothing: labels are not part of a plan. */
  async label(digest: Digest, _: unknown, call?: Call): Promise<Info> {
    return await this.info(digest, call);
  }
}
