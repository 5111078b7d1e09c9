import { cleanedUp, closingAfter } from '../../core/async/cleanup.ts';
import { Gauge } from '../../core/async/gauge.ts';
import type { Ingest, Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import { HawserError, wrap } from '../../core/errors.ts';
import { algorithmOf, type Digest, makeDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';
import type { Hasher, HashName } from '../../core/ports/hashers.ts';
import { hashInto } from './blob-files.ts';
import { hasSidecars, openData, writeSidecar } from './ingest-files.ts';
import { type Expected, type IngestRecord, releaseIngest } from './ingest-record.ts';
import { publish } from './publish.ts';
import type { Store } from './store.ts';
import { WriteBehind } from './write-behind.ts';

/** A blob being written to `content/ingest/<hash>/data`. The ref is this store's own (ingest-record.ts) until closed. */
export class LocalIngest implements Ingest {
  readonly ref: string;
  readonly #store: Store;
  readonly #record: IngestRecord;
  readonly #expected: Expected;
  readonly #lease: string | undefined;
  readonly #algorithm: HashName;
  #file: FileHandle | undefined;
  #writer: WriteBehind;
  #hasher: Hasher;
  /** The hasher's result, after which it takes no more. */
  #digest: Digest | undefined;
  /** Whether a write failed: the hasher then had bytes that the file may lack. */
  #torn = false;
  /** Bytes taken and hashed. The writer has written as many, or will. */
  #offset = 0;
  /** How many bytes are in the file, for those that read the blob while it grows. */
  #gauge = new Gauge();

  private constructor(
    store: Store,
    record: IngestRecord,
    expected: Expected,
    lease: string | undefined,
    file: FileHandle,
  ) {
    this.ref = record.ref;
    this.#store = store;
    this.#record = record;
    this.#expected = expected;
    this.#lease = lease;
    this.#file = file;
    this.#algorithm = expected.digest === undefined ? 'sha256' : algorithmOf(expected.digest);
    this.#hasher = store.runtime.hashers.create(this.#algorithm);
    this.#writer = this.#writeBehind(file);
  }

  /** Writes from the offset on. */
  #writeBehind(file: FileHandle): WriteBehind {
    return new WriteBehind(file, this.#offset, this.#store.runtime.clock, (end) => this.#gauge.grow(end));
  }

  /**
   * `resume`: keeps and hashes the bytes of an earlier writer, unless they are more than expected; otherwise they are dropped.
   * On failure the ref stays taken; the caller releases it.
   */
  static async open(
    store: Store,
    record: IngestRecord,
    expected: Expected,
    opts: { resume: boolean } & WriteCall,
  ): Promise<LocalIngest> {
    const file = await openData(store, record, opts);
    try {
      const ingest = new LocalIngest(store, record, expected, opts.lease, file);
      const size = await file.size();
      const usable = opts.resume && size <= (expected.size ?? Number.MAX_SAFE_INTEGER);
      if (!usable) await file.truncate(0);
      else await ingest.#rehash(file, size, opts);
      store.writing.set(ingest.ref, ingest);
      ingest.#show();
      return ingest;
    } catch (err) {
      throw await cleanedUp(err, () => file.close());
    }
  }

  /**
   * Hashes what an earlier writer left, and writes it back: a sync that failed for that writer is not reported again, and only
   * bytes that are written anew are covered by ours.
   */
  async #rehash(file: FileHandle, size: number, { signal }: Call): Promise<void> {
    await hashInto(file, size, this.#hasher, { signal, rewrite: true });
    this.#offset = size;
    this.#writer = this.#writeBehind(file);
  }

  #show(): void {
    this.#gauge.grow(this.#offset);
    const { digest } = this.#expected;
    if (digest === undefined) return;
    const path = `${this.#store.path(this.#record.dir)}/data`;
    this.#store.growing.set(digest, { path, gauge: this.#gauge.buffer });
  }

  #hide(): void {
    const { digest } = this.#expected;
    if (digest !== undefined && this.#store.growing.get(digest)?.gauge === this.#gauge.buffer) {
      this.#store.growing.delete(digest);
    }
  }

  get offset(): number {
    return this.#offset;
  }

  async write(bytes: Uint8Array, call?: Call & { readonly isGiven?: boolean | undefined }): Promise<void> {
    call?.signal?.throwIfAborted();
    this.#opened('write to');
    if (this.#digest !== undefined || this.#torn) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot write to "${this.ref}": it failed before; reset it first`,
      );
    }
    const end = this.#offset + bytes.length;
    if (this.#expected.size !== undefined && end > this.#expected.size) throw this.#tooLong(end);
    this.#torn = true;
    const taken = this.#writer.push(bytes, call?.isGiven === true);
    // Before any turn: given bytes are gone once they are written.
    this.#hasher.update(bytes);
    await taken;
    this.#torn = false;
    this.#offset = end;
  }

  async #flush(): Promise<void> {
    try {
      await this.#writer.flush();
    } catch (err) {
      this.#torn = true;
      throw err;
    }
  }

  #tooLong(end: number): HawserError {
    const expected = this.#expected.size ?? 0;
    return new HawserError(
      'DataLoss',
      `Cannot write to "${this.ref}": the content is longer than the ${expected} bytes expected`,
      {
        hint: 'The source sends other content than it promised',
        reason: { type: 'mismatch', expected, actual: end },
      },
    );
  }

  async reset(call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    const file = this.#opened('reset');
    await this.#writer.stop();
    await file.truncate(0);
    this.#offset = 0;
    this.#writer = this.#writeBehind(file);
    this.#digest = undefined;
    this.#torn = false;
    this.#hasher = this.#store.runtime.hashers.create(this.#algorithm);
    this.#gauge.restart();
    this.#gauge = new Gauge();
    this.#show();
  }

  async commit(opts: { size?: number; digest?: Digest; labels?: Labels } & WriteCall = {}): Promise<Digest> {
    opts.signal?.throwIfAborted();
    const file = this.#opened('commit');
    checkLabels(opts.labels ?? {});
    if (!this.#torn) await this.#flush();
    const digest = await this.#verify(file, opts);
    try {
      await this.#closeFile(file, true);
      const blob = { digest, size: this.#offset, labels: opts.labels ?? {} };
      await publish(this.#store, this.#record, blob, { ...opts, lease: opts.lease ?? this.#lease });
      return digest;
    } catch (err) {
      const release = () => releaseIngest(this.#store, this.ref);
      throw wrap(`Cannot commit "${this.ref}"`, await cleanedUp(err, release));
    } finally {
      this.#hide();
    }
  }

  /** Checks size and digest against what the ingest and the commit expect. DataLoss names the expected and the actual value. */
  async #verify(file: FileHandle, opts: { size?: number; digest?: Digest } & Call): Promise<Digest> {
    if (this.#torn) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot commit "${this.ref}": a write failed; reset it first`,
      );
    }
    for (const expected of [opts.size, this.#expected.size]) {
      if (expected === undefined || expected === this.#offset) continue;
      throw new HawserError(
        'DataLoss',
        `Cannot commit "${this.ref}": unexpected commit size ${this.#offset}, expected ${expected}`,
        { reason: { type: 'mismatch', expected, actual: this.#offset } },
      );
    }
    this.#digest ??= makeDigest(this.#algorithm, this.#hasher.digest());
    let actual = this.#digest;
    for (const expected of [this.#expected.digest, opts.digest]) {
      if (expected === undefined) continue;
      actual = await this.#digestAs(algorithmOf(expected), file, opts);
      if (actual === expected) continue;
      throw new HawserError(
        'DataLoss',
        `Cannot commit "${this.ref}": unexpected commit digest ${actual}, expected ${expected}`,
        {
          hint: 'The content was changed on its way or at its source',
          reason: { type: 'mismatch', expected, actual },
        },
      );
    }
    return actual;
  }

  async #digestAs(algorithm: HashName, file: FileHandle, call: Call): Promise<Digest> {
    if (this.#digest !== undefined && algorithm === this.#algorithm) return this.#digest;
    const hasher = this.#store.runtime.hashers.create(algorithm);
    await hashInto(file, this.#offset, hasher, call);
    return makeDigest(algorithm, hasher.digest());
  }

  #opened(doing: string): FileHandle {
    if (this.#file !== undefined) return this.#file;
    throw new HawserError('FailedPrecondition', `cannot ${doing} on closed writer "${this.ref}"`);
  }

  /** Cuts off what a failed write left. */
  async #closeFile(file: FileHandle, durable: boolean): Promise<void> {
    this.#file = undefined;
    this.#store.writing.delete(this.ref);
    const cut = async (): Promise<void> => {
      const { written } = this.#writer;
      if ((await file.size()) !== written) await file.truncate(written);
      if (durable) await makeDurable(file);
    };
    await closingAfter(cut, () => file.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#gauge.restart();
    this.#hide();
    const close = async (): Promise<void> => {
      // Bytes that cannot be written are fetched again.
      await this.#writer.flush().catch(() => {});
      await this.#closeFile(file, false);
      if (!hasSidecars(this.#record)) return;
      const updatedAt = new Date(this.#store.now()).toISOString();
      await writeSidecar(this.#store, this.#store.path(this.#record.dir), 'updatedat', updatedAt);
    };
    await closingAfter(close, () => releaseIngest(this.#store, this.ref));
  }
}

/** After a failed sync the kernel takes the pages for written: their bytes are dropped, so that nobody resumes them. */
async function makeDurable(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } catch (err) {
    await file.truncate(0).catch(() => {});
    throw err;
  }
}
