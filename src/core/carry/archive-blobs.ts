/** The blobs of a layout in an archive, beside those of a store: what an import can have. */
import { byteStream, streamOf } from '../async/byte-stream.ts';
import type { Info, InfoProvider, Provider } from '../content/content-store.ts';
import { hashed, readBlob } from '../content/read.ts';
import { HawserError, ifFound, isKind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_CONFIG_BYTES } from '../oci/documents.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Fetched, Fetcher, FetchRequest } from '../registry/registry.ts';
import { blobPath } from './docker-manifest.ts';
import { type Archive, type Member, readMember } from './members.ts';

/** What is in neither is NotFound; what the archive has other bytes of is DataLoss. */
export class ArchiveBlobs implements Provider, InfoProvider, Fetcher {
  readonly #archive: Archive;
  readonly #prefix: string;
  readonly #store: Provider & InfoProvider;
  readonly #hashers: Hashers;

  /** `prefix`: where in the archive the layout is. */
  constructor(archive: Archive, prefix: string, store: Provider & InfoProvider, hashers: Hashers) {
    this.#archive = archive;
    this.#prefix = prefix;
    this.#store = store;
    this.#hashers = hashers;
  }

  async info(digest: Digest, call: Call = {}): Promise<Info> {
    const stored = await ifFound(this.#store.info(digest, call));
    if (stored !== undefined) return stored;
    const { size } = await this.#listed(digest, call);
    return { digest, size, createdAt: 0, updatedAt: 0, labels: {} };
  }

  /** A document of the archive goes before that of the store, which may be damaged: an import brings it anew then. */
  async open(digest: Digest, opts: { offset?: number } & Call = {}): Promise<ReadableStream<Uint8Array>> {
    const stored = await ifFound(this.#store.info(digest, opts));
    if (stored === undefined) return await this.#archived(digest, opts);
    const member = await this.#archive.find(this.#pathOf(digest), opts);
    if (member?.type === 'file' && member.size === stored.size && member.size <= MAX_CONFIG_BYTES) {
      const desc = { digest, size: member.size };
      const provider = { open: () => this.#archived(digest, { ...opts, offset: 0 }) };
      const bytes = await ifFound(readBlob(provider, desc, MAX_CONFIG_BYTES, opts), 'DataLoss');
      if (bytes !== undefined) return streamOf(bytes.subarray(opts.offset ?? 0));
    }
    const next = pulls(await this.#store.open(digest, opts));
    if (member?.type !== 'stored' || (opts.offset ?? 0) > 0) return byteStream(next);
    const checked = hashed(next.next, digest, this.#hashers);
    return byteStream({ ...next, next: () => orElse(checked(), () => this.#damaged(digest)) });
  }

  async #archived(digest: Digest, opts: { offset?: number } & Call): Promise<ReadableStream<Uint8Array>> {
    const { offset = 0 } = opts;
    const { next, cancel } = pulls(await (await this.#member(digest, opts)).open(offset, opts));
    return byteStream({ next: offset === 0 ? hashed(next, digest, this.#hashers) : next, cancel });
  }

  /** What a stream had is in the store, and nowhere else any more. */
  #damaged(digest: Digest): HawserError {
    return new HawserError(
      'DataLoss',
      `${digest} is damaged in the store, and ${this.#archive.name} cannot be read twice`,
      {
        hint: 'Import the archive from a file that is not compressed: the blob is taken from the file anew',
      },
    );
  }

  #pathOf(digest: Digest): string {
    return `${this.#prefix}${blobPath(digest)}`;
  }

  /** Out of the archive alone. */
  async fetch(desc: Descriptor, { offset = 0, signal }: FetchRequest = {}): Promise<Fetched> {
    const member = await this.#member(desc.digest, { signal });
    if (member.size !== desc.size)
      throw new HawserError(
        'DataLoss',
        `${desc.digest} has ${member.size} bytes in ${this.#archive.name}, not ${desc.size} as its descriptor says`,
        { reason: { type: 'mismatch', expected: desc.size, actual: member.size } },
      );
    return { body: await member.open(offset, { signal }), offset };
  }

  async #member(digest: Digest, call: Call): Promise<Extract<Member, { type: 'file' }>> {
    const member = await this.#listed(digest, call);
    if (member.type === 'wrong') throw member.error;
    return member;
  }

  /** Also what turned out to be wrong: that is an error once it is read. */
  async #listed(digest: Digest, call: Call): Promise<Extract<Member, { type: 'file' | 'wrong' }>> {
    const path = this.#pathOf(digest);
    const member = await this.#archive.find(path, call);
    if (member?.type === 'file' || member?.type === 'wrong') return member;
    if (member?.type === 'stored') throw this.#damaged(digest);
    if (member !== undefined)
      throw new HawserError('InvalidArgument', `${path} of ${this.#archive.name} is no file`);
    throw new HawserError('NotFound', `${digest} is neither in ${this.#archive.name} nor in the store`);
  }
}

function pulls(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  return {
    next: async () => (await reader.read()).value,
    cancel: (reason: unknown) => reader.cancel(reason),
  };
}

async function orElse<T>(work: Promise<T>, error: () => HawserError): Promise<T> {
  try {
    return await work;
  } catch (err) {
    throw isKind(err, 'DataLoss') ? error() : err;
  }
}

/** A document of the archive that is no blob; undefined when there is none. */
export async function readArchived(
  archive: Archive,
  store: Provider,
  name: string,
  limit: number,
  call: Call,
): Promise<Uint8Array | undefined> {
  const member = await archive.find(name, call);
  if (member === undefined) return undefined;
  return await readMember(name, member, limit, (one) =>
    one.type === 'file' ? one.open(0, call) : openStored(store, one, call),
  );
}

async function openStored(store: Provider, member: Member, call: Call): Promise<ReadableStream<Uint8Array>> {
  if (member.type !== 'stored') throw new HawserError('Internal', 'A member of an archive without content');
  return await store.open(member.digest, call);
}
