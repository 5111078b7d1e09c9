import { Gauge } from '../../core/async/gauge.ts';
import { checkLabels } from '../../core/content/labels.ts';
import type { Ingest, Labels } from '../../core/content/roles.ts';
import { HawserError, isKind, wrap } from '../../core/errors.ts';
import { algorithmOf, type Digest, makeDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';
import type { Hasher, HashName } from '../../core/ports/hashers.ts';
import { hashInto } from './blob-files.ts';
import { type IngestRecord, releaseIngest, type Wanted } from './ingest-record.ts';
import { publish } from './publish.ts';
import type { Store } from './store.ts';

const encoder = new TextEncoder();

function hasSidecars({ total }: IngestRecord): boolean {
  return total === 0 || total >= SIDECARS_FROM;
}

async function writeSidecar(store: Store, dir: string, name: string, content: string): Promise<void> {
  const path = `${dir}/${name}`;
  const file = await store.runtime.fs.open(`${path}.tmp`, 'write', 0o600);
  try {
    await file.truncate(0);
    await file.write(encoder.encode(content), 0);
  } finally {
    await file.close();
  }
  await store.runtime.fs.rename(`${path}.tmp`, path);
}

/** Of a smaller blob nothing is left long enough for anyone to look at. Our own record of it is in the database. */
const SIDECARS_FROM = 1 << 20;

/** The directory of an ingest with containerd's sidecars; times as RFC 3339. */
async function makeDir(store: Store, record: IngestRecord, call?: Call): Promise<string> {
  const dir = store.path(record.dir);
  await store.runtime.fs.mkdir(dir, 0o700, { parents: true, ...call });
  if (!hasSidecars(record)) return dir;
  await writeSidecar(store, dir, 'ref', `${store.namespace}/${record.ref}`);
  await writeSidecar(store, dir, 'startedat', new Date(record.startedAt).toISOString());
  await writeSidecar(store, dir, 'updatedat', new Date(record.updatedAt).toISOString());
  if (record.total > 0) await writeSidecar(store, dir, 'total', String(record.total));
  return dir;
}

/** A commit that ended between making the data read-only and moving it: it is ours to write again. False when that is not it. */
async function reopened(store: Store, record: IngestRecord, call: Call): Promise<boolean> {
  const path = `${store.path(record.dir)}/data`;
  const data = await store.runtime.fs.stat(path, call);
  if (data?.type !== 'file' || (data.mode & 0o200) !== 0) return false;
  await store.runtime.fs.chmod(path, 0o600, call);
  return true;
}

/** The data file. What is in its place and is no regular file, or no directory above it, goes. */
async function openData(store: Store, record: IngestRecord, call: Call): Promise<FileHandle> {
  const { fs } = store.runtime;
  const open = async (): Promise<FileHandle> =>
    await fs.open(`${await makeDir(store, record, call)}/data`, 'write', 0o600, call);
  try {
    return await open();
  } catch (err) {
    if (isKind(err, 'PermissionDenied') && (await reopened(store, record, call))) return await open();
    if (!isKind(err, 'FailedPrecondition', 'AlreadyExists')) throw err;
    await fs.remove(store.path(record.dir), { tree: true, ...call });
    return await open();
  }
}

/** A blob being written to `content/ingest/<hash>/data`. The ref is this store's own (ingest-record.ts) until closed. */
export class LocalIngest implements Ingest {
  readonly ref: string;
  readonly #store: Store;
  readonly #record: IngestRecord;
  readonly #want: Wanted;
  readonly #lease: string | undefined;
  readonly #algorithm: HashName;
  #file: FileHandle | undefined;
  #hasher: Hasher;
  /** Set when the hasher has given its result and can take no more. */
  #digest: Digest | undefined;
  /** A write failed: the hasher has had bytes that the file may lack. */
  #torn = false;
  #offset = 0;
  /** How far the data is good, for those that read it while it grows. */
  #gauge = new Gauge();

  private constructor(
    store: Store,
    record: IngestRecord,
    want: Wanted,
    lease: string | undefined,
    file: FileHandle,
  ) {
    this.ref = record.ref;
    this.#store = store;
    this.#record = record;
    this.#want = want;
    this.#lease = lease;
    this.#file = file;
    this.#algorithm = want.digest === undefined ? 'sha256' : algorithmOf(want.digest);
    this.#hasher = store.runtime.hashers.create(this.#algorithm);
  }

  /**
   * `resume`: keep the bytes that are there, hashing them again, unless they are more than wanted. Otherwise they are
   * dropped. On failure the ref stays taken; the caller releases it.
   */
  static async open(
    store: Store,
    record: IngestRecord,
    want: Wanted,
    opts: { resume: boolean } & WriteCall,
  ): Promise<LocalIngest> {
    const file = await openData(store, record, opts);
    try {
      const ingest = new LocalIngest(store, record, want, opts.lease, file);
      const size = await file.size();
      const usable = opts.resume && size <= (want.size ?? Number.MAX_SAFE_INTEGER);
      if (!usable) await file.truncate(0);
      else await ingest.#rehash(file, size, opts);
      ingest.#show();
      return ingest;
    } catch (err) {
      await file.close();
      throw err;
    }
  }

  async #rehash(file: FileHandle, size: number, call: Call): Promise<void> {
    await hashInto(file, size, this.#hasher, call);
    this.#offset = size;
  }

  #show(): void {
    this.#gauge.grow(this.#offset);
    const { digest } = this.#want;
    if (digest === undefined) return;
    const path = `${this.#store.path(this.#record.dir)}/data`;
    this.#store.growing.set(digest, { path, gauge: this.#gauge.buffer });
  }

  #hide(): void {
    const { digest } = this.#want;
    if (digest !== undefined && this.#store.growing.get(digest)?.gauge === this.#gauge.buffer) {
      this.#store.growing.delete(digest);
    }
  }

  get offset(): number {
    return this.#offset;
  }

  async write(bytes: Uint8Array, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    const file = this.#opened('write to');
    if (this.#digest !== undefined || this.#torn) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot write to "${this.ref}": it failed before; reset it first`,
      );
    }
    const end = this.#offset + bytes.length;
    if (this.#want.size !== undefined && end > this.#want.size) throw this.#tooLong(end);
    this.#torn = true;
    const writing = file.write(bytes, this.#offset);
    this.#hasher.update(bytes);
    await writing;
    this.#torn = false;
    this.#offset = end;
    this.#gauge.grow(end);
  }

  #tooLong(end: number): HawserError {
    const expected = this.#want.size ?? 0;
    return new HawserError(
      'DataLoss',
      `Cannot write to "${this.ref}": the content is longer than the ${expected} bytes expected`,
      { hint: 'The source sends other content than it promised', data: { expected, actual: end } },
    );
  }

  async reset(call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    await this.#opened('reset').truncate(0);
    this.#offset = 0;
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
    const digest = await this.#verify(file, opts);
    try {
      await this.#closeFile(file, true);
      const blob = { digest, size: this.#offset, labels: opts.labels ?? {} };
      await publish(this.#store, this.#record, blob, { ...opts, lease: opts.lease ?? this.#lease });
      return digest;
    } catch (err) {
      releaseIngest(this.#store, this.ref);
      throw wrap(`Cannot commit "${this.ref}"`, err);
    } finally {
      this.#hide();
    }
  }

  /** Size and digest are as wanted, by the ingest and by the commit, or DataLoss that names both. */
  async #verify(file: FileHandle, opts: { size?: number; digest?: Digest } & Call): Promise<Digest> {
    if (this.#torn) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot commit "${this.ref}": a write failed; reset it first`,
      );
    }
    for (const expected of [opts.size, this.#want.size]) {
      if (expected === undefined || expected === this.#offset) continue;
      throw new HawserError(
        'DataLoss',
        `Cannot commit "${this.ref}": unexpected commit size ${this.#offset}, expected ${expected}`,
        { data: { expected, actual: this.#offset } },
      );
    }
    this.#digest ??= makeDigest(this.#algorithm, this.#hasher.digest());
    let actual = this.#digest;
    for (const expected of [this.#want.digest, opts.digest]) {
      if (expected === undefined) continue;
      actual = await this.#digestAs(algorithmOf(expected), file, opts);
      if (actual === expected) continue;
      throw new HawserError(
        'DataLoss',
        `Cannot commit "${this.ref}": unexpected commit digest ${actual}, expected ${expected}`,
        { hint: 'The content was changed on its way or at its source', data: { expected, actual } },
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

  /** Cuts what a failed write left beyond the offset. */
  async #closeFile(file: FileHandle, durable: boolean): Promise<void> {
    this.#file = undefined;
    try {
      if ((await file.size()) !== this.#offset) await file.truncate(this.#offset);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#gauge.restart();
    this.#hide();
    try {
      await this.#closeFile(file, false);
      if (!hasSidecars(this.#record)) return;
      const updatedAt = new Date(this.#store.now()).toISOString();
      await writeSidecar(this.#store, this.#store.path(this.#record.dir), 'updatedat', updatedAt);
    } finally {
      releaseIngest(this.#store, this.ref);
    }
  }
}
