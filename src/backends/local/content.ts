import { cleanedUp } from '../../core/async/cleanup.ts';
import type {
  Arriving,
  ContentStore,
  Info,
  Ingest,
  IngestStatus,
  Labels,
  LocalBlobs,
} from '../../core/content/content-store.ts';
import type { Growing } from '../../core/content/growing.ts';
import { HawserError, ifFound, isKind, reasonOf, wrap } from '../../core/errors.ts';
import { algorithmOf, type Digest, parseDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import { openArriving } from './arriving.ts';
import { blobFile, fileSize, hashFile, openBlobFile, syncFile } from './blob-files.ts';
import { blobNotFound, findBlob, getBlob, labelBlob, listBlobs, removeBlob } from './blob-records.ts';
import { LocalIngest } from './ingest.ts';
import {
  allIngests,
  dropIngest,
  type Expected,
  findIngest,
  findInTheWay,
  ingestStatus,
  noReference,
  releaseIngest,
  type Taken,
  takeIngest,
} from './ingest-record.ts';
import { addToLease, requireLease } from './leases.ts';
import { isShareable } from './namespace-rows.ts';
import { recordBlob } from './publish.ts';
import { removeUnless } from './remove-unless.ts';
import type { Store } from './store.ts';

/** Bytes up to which a blob is hashed before the store says that it has the blob. */
const SMALL = 1 << 20;

/** The content store of one namespace: files below `content/`, records in SQLite (containerd's local store). */
export class LocalContent implements ContentStore, LocalBlobs {
  readonly #store: Store;
  readonly #isolated: boolean;

  /** `isolated`: a blob of another namespace is not shared, unless that one is labelled shareable; its bytes must be brought here. */
  constructor(store: Store, isolated = false) {
    this.#store = store;
    this.#isolated = isolated;
  }

  blobPath(digest: Digest): string {
    return this.#store.path(blobFile(parseDigest(digest)));
  }

  growing(digest: Digest): Growing | undefined {
    return this.#store.growing.get(digest);
  }

  /** NotFound also when the record is there and its file is not, or has another size. */
  async info(digest: Digest, call?: Call): Promise<Info> {
    call?.signal?.throwIfAborted();
    parseDigest(digest);
    const info = getBlob(this.#store, digest);
    if (!(await this.#hasFile(info, call))) throw blobNotFound(digest);
    return info;
  }

  async #hasFile({ digest, size }: Info, call?: Call): Promise<boolean> {
    return (await fileSize(this.#store.runtime, this.blobPath(digest), call)) === size;
  }

  async open(
    digest: Digest,
    opts: { offset?: number; chunk?: number } & Call = {},
  ): Promise<ReadableStream<Uint8Array>> {
    opts.signal?.throwIfAborted();
    parseDigest(digest);
    const info = getBlob(this.#store, digest);
    const offset = opts.offset ?? 0;
    if (offset < 0 || offset > info.size) {
      throw new HawserError(
        'OutOfRange',
        `Cannot read blob ${digest} from byte ${offset}: it has ${info.size}`,
      );
    }
    return await openBlobFile(this.#store.runtime, this.blobPath(digest), info, offset, opts);
  }

  async arriving(digest: Digest, call: Call = {}): Promise<Arriving | undefined> {
    call.signal?.throwIfAborted();
    return await openArriving(this.#store, parseDigest(digest), call);
  }

  async ingest(
    ref: string,
    want: { digest?: Digest; size?: number },
    call: WriteCall & { readonly anew?: boolean | undefined } = {},
  ): Promise<Ingest> {
    call.signal?.throwIfAborted();
    this.#store.checkTakes();
    if (ref === '') throw new HawserError('InvalidArgument', 'ref must not be empty');
    if (want.digest !== undefined) parseDigest(want.digest);
    if (call.anew !== true && (await this.#known(want, call))) {
      await this.#dropLeftover(ref, call);
      throw exists(want);
    }
    const taken = await takeIngest(this.#store, ref, want, { ...call, shared: !this.#isolated });
    let ingest: LocalIngest | undefined;
    try {
      if (await this.#adopt(want, call)) await dropIngest(this.#store, taken.now, call);
      else ingest = await LocalIngest.open(this.#store, taken.now, want, { ...call, resume: isSame(taken) });
    } catch (err) {
      throw await cleanedUp(err, () => releaseIngest(this.#store, ref));
    }
    if (ingest === undefined) throw exists(want);
    return ingest;
  }

  /** Drops the ingest that a crash left right after its blob was recorded. */
  async #dropLeftover(ref: string, call: Call): Promise<void> {
    if (findIngest(this.#store, ref) === undefined) return;
    // Unavailable: another process writes the ingest.
    await ifFound(this.abort(ref, call), 'Unavailable');
  }

  /**
   * Whether the namespace has the blob: its record, and a file of that size, which is hashed when it is small, for it may be a
   * document that somebody parses. The lease holds the blob before its file is looked at.
   */
  async #known(want: Expected, call: WriteCall): Promise<boolean> {
    const { digest } = want;
    if (digest === undefined || findBlob(this.#store, digest) === undefined) return false;
    const size = await this.#store.write(() => {
      requireLease(this.#store, call.lease);
      const info = findBlob(this.#store, digest);
      if (info !== undefined) addToLease(this.#store, call.lease, 'content', digest);
      return info?.size;
    }, call);
    if (size === undefined || (want.size !== undefined && want.size !== size)) return false;
    const path = this.blobPath(digest);
    if ((await fileSize(this.#store.runtime, path, call)) !== size) return false;
    return size > SMALL || (await this.#isWhole(digest, path, call));
  }

  /** Whether the file holds the bytes that its name says: not when it cannot be read for a bad sector, or is no file. */
  async #isWhole(digest: Digest, path: string, call?: Call): Promise<boolean> {
    try {
      return (await hashFile(this.#store.runtime, path, algorithmOf(digest), call)) === digest;
    } catch (err) {
      const unreadable = reasonOf(err, 'errno')?.errno === 'EIO';
      if (unreadable || isKind(err, 'NotFound', 'FailedPrecondition', 'DataLoss')) return false;
      throw err;
    }
  }

  /**
   * Drops a rotten file, not its records: they keep their labels until the next ingest brings the bytes again. The file is
   * renamed away and hashed once more before it is removed, for another process may have replaced it meanwhile.
   */
  async verify(digest: Digest, call?: Call): Promise<boolean> {
    call?.signal?.throwIfAborted();
    parseDigest(digest);
    getBlob(this.#store, digest);
    const path = this.blobPath(digest);
    if (await this.#isWhole(digest, path, call)) return true;
    if (this.#store.readOnly) return false;
    return await removeUnless(this.#store, path, (aside) => this.#isWhole(digest, aside), call);
  }

  /**
   * Records a blob whose file is there without a record in this namespace, be it another namespace's or a crash's orphan: once its
   * bytes have the digest and are durable. The ingest's record names the digest, which keeps sweeps off the file.
   */
  async #adopt(want: Expected, call: WriteCall): Promise<boolean> {
    const { digest } = want;
    if (digest === undefined || (this.#isolated && !isShareable(this.#store, digest))) return false;
    const size = await this.#adoptable(digest, call);
    if (size === undefined || (want.size !== undefined && want.size !== size)) return false;
    await this.#store.write(() => recordBlob(this.#store, { digest, size, labels: {} }, call.lease), call);
    return true;
  }

  /** The size of the digest's file when its bytes are right. */
  async #adoptable(digest: Digest, call: Call): Promise<number | undefined> {
    const { runtime, dirSyncs } = this.#store;
    const path = this.blobPath(digest);
    const size = await fileSize(runtime, path, call);
    if (size === undefined) return undefined;
    try {
      if (!(await this.#isWhole(digest, path, call))) return undefined;
      await runtime.fs.chmod(path, 0o444, call);
      await syncFile(runtime, path, call);
      await dirSyncs.join(path.slice(0, path.lastIndexOf('/')));
    } catch (err) {
      throw wrap(`Cannot check the file ${path}`, err);
    }
    return size;
  }

  async status(ref: string, call?: Call): Promise<IngestStatus> {
    call?.signal?.throwIfAborted();
    const record = findIngest(this.#store, ref);
    if (record === undefined) throw noReference(ref);
    return await ingestStatus(this.#store, record, call);
  }

  async inTheWay(ref: string, digest: Digest, call?: Call): Promise<IngestStatus> {
    const record = findInTheWay(this.#store, ref, this.#isolated ? undefined : digest);
    if (record === undefined) throw noReference(ref);
    return await ingestStatus(this.#store, record, call);
  }

  async listStatuses(call?: Call): Promise<IngestStatus[]> {
    call?.signal?.throwIfAborted();
    return await Promise.all(
      allIngests(this.#store).map((record) => ingestStatus(this.#store, record, call)),
    );
  }

  async abort(ref: string, call: { unleased?: boolean } & Call = {}): Promise<void> {
    const { now } = await takeIngest(this.#store, ref, undefined, call);
    try {
      await dropIngest(this.#store, now, call);
    } catch (err) {
      throw await cleanedUp(err, () => releaseIngest(this.#store, ref));
    }
  }

  async list(call?: Call): Promise<Info[]> {
    const infos: Info[] = [];
    for (const info of await this.records(call)) if (await this.#hasFile(info, call)) infos.push(info);
    return infos;
  }

  async records(call?: Call): Promise<Info[]> {
    call?.signal?.throwIfAborted();
    return listBlobs(this.#store);
  }

  async label(digest: Digest, labels: Labels, call?: Call): Promise<Info> {
    call?.signal?.throwIfAborted();
    parseDigest(digest);
    return await this.#store.write(() => labelBlob(this.#store, digest, labels), call);
  }

  /** Removes the record. The file goes when no namespace has it, with the next collection. */
  async delete(digest: Digest, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    parseDigest(digest);
    await this.#store.writeToFree(() => removeBlob(this.#store, digest), call);
  }
}

/** Whether an earlier writer's data can be a beginning of the expected content, by digest and size. */
function isSame({ before, now }: Taken): boolean {
  if (before === undefined) return false;
  return (
    (before.total === 0 || before.total === now.total) &&
    (before.expected === undefined || before.expected === now.expected)
  );
}

function exists(want: Expected): HawserError {
  return new HawserError('AlreadyExists', `content ${want.digest}: already exists`);
}
