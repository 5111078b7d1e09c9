/**
 * An archive that is read once, from its start: what it has goes straight into the store, blobs under the digests that their names
 * claim. Only once it has ended, or its index has come, is it known what is wanted; the rest is collected after the import.
 */

import { canceled, cleanupSignal, linkAbort } from '../async/abort.ts';
import { byteStream } from '../async/byte-stream.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { Milestone } from '../async/milestone.ts';
import { toHex } from '../bytes.ts';
import type { ContentStore } from '../content/content-store.ts';
import { refKey } from '../content/ref-key.ts';
import { fetchBlob } from '../download/fetch-blob.ts';
import { Link } from '../download/link.ts';
import { HawserError, ifFound, isKind, wrap } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Report } from '../progress/events.ts';
import type { Fetcher } from '../registry/registry.ts';
import { archiveHint } from './archive-hint.ts';
import { type Archive, type Arriving, type Member, memoryMember, scan } from './members.ts';
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

/** Begins to read it; `input` belongs to the archive from now on. An error of one blob is kept until somebody wants the blob. */
export function readStreamArchive(
  deps: StreamDeps,
  name: string,
  input: StreamInput,
  { lease, signal }: WriteCall,
): Archive {
  return new StreamArchive(deps, name, input, lease, signal);
}

/** `mayStop`: nobody minds when it is not read to its end. */
export interface StreamInput {
  readonly input: ByteInput;
  readonly mayStop: boolean;
  /** Throws, once all is read, where that is not what was wanted. */
  check?(): void;
  cancel(reason?: unknown): Promise<void>;
}

class StreamArchive implements Archive {
  readonly name: string;
  readonly arriving: Arriving;
  readonly #source: StreamInput;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  readonly #members = new Map<string, Member>();
  readonly #intake: Intake;
  /** By name: reached when the member is there, and all at the end of the archive. */
  readonly #awaited = new Map<string, Milestone>();
  readonly #end = new Milestone();
  #failure: { readonly reason: unknown } | undefined;

  constructor(
    deps: StreamDeps,
    name: string,
    source: StreamInput,
    lease: string | undefined,
    parent: AbortSignal | undefined,
  ) {
    this.name = name;
    this.#source = source;
    this.#unlink = linkAbort(parent, this.#stop);
    this.#intake = new Intake(deps, new TarEntries(source.input), { lease, signal: this.#stop.signal });
    this.arriving = {
      brought: this.#intake.brought,
      mayStop: source.mayStop,
      follow: (member, tell, call) => this.#follow(member, tell, call),
      end: (call) => this.#ended(call),
    };
    void this.#read();
  }

  async find(name: string, { signal }: Call): Promise<Member | undefined> {
    if (!this.#members.has(name) && !this.#end.isReached) await this.#arrival(name).wait(signal);
    const member = this.#members.get(name);
    if (member === undefined && this.#failure !== undefined) throw this.#failure.reason;
    return member;
  }

  /** A layout at the top is one whatever follows. */
  async names(call: Call): Promise<Iterable<string>> {
    try {
      await this.find('oci-layout', call);
    } catch (err) {
      throw wrap(`Cannot import ${this.name}`, err, archiveHint(err));
    }
    return this.#members.keys();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { current } = this.#intake;
    this.#stop.abort(canceled(new Error('the import has ended')));
    // Ends a read that waits for bytes, too.
    const cancelled = this.#source.cancel();
    await this.#end.wait(undefined);
    await cancelled;
    this.#unlink();
    if (current !== undefined) await this.#intake.dropPartial(current.digest, { signal: cleanupSignal() });
  }

  async #read(): Promise<void> {
    const intake = this.#intake;
    const keep = (name: string, entry: ScannedEntry) => intake.keep(name, entry);
    const added = (name: string) => this.#awaited.get(name)?.reach();
    try {
      await scan(intake.entries, keep, intake.call, { members: this.#members, added });
    } catch (reason) {
      this.#failure = { reason };
    }
    this.#end.reach();
    for (const milestone of this.#awaited.values()) milestone.reach();
  }

  #arrival(name: string): Milestone {
    const milestone = this.#awaited.get(name) ?? new Milestone();
    this.#awaited.set(name, milestone);
    return milestone;
  }

  async #follow(name: string, tell: (offset: number) => void, call: Call): Promise<void> {
    const digest = claimedDigest(name);
    if (digest === undefined || this.#members.has(name)) return;
    const unfollow = this.#intake.follow(digest, tell);
    try {
      await this.find(name, call);
    } finally {
      unfollow();
    }
  }

  async #ended({ signal }: Call): Promise<void> {
    await this.#end.wait(signal);
    if (this.#failure !== undefined) throw this.#failure.reason;
    this.#source.check?.();
  }
}

/** Takes the files of an archive one after another. */
class Intake {
  readonly entries: TarEntries;
  readonly call: WriteCall;
  readonly #deps: StreamDeps;
  readonly #id: string;
  readonly #followers = new Map<string, Set<(offset: number) => void>>();
  readonly brought = new Set<Digest>();
  /** The blob that arrives now. */
  current: { readonly digest: Digest; readonly offset: number } | undefined;
  #kept = 0;
  #count = 0;

  constructor(deps: StreamDeps, entries: TarEntries, call: WriteCall) {
    this.#deps = deps;
    this.entries = entries;
    this.call = call;
    this.#id = toHex(deps.random(8));
  }

  /** Tells how far the blob is, from now on; the function returned ends that. The followers of a blob get its events. */
  follow(digest: string, tell: (offset: number) => void): () => void {
    const followers = this.#followers.get(digest) ?? new Set();
    this.#followers.set(digest, followers.add(tell));
    if (this.current?.digest === digest) tell(this.current.offset);
    return () => void followers.delete(tell);
  }

  async keep(name: string, { size }: ScannedEntry): Promise<Member> {
    const digest = claimedDigest(name);
    if (digest !== undefined) return await this.#takeBlob(digest, size);
    if (size > MAX_KEPT_FILE || this.#kept + size > MAX_KEPT) return await this.#takeUnnamed(size);
    this.#kept += size;
    return memoryMember(await this.entries.whole(size, this.call));
  }

  #piece(): Promise<Uint8Array | undefined> {
    return this.entries.content(this.call);
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
    const told: Report = (event) => {
      if (event.type !== 'blob') return;
      const { status, offset } = event;
      if (status === 'downloading') this.current = { digest, offset };
      if (status === 'done') this.brought.add(digest);
      const followers = [...(this.#followers.get(digest) ?? [])];
      if (followers.length === 0) report(event);
      else if (status === 'downloading') for (const tell of followers) tell(offset);
    };
    try {
      await this.dropPartial(digest, this.call);
      await fetchBlob(
        { content, fetcher, clock, report: told, link: new Link(clock, { lanes: 1 }) },
        desc,
        this.call,
      );
      return { type: 'stored', size, digest };
    } catch (error) {
      if (!isKind(error, 'DataLoss')) throw error;
      this.call.signal?.throwIfAborted();
      // An archive that is cut off fails again here.
      while ((await this.#piece()) !== undefined);
      return { type: 'wrong', size, error };
    } finally {
      this.current = undefined;
    }
  }

  /** Removes what an earlier import left of the blob: a stream cannot resume there. What another process writes stays. */
  async dropPartial(digest: Digest, { signal }: Call): Promise<void> {
    const ref = refKey({ mediaType: OCTET_STREAM, digest, size: 0 });
    await ifFound(this.#deps.content.abort(ref, { signal }), 'Unavailable');
  }

  /** A layer of a Docker archive, most likely: which blob it is only its bytes tell. */
  async #takeUnnamed(size: number): Promise<Member> {
    const { content } = this.#deps;
    const ref = `import-${this.#id}-${this.#count++}`;
    const ingest = await content.ingest(ref, { size }, this.call);
    try {
      for (let piece = await this.#piece(); piece !== undefined; piece = await this.#piece())
        await ingest.write(piece, this.call);
      const digest = await ingest.commit({ size, ...this.call });
      this.brought.add(digest);
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
