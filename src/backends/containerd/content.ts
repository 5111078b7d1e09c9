import { byteStream } from '../../core/async/byte-stream.ts';
import { closingAfter } from '../../core/async/cleanup.ts';
import { plain } from '../../core/bytes.ts';
import type { ContentStore, Info, Ingest, IngestStatus, Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import { hashed } from '../../core/content/read.ts';
import { HawserError, ifFound, isKind, reasonOf } from '../../core/errors.ts';
import { type Digest, parseDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { Hashers } from '../../core/ports/hashers.ts';
import type { Connection } from './connection.ts';
import { ContainerdIngest, type ExpectedBlob, type IngestParts } from './ingest.ts';
import { addToLease, type ContainerdLeases } from './leases.ts';
import { listAll } from './list-all.ts';
import { labelMask, type Message, need, toMs } from './messages.ts';
import { replaceBlob, requireOnlyHere } from './replace.ts';

/** containerd's content store (services/content/v1) in one namespace. */
export class ContainerdContent implements ContentStore {
  readonly #connection: Connection;
  readonly #hashers: Hashers;
  readonly #leases: ContainerdLeases | undefined;
  /** The ingests that are open here, by ref. */
  readonly #open = new Map<string, ContainerdIngest>();

  /** Without `leases` no blob is replaced. */
  constructor(connection: Connection, hashers: Hashers, leases?: ContainerdLeases) {
    this.#connection = connection;
    this.#hashers = hashers;
    this.#leases = leases;
  }

  async info(digest: Digest, call?: Call): Promise<Info> {
    parseDigest(digest);
    const { info } = await this.#connection.call('content.v1.Content/Info', { digest }, call);
    return toInfo(need(info, 'the information asked for'));
  }

  async list(call: Call = {}): Promise<Info[]> {
    const messages = this.#connection.stream('content.v1.Content/List', {}, call);
    const infos = (await listAll(messages, ({ info }) => info)).map(toInfo);
    return infos.sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  async label(digest: Digest, labels: Labels, call?: Call): Promise<Info> {
    checkLabels(labels);
    if (Object.keys(labels).length === 0) return await this.info(digest, call);
    const request = { info: { digest, labels }, updateMask: labelMask(labels) };
    const { info } = await this.#connection.call('content.v1.Content/Update', request, call);
    return toInfo(need(info, 'the labels set'));
  }

  /** containerd's next garbage collection removes the bytes, unless another namespace has them. */
  async delete(digest: Digest, call?: Call): Promise<void> {
    await this.#connection.call('content.v1.Content/Delete', { digest }, call);
  }

  /** Offsets of responses count from the offset of the request, and the bytes come in order: offsets are not looked at. */
  async open(
    digest: Digest,
    { offset = 0, signal }: { offset?: number } & Call = {},
  ): Promise<ReadableStream<Uint8Array>> {
    parseDigest(digest);
    const request = { digest, offset };
    const messages = this.#connection.stream('content.v1.Content/Read', request, { signal, deadline: 0 });
    // Fails here, and not at the first read, when the blob does not exist.
    let first = await messages.next();
    const next = async () => {
      signal?.throwIfAborted();
      const message = first ?? (await messages.next());
      first = undefined;
      return message && plain(message.data);
    };
    const checked = offset === 0 ? hashed(next, digest, this.#hashers) : next;
    return byteStream({ next: checked, cancel: () => messages.cancel() });
  }

  /** Drops nothing: containerd would collect all that only this record keeps. */
  async verify(digest: Digest, call?: Call): Promise<boolean> {
    try {
      for await (const _ of await this.open(digest, call));
      return true;
    } catch (err) {
      if (reasonOf(err, 'mismatch') === undefined) throw err;
      return false;
    }
  }

  async ingest(
    ref: string,
    expected: ExpectedBlob,
    call: WriteCall & { readonly anew?: boolean | undefined } = {},
  ): Promise<Ingest> {
    if (ref === '') throw new HawserError('InvalidArgument', 'Cannot ingest without a ref');
    if (expected.digest !== undefined) parseDigest(expected.digest);
    const parts = {
      connection: this.#connection,
      hashers: this.#hashers,
      known: (digest: Digest, labels: Labels, call: WriteCall) => this.#known(digest, labels, call),
      closed: (ref: string) => this.#open.delete(ref),
      replace: call.anew === true ? await this.#replacing(expected, call) : undefined,
    };
    try {
      const ingest = await ContainerdIngest.open(parts, ref, expected, call);
      this.#open.set(ref, ingest);
      return ingest;
    } catch (err) {
      if (isKind(err, 'AlreadyExists')) await this.#checkSize(expected, call);
      throw err;
    }
  }

  /** How the blob of this digest is replaced; undefined when there is none. */
  async #replacing({ digest }: ExpectedBlob, call: Call): Promise<IngestParts['replace']> {
    if (digest === undefined || this.#leases === undefined) return undefined;
    const info = await ifFound(this.info(digest, call));
    if (info === undefined) return undefined;
    const deps = { connection: this.#connection, leases: this.#leases };
    await requireOnlyHere(deps, digest, call);
    return async (commit, { signal }) => {
      // Labels may have changed since the bytes began to come.
      const now = (await ifFound(this.info(digest, { signal }))) ?? info;
      const committed = await replaceBlob(deps, now, commit, { signal });
      if (await this.verify(digest, { signal })) return committed;
      throw new HawserError('DataLoss', `containerd has damaged bytes for ${digest} still`, {
        hint: 'Another client of this containerd may keep them; try again, and see the log of containerd',
      });
    };
  }

  /** containerd compares the digest only. */
  async #checkSize({ digest, size }: ExpectedBlob, call: Call): Promise<void> {
    if (digest === undefined || size === undefined) return;
    const { size: actual } = await this.info(digest, call);
    if (actual === size) return;
    throw new HawserError('DataLoss', `${digest} has ${actual} bytes, not ${size} as its descriptor says`);
  }

  async #known(digest: Digest, labels: Labels, call: WriteCall): Promise<void> {
    if (call.lease !== undefined)
      await addToLease(this.#connection, call.lease, { type: 'content', id: digest }, call);
    const { labels: present } = await this.info(digest, call);
    const missing = Object.entries(labels).filter(([key]) => present[key] === undefined);
    await this.label(digest, Object.fromEntries(missing), call);
  }

  async status(ref: string, call?: Call): Promise<IngestStatus> {
    await this.#open.get(ref)?.flush(call);
    const { status } = await this.#connection.call('content.v1.Content/Status', { ref }, call);
    return toStatus(need(status, 'the status asked for'));
  }

  async listStatuses(call?: Call): Promise<IngestStatus[]> {
    const { statuses } = await this.#connection.call('content.v1.Content/ListStatuses', {}, call);
    return statuses.map(toStatus).sort((a, b) => (a.ref < b.ref ? -1 : 1));
  }

  /** Takes the writer's lock first: containerd itself would abort an ingest that is being written. */
  async abort(ref: string, call: Call = {}): Promise<void> {
    await this.status(ref, call);
    const ingest = await this.ingest(ref, {}, call);
    await closingAfter(
      async () => void (await this.#connection.call('content.v1.Content/Abort', { ref }, call)),
      () => ingest[Symbol.asyncDispose](),
    );
  }
}

function toInfo({ digest, size, createdAt, updatedAt, labels }: Message<'Content'>): Info {
  const times = { createdAt: toMs(createdAt), updatedAt: toMs(updatedAt) };
  return { digest: parseDigest(digest), size, labels, ...times };
}

function toStatus({
  ref,
  offset,
  total,
  expected,
  startedAt,
  updatedAt,
}: Message<'IngestStatus'>): IngestStatus {
  return {
    ref,
    offset,
    total,
    expected: expected === '' ? undefined : parseDigest(expected),
    startedAt: toMs(startedAt),
    updatedAt: toMs(updatedAt),
  };
}
