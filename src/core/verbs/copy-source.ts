/** An image where it is, as the content that a push reads: nothing of it is stored, documents excepted, which stay in memory. */
import { byteStream, streamOf } from '../async/byte-stream.ts';
import type { Info, InfoProvider, Provider } from '../content/content-store.ts';
import { Link } from '../download/link.ts';
import { Served } from '../download/served.ts';
import { SplitReader } from '../download/split-reader.ts';
import { type StreamDeps, streamBlob } from '../download/stream-blob.ts';
import { HawserError, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, makeDigest } from '../oci/digest.ts';
import { childrenOf, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isDocumentType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';

/** Bytes of all documents together. */
const MAX_BYTES = 64 << 20;

/** Knows what documents have named: the root, and the children of documents that were read. */
export class CopySource implements Provider, InfoProvider {
  readonly #deps: Omit<StreamDeps, 'split'>;
  readonly #link: Link;
  readonly #known = new Map<string, Descriptor>();
  readonly #documents = new Map<string, Promise<Uint8Array>>();
  #bytes = 0;

  constructor(deps: Omit<StreamDeps, 'split'>) {
    this.#deps = deps;
    // One stream a blob: the bytes go on as they come, and none wait in memory.
    this.#link = new Link(deps.clock, { lanes: 1 });
  }

  know(...descs: readonly Descriptor[]): void {
    for (const desc of descs) if (!this.#known.has(desc.digest)) this.#known.set(desc.digest, desc);
  }

  /** Whether a document is there is asked; of blobs it shows when they are read. NotFound. */
  async info(digest: Digest, call: Call = {}): Promise<Info> {
    const desc = this.#desc(digest);
    if (isDocumentType(desc.mediaType)) await this.document(desc, call);
    return { digest, size: desc.size, createdAt: 0, updatedAt: 0, labels: {} };
  }

  async open(digest: Digest, opts: { offset?: number } & Call = {}): Promise<ReadableStream<Uint8Array>> {
    const desc = this.#desc(digest);
    if (!isDocumentType(desc.mediaType)) return this.#blob(desc, opts);
    return streamOf((await this.document(desc, opts)).subarray(opts.offset ?? 0));
  }

  /** A manifest or an index, verified; it is asked for once. */
  async document(desc: Descriptor, call: Call): Promise<Uint8Array> {
    const reading = this.#documents.get(desc.digest) ?? this.#read(desc, call);
    this.#documents.set(desc.digest, reading);
    return await reading;
  }

  async #read(desc: Descriptor, call: Call): Promise<Uint8Array> {
    this.#bytes += desc.size;
    if (desc.size > MAX_MANIFEST_BYTES || this.#bytes > MAX_BYTES)
      throw new HawserError('ResourceExhausted', `Cannot copy: the documents of the image are too large`);
    const bytes = new Uint8Array(desc.size);
    let length = 0;
    const take = async (chunk: Uint8Array): Promise<void> => {
      bytes.set(chunk, length);
      length += chunk.length;
    };
    await streamBlob(this.#deps, desc, take, call);
    this.know(...childrenOf(bytes, desc));
    return bytes;
  }

  /** Over lost connections. The end is DataLoss when the bytes have another digest. */
  #blob(desc: Descriptor, call: Call): ReadableStream<Uint8Array> {
    const { fetcher, clock, hashers, report, retry } = this.#deps;
    const algorithm = algorithmOf(desc.digest);
    const hasher = hashers.create(algorithm);
    const onRetry = (err: unknown, offset: number) =>
      report({ type: 'retry', key: desc.digest, desc, reason: messageOf(err), offset });
    const state = { served: new Served(), link: this.#link };
    const reader = new SplitReader({ fetcher, clock, retry, onRetry }, desc, 0, state, call);
    return byteStream({
      next: async () => {
        const bytes = await reader.read();
        if (bytes !== undefined) hasher.update(bytes);
        else if (makeDigest(algorithm, hasher.digest()) !== desc.digest) throw damaged(desc);
        return bytes;
      },
      close: () => reader.close(),
    });
  }

  #desc(digest: Digest): Descriptor {
    const desc = this.#known.get(digest);
    if (desc !== undefined) return desc;
    throw new HawserError('NotFound', `Cannot copy ${digest}: nothing names it`);
  }
}

function damaged({ digest }: Descriptor): HawserError {
  return new HawserError('DataLoss', `Cannot copy ${digest}: its source sends other bytes`, {
    hint: 'The source has a damaged copy of the blob, or something before it changes what it sends',
  });
}
