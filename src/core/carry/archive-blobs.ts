/** The blobs of a layout in an archive, beside those of a store: what an import can have. */
import { byteStream, firstOf, streamOf } from '../async/byte-stream.ts';
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

type Blob = Extract<Member, { type: 'file' | 'wrong' }>;

/** The blobs of a layout in an archive, alone. What has another size than its descriptor says is DataLoss. */
export class LayoutFetcher implements Fetcher {
  protected readonly archive: Archive;
  readonly #prefix: string;
  readonly #hashers: Hashers;

  /** `prefix`: where in the archive the layout is. */
  constructor(archive: Archive, prefix: string, hashers: Hashers) {
    this.archive = archive;
    this.#prefix = prefix;
    this.#hashers = hashers;
  }

  /** NotFound and DataLoss as `fetch`, without the bytes. */
  async require({ digest, size: expected }: Descriptor, call: Call): Promise<void> {
    const { size } = await this.listed(digest, call);
    if (size === expected) return;
    throw new HawserError(
      'DataLoss',
      `${digest} has ${size} bytes in ${this.archive.name}, not ${expected} as its descriptor says`,
      { reason: { type: 'mismatch', expected, actual: size } },
    );
  }

  async fetch(desc: Descriptor, { offset = 0, end, signal }: FetchRequest = {}): Promise<Fetched> {
    await this.require(desc, { signal });
    const body = await this.openMember(desc.digest, { offset, signal });
    return { body: end === undefined ? body : firstOf(body, end - offset), offset };
  }

  /** Verified at its end when read from its start: DataLoss. */
  async read(
    digest: Digest,
    opts: { readonly offset?: number | undefined } & Call,
  ): Promise<ReadableStream<Uint8Array>> {
    const { next, cancel } = pulls(await this.openMember(digest, opts));
    if ((opts.offset ?? 0) > 0) return byteStream({ next, cancel });
    const rotten = () => otherBytes(digest, this.archive);
    return byteStream({ next: hashed(next, digest, this.#hashers, rotten), cancel });
  }

  protected pathOf(digest: Digest): string {
    return `${this.#prefix}${blobPath(digest)}`;
  }

  protected async openMember(
    digest: Digest,
    { offset = 0, signal }: { readonly offset?: number | undefined } & Call,
  ): Promise<ReadableStream<Uint8Array>> {
    const member = await this.listed(digest, { signal });
    if (member.type === 'wrong') throw member.error;
    return await member.open(offset, { signal });
  }

  /** Also what turned out to be wrong: that is an error once it is read. */
  async listed(digest: Digest, call: Call): Promise<Blob> {
    const member = await this.archive.find(this.pathOf(digest), call);
    if (member?.type === 'file' || member?.type === 'wrong') return member;
    if (member?.type === 'stored') throw this.damaged(digest);
    if (member !== undefined)
      throw new HawserError('InvalidArgument', `${digest} of ${this.archive.name} is no file`);
    throw this.absent(digest);
  }

  protected absent(digest: Digest): HawserError {
    return new HawserError('NotFound', `${digest} is not in ${this.archive.name}`);
  }

  /** What a stream had is in the store, and nowhere else any more. */
  protected damaged(digest: Digest): HawserError {
    return new HawserError(
      'DataLoss',
      `${digest} is damaged in the store, and ${this.archive.name} cannot be read twice`,
      {
        hint: 'Import the archive from a file that is not compressed, and without --sha256: the blob is taken from the file anew',
      },
    );
  }
}

/** The blobs of an archive and those of a store. What is in neither is NotFound; what the archive has other bytes of is DataLoss. */
export class ArchiveBlobs extends LayoutFetcher implements Provider, InfoProvider {
  readonly #store: Provider & InfoProvider;
  readonly #hashers: Hashers;
  #hasNew = false;

  constructor(archive: Archive, prefix: string, store: Provider & InfoProvider, hashers: Hashers) {
    super(archive, prefix, hashers);
    this.#store = store;
    this.#hashers = hashers;
  }

  async info(digest: Digest, call: Call = {}): Promise<Info> {
    const stored = await this.#stored(digest, call);
    if (stored !== undefined) return stored;
    const { size } = await this.listed(digest, call);
    return { digest, size, createdAt: 0, updatedAt: 0, labels: {} };
  }

  /** The record that the store has; what may still arrive with the archive is waited for. */
  async #stored(digest: Digest, call: Call): Promise<Info | undefined> {
    const stored = await ifFound(this.#store.info(digest, call));
    if (stored !== undefined || this.archive.arriving === undefined) return stored;
    await this.archive.find(this.pathOf(digest), call);
    return await ifFound(this.#store.info(digest, call));
  }

  /** One of the blobs that were followed came with the archive, and was not in the store. */
  get hasNew(): boolean {
    return this.#hasNew;
  }

  /** Waits until a blob that the store lacks has arrived with the archive; NotFound when the blob will not. `tell`: see `Arriving`. */
  async follow(digest: Digest, tell: (offset: number) => void, call: Call): Promise<void> {
    const { arriving } = this.archive;
    if (arriving === undefined) return;
    if ((await ifFound(this.#store.info(digest, call))) === undefined) {
      await arriving.follow(this.pathOf(digest), tell, call);
      await this.info(digest, call);
    }
    this.#hasNew ||= arriving.brought.has(digest);
  }

  protected override absent(digest: Digest): HawserError {
    return new HawserError('NotFound', `${digest} is neither in ${this.archive.name} nor in the store`);
  }

  /** A document of the archive goes before that of the store, which may be damaged: an import brings it anew then. */
  async open(digest: Digest, opts: { offset?: number } & Call = {}): Promise<ReadableStream<Uint8Array>> {
    const stored = await this.#stored(digest, opts);
    if (stored === undefined) return await this.read(digest, opts);
    const member = await this.archive.find(this.pathOf(digest), opts);
    if (member?.type === 'file' && member.size === stored.size && member.size <= MAX_CONFIG_BYTES) {
      const desc = { digest, size: member.size };
      const provider = { open: () => this.read(digest, { ...opts, offset: 0 }) };
      const bytes = await ifFound(readBlob(provider, desc, MAX_CONFIG_BYTES, opts), 'DataLoss');
      if (bytes !== undefined) return streamOf(bytes.subarray(opts.offset ?? 0));
    }
    const next = pulls(await this.#store.open(digest, opts));
    if (member?.type !== 'stored' || (opts.offset ?? 0) > 0) return byteStream(next);
    const checked = hashed(next.next, digest, this.#hashers);
    return byteStream({ ...next, next: () => orElse(checked(), () => this.damaged(digest)) });
  }
}

function otherBytes(digest: Digest, { name }: Archive): HawserError {
  return new HawserError('DataLoss', `${name} has other bytes in the place of ${digest}`, {
    hint: 'It was damaged or changed: make it again',
  });
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

/** A document of the archive that is no blob; undefined when there is none. `store`: what a stream went into. */
export async function readArchived(
  archive: Archive,
  store: Provider | undefined,
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

async function openStored(
  store: Provider | undefined,
  member: Member,
  call: Call,
): Promise<ReadableStream<Uint8Array>> {
  if (store === undefined || member.type !== 'stored')
    throw new HawserError('Internal', 'A member of an archive without content');
  return await store.open(member.digest, call);
}
