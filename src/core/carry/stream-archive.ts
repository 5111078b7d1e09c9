/**
 * An archive that is read once, from its start: what it has goes straight into the store, blobs under the digests that their names
 * claim. Only once it has ended, or its index has come, is it known what is wanted; the rest is collected after the import.
 */
import { byteStream } from '../async/byte-stream.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { toHex } from '../bytes.ts';
import type { ContentStore } from '../content/content-store.ts';
import { refKey } from '../content/ref-key.ts';
import { fetchBlob } from '../download/fetch-blob.ts';
import { Link } from '../download/link.ts';
import { HawserError, ifFound, isKind } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Report } from '../progress/events.ts';
import type { Fetcher } from '../registry/registry.ts';
import { type Archive, type Member, memoryMember, scan } from './members.ts';
import { type ByteInput, type ScannedEntry, TarEntries } from './tar-entries.ts';

export interface StreamDeps {
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly report: Report;
  random(length: number): Uint8Array;
}

/** Small files are kept in memory: of one, and of all, at most so many bytes. */
const MAX_KEPT_FILE = 1 << 20;
const MAX_KEPT = 32 << 20;

/** The digest that the name of a member claims, in a layout at the top or in one directory. */
export function claimedDigest(name: string): Digest | undefined {
  const [, algorithm, hex] = /^(?:[^/]+\/)?blobs\/([a-z0-9]+)\/([0-9a-f]+)$/.exec(name) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) ? digest : undefined;
}

/** Reads all of it. An error of one blob is kept until somebody wants the blob. */
export async function readStreamArchive(
  deps: StreamDeps,
  name: string,
  input: ByteInput,
  call: WriteCall,
): Promise<Archive> {
  const intake = new Intake(deps, new TarEntries(input), call);
  const members = await scan(intake.entries, (member, entry) => intake.keep(member, entry), call);
  return {
    name,
    isStreamed: true,
    find: async (member) => members.get(member),
    names: async () => members.keys(),
    [Symbol.asyncDispose]: async () => {},
  };
}

class Intake {
  readonly entries: TarEntries;
  readonly #deps: StreamDeps;
  readonly #call: WriteCall;
  readonly #id: string;
  #kept = 0;
  #count = 0;

  constructor(deps: StreamDeps, entries: TarEntries, call: WriteCall) {
    this.#deps = deps;
    this.entries = entries;
    this.#call = call;
    this.#id = toHex(deps.random(8));
  }

  async keep(name: string, { size }: ScannedEntry): Promise<Member> {
    const digest = claimedDigest(name);
    if (digest !== undefined) return await this.#takeBlob(digest, size);
    if (size > MAX_KEPT_FILE || this.#kept + size > MAX_KEPT) return await this.#takeUnnamed(size);
    this.#kept += size;
    return memoryMember(await this.entries.whole(size, this.#call));
  }

  #piece(): Promise<Uint8Array | undefined> {
    return this.entries.content(this.#call);
  }

  async #takeBlob(digest: Digest, size: number): Promise<Member> {
    const { content, clock, report } = this.#deps;
    const desc = { mediaType: OCTET_STREAM, digest, size };
    let isRead = false;
    const fetcher: Fetcher = {
      fetch: async () => {
        if (isRead) throw otherBytes(digest);
        isRead = true;
        return { body: byteStream({ next: () => this.#piece() }), offset: 0 };
      },
    };
    const quiet: Report = (event) => {
      if (event.type !== 'retry') report(event);
    };
    try {
      await this.#dropPartial(refKey(desc));
      await fetchBlob(
        { content, fetcher, clock, report: quiet, link: new Link(clock, { lanes: 1 }) },
        desc,
        this.#call,
      );
      return { type: 'stored', size, digest };
    } catch (error) {
      if (!isKind(error, 'DataLoss')) throw error;
      this.#call.signal?.throwIfAborted();
      // An archive that is cut off fails again here.
      while ((await this.#piece()) !== undefined);
      return { type: 'wrong', size, error };
    }
  }

  /** Removes what an earlier import left of the blob: a stream cannot resume there. What another process writes stays. */
  async #dropPartial(ref: string): Promise<void> {
    await ifFound(this.#deps.content.abort(ref, { signal: this.#call.signal }), 'Unavailable');
  }

  /** A layer of a Docker archive, most likely: which blob it is only its bytes tell. */
  async #takeUnnamed(size: number): Promise<Member> {
    const { content } = this.#deps;
    const ref = `import-${this.#id}-${this.#count++}`;
    const ingest = await content.ingest(ref, { size }, this.#call);
    try {
      for (let piece = await this.#piece(); piece !== undefined; piece = await this.#piece())
        await ingest.write(piece, this.#call);
      const digest = await ingest.commit({ size, ...this.#call });
      return { type: 'stored', size, digest };
    } catch (err) {
      throw await cleanedUp(err, async () => {
        await ingest[Symbol.asyncDispose]();
        await ifFound(content.abort(ref));
      });
    }
  }
}

function otherBytes(digest: Digest): HawserError {
  return new HawserError('DataLoss', `the archive has other bytes in the place of ${digest}`, {
    hint: 'The archive was damaged or changed: make it again',
  });
}
