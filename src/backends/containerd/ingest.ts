import { cleanupSignal } from '../../core/async/abort.ts';
import { releaseWhole } from '../../core/codec/release.ts';
import type { Ingest, Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import { HawserError, isKind, messageOf, wrap } from '../../core/errors.ts';
import { algorithmOf, type Digest, makeDigest, parseDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { Hasher, Hashers, HashName } from '../../core/ports/hashers.ts';
import type { Connection } from './connection.ts';
import { COMMIT, STAT, WRITE } from './messages.ts';
import { CHUNK, Outbox } from './outbox.ts';
import { WriteStream } from './write-stream.ts';

export interface ExpectedBlob {
  readonly digest?: Digest;
  readonly size?: number;
}

export interface IngestParts {
  readonly connection: Connection;
  readonly hashers: Hashers;
  /** For a blob that the namespace has already: adds it to the lease and sets the labels that it lacks. */
  known(digest: Digest, labels: Labels, call: WriteCall): Promise<void>;
  closed(ref: string): void;
  /**
   * Given when the namespace has the blob, with other bytes: makes room for the new ones, and calls `commit` with labels that they are
   * to have.
   */
  readonly replace?:
    | ((commit: (labels: Labels) => Promise<Digest>, call: Call) => Promise<Digest>)
    | undefined;
}

/**
 * A blob on its way into containerd. Bytes that are written here are hashed here. Only containerd has the bytes of an earlier
 * writer: it hashes the whole, and its digest is compared with the wanted one.
 */
export class ContainerdIngest implements Ingest {
  readonly ref: string;
  readonly #parts: IngestParts;
  readonly #expected: ExpectedBlob;
  readonly #lease: string | undefined;
  readonly #algorithm: HashName;
  #stream: WriteStream;
  /** Undefined when the ingest has bytes of an earlier writer. */
  #hasher: Hasher | undefined;
  #digest: Digest | undefined;
  #state: 'open' | 'failed' | 'closed' = 'open';
  #offset = 0;
  #isNew = false;
  #outbox: Outbox;

  private constructor(
    parts: IngestParts,
    ref: string,
    expected: ExpectedBlob,
    lease: string | undefined,
    stream: WriteStream,
  ) {
    this.#parts = parts;
    this.ref = ref;
    this.#expected = expected;
    this.#lease = lease;
    this.#stream = stream;
    this.#outbox = new Outbox(ref, stream, 0, expected.size);
    this.#algorithm = expected.digest === undefined ? 'sha256' : algorithmOf(expected.digest);
  }

  static async open(
    parts: IngestParts,
    ref: string,
    expected: ExpectedBlob,
    call: WriteCall,
  ): Promise<ContainerdIngest> {
    const stream = new WriteStream(parts.connection, { lease: call.lease, ...sizeOf(expected) });
    const ingest = new ContainerdIngest(parts, ref, expected, call.lease, stream);
    await ingest.#begin(call);
    // What is to replace others is hashed here from its first byte.
    if (parts.replace !== undefined && ingest.offset > 0) await ingest.#truncate(call);
    return ingest;
  }

  /** Takes the lock and resumes. An ingest that is longer than wanted begins anew. */
  async #begin(call: Call): Promise<void> {
    const { size = 0, digest = '' } = this.#expected;
    // containerd takes no bytes for a digest that is recorded.
    const expected = this.#parts.replace === undefined ? digest : '';
    try {
      const request = { action: STAT, ref: this.ref, total: size, expected } as const;
      const { offset } = await this.#stream.request(request, call);
      this.#startAt(offset);
      if (offset > (this.#expected.size ?? Number.MAX_SAFE_INTEGER)) await this.#truncate(call);
    } catch (err) {
      this.#stream.cancel();
      throw err;
    }
  }

  #startAt(offset: number): void {
    this.#offset = offset;
    this.#outbox = new Outbox(this.ref, this.#stream, offset, this.#expected.size);
    this.#digest = undefined;
    this.#hasher = offset === 0 ? this.#parts.hashers.create(this.#algorithm) : undefined;
  }

  get offset(): number {
    return this.#offset;
  }

  get isNew(): boolean {
    return this.#isNew;
  }

  async write(bytes: Uint8Array, call: Parameters<Ingest['write']>[1] = {}): Promise<void> {
    call.signal?.throwIfAborted();
    this.#check('write to');
    const end = this.#offset + bytes.length;
    if (this.#expected.size !== undefined && end > this.#expected.size) throw this.#tooLong();
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const part = bytes.subarray(at, at + CHUNK);
      await this.#outbox.room(call);
      this.#hasher?.update(part);
      this.#outbox.add(part);
      this.#offset += part.length;
    }
    if (call.isGiven === true) releaseWhole(bytes);
  }

  /** Resolves when containerd has all bytes written. */
  async flush(call: Call = {}): Promise<void> {
    if (this.#state === 'closed' || this.#stream.over) return;
    await this.#outbox.flush(call);
  }

  async reset(call: Call = {}): Promise<void> {
    call.signal?.throwIfAborted();
    if (this.#state === 'closed') throw this.#closed('reset');
    if (this.#stream.over) {
      this.#stream = new WriteStream(this.#parts.connection, {
        lease: this.#lease,
        ...sizeOf(this.#expected),
      });
      await this.#begin(call);
    }
    if (this.#offset > 0) await this.#truncate(call);
    this.#state = 'open';
  }

  async #truncate(call: Call): Promise<void> {
    await this.#stream.request({ action: WRITE, offset: 0 }, call);
    this.#startAt(0);
  }

  async commit(opts: { size?: number; digest?: Digest; labels?: Labels } & WriteCall = {}): Promise<Digest> {
    opts.signal?.throwIfAborted();
    if (this.#state === 'closed') throw this.#closed('commit');
    const labels = Object.fromEntries(Object.entries(opts.labels ?? {}).filter(([, value]) => value !== ''));
    checkLabels(labels);
    const expected = opts.digest ?? this.#expected.digest;
    const size = opts.size ?? this.#expected.size;
    try {
      this.#verify(size, expected);
      await this.flush(opts);
      const digest = await this.#record(expected, size ?? 0, labels, opts);
      await this.#close(opts);
      return digest;
    } catch (err) {
      if (this.#state === 'open') this.#state = 'failed';
      throw err;
    }
  }

  /** Checks the size, and the digest where all bytes were hashed here. */
  #verify(size: number | undefined, expected: Digest | undefined): void {
    for (const wanted of [size, this.#expected.size]) {
      if (wanted === undefined || wanted === this.#offset) continue;
      throw this.#wrong(`unexpected commit size ${this.#offset}, expected ${wanted}`);
    }
    this.#digest ??= this.#hasher && makeDigest(this.#algorithm, this.#hasher.digest());
    if (this.#digest === undefined || expected === undefined || this.#digest === expected) return;
    if (algorithmOf(expected) !== this.#algorithm) return;
    throw this.#wrong(`unexpected commit digest ${this.#digest}, expected ${expected}`);
  }

  async #record(
    expected: Digest | undefined,
    total: number,
    labels: Labels,
    call: WriteCall,
  ): Promise<Digest> {
    const { replace } = this.#parts;
    if (replace === undefined) return await this.#commit(expected, total, labels, call);
    await this.#confirm(call);
    const commit = (kept: Labels) =>
      this.#commit(expected, total, { ...labels, ...kept }, { lease: call.lease });
    return await replace(commit, call);
  }

  /** Asks containerd, which hashes on the way, whether it has the bytes that were hashed here. */
  async #confirm(call: Call): Promise<void> {
    const { digest, offset } = await this.#stream.request({ action: STAT, ref: this.ref }, call);
    if (offset === this.#offset && (digest === this.#digest || this.#algorithm !== 'sha256')) return;
    throw this.#wrong(`containerd has ${offset} bytes with the digest ${digest}, not ${this.#digest}`);
  }

  async #commit(
    expected: Digest | undefined,
    total: number,
    labels: Labels,
    call: WriteCall,
  ): Promise<Digest> {
    const known = { lease: call.lease ?? this.#lease, signal: call.signal };
    try {
      const request = {
        action: COMMIT,
        offset: this.#offset,
        total,
        expected: expected ?? '',
        labels,
      } as const;
      const { digest, offset } = await this.#stream.request(request, call);
      const wanted = expected ?? this.#digest ?? digest;
      if (digest !== wanted || offset !== this.#offset) {
        const what = `containerd committed ${digest} of ${offset} bytes, not ${wanted} of ${this.#offset}`;
        throw new HawserError('Internal', what);
      }
      if (call.lease !== undefined && call.lease !== this.#lease) {
        await this.#parts.known(parseDigest(digest), {}, known);
      }
      this.#isNew = this.#parts.replace === undefined;
      return parseDigest(digest);
    } catch (err) {
      const digest = expected ?? this.#digest;
      if (isKind(err, 'AlreadyExists') && digest !== undefined) {
        await this.#parts.known(digest, labels, known);
        return digest;
      }
      throw this.#refused(err, expected);
    }
  }

  /**
   * containerd answers FailedPrecondition when size or digest of the ingest are not those of the request. Bytes that were
   * hashed here are right by then (#verify). The ingest stays.
   */
  #refused(err: unknown, expected: Digest | undefined): unknown {
    const hashed = expected !== undefined && expected === this.#digest;
    if (!isKind(err, 'FailedPrecondition') || (hashed && this.#algorithm === 'sha256')) {
      return wrap(`Cannot commit "${this.ref}"`, err);
    }
    if (!hashed) return this.#wrong(messageOf(err).replace(/: failed precondition$/, ''));
    const what = `this containerd cannot store content by ${this.#algorithm}`;
    return new HawserError('NotImplemented', `Cannot commit "${this.ref}": ${what}`, { cause: err });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'closed') return;
    const call = { signal: cleanupSignal() };
    // Whoever resumes writes again what did not arrive.
    await this.flush(call).catch(() => {});
    await this.#close(call);
  }

  async #close(call: Call): Promise<void> {
    this.#state = 'closed';
    await this.#stream.close(call);
    this.#parts.closed(this.ref);
  }

  #check(doing: string): void {
    if (this.#state === 'closed') throw this.#closed(doing);
    this.#outbox.check();
    if (this.#state === 'open') return;
    throw new HawserError(
      'FailedPrecondition',
      `Cannot ${doing} "${this.ref}": it failed before; reset it first`,
    );
  }

  #closed(doing: string): HawserError {
    return new HawserError('FailedPrecondition', `Cannot ${doing} "${this.ref}": it is closed`);
  }

  #tooLong(): HawserError {
    const message = `Cannot write to "${this.ref}": the content is longer than the ${this.#expected.size} bytes expected`;
    return new HawserError('DataLoss', message, {
      hint: 'The source sends other content than it promised',
    });
  }

  #wrong(what: string): HawserError {
    return new HawserError('DataLoss', `Cannot commit "${this.ref}": ${what}`);
  }
}

function sizeOf({ size }: ExpectedBlob): { readonly size?: number } {
  return size === undefined ? {} : { size };
}
