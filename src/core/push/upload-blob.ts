/** One blob, over lost connections and forgotten uploads. */
import { closingAfter } from '../async/cleanup.ts';
import { blobKey } from '../content/blob-key.ts';
import type { Provider } from '../content/content-store.ts';
import { HawserError, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { BlobStatus, Report } from '../progress/events.ts';
import { codeOf, isRetryable, statusOf } from '../registry/failures.ts';
import { Patience, type RetryOptions } from '../registry/patience.ts';
import type { RepositoryWriter } from '../registry/registry.ts';
import { BlobReader } from './blob-reader.ts';
import { hasBlob } from './receipt.ts';
import { UploadSession } from './upload-session.ts';

export interface UploadDeps {
  readonly writer: RepositoryWriter;
  readonly content: Provider;
  readonly clock: Clock;
  readonly report: Report;
  readonly retry: RetryOptions | undefined;
  /** Bytes of a part. Not given: a blob is sent in one request, and in parts after a lost connection. */
  readonly chunkSize: number | undefined;
  readonly contact: Contact;
}

/** Whether the registry has answered during this push: one that never did is more likely named wrongly than down. */
export interface Contact {
  isMade: boolean;
}

/** How a blob came to the registry: it was there, another repository had it, or its bytes were sent. */
export type Arrival = Extract<BlobStatus, 'exists' | 'mounted' | 'done'>;

/** Bytes of a part after a lost connection: no more is sent twice. */
const PART = 16 << 20;
/** How often an upload that the registry has forgotten is begun anew. */
const MAX_ANEW = 3;
/** How often bytes that were sent and lost count as progress: a slow connection may take longer for them than patience lasts. */
const MAX_LOST = 3;

/** `from`: a repository of the same host that may have the blob. */
export async function uploadBlob(
  deps: UploadDeps,
  desc: Descriptor,
  from: string | undefined,
  call: Call,
): Promise<Arrival> {
  const upload = new Upload(deps, desc, from, call);
  const patience = new Patience(deps.clock, deps.retry);
  const untilThere = async (): Promise<Arrival> => {
    for (;;) {
      try {
        return await upload.attempt();
      } catch (err) {
        call.signal?.throwIfAborted();
        if (upload.beginsAnew(err)) continue;
        if (deps.contact.isMade) patience.reached();
        const wait = patience.next(err, upload.gained());
        deps.report({
          type: 'retry',
          key: blobKey(desc),
          desc,
          reason: messageOf(err),
          offset: upload.stored,
        });
        await deps.clock.sleep(wait, call.signal);
      }
    }
  };
  return await closingAfter(untilThere, () => upload.close());
}

class Upload {
  readonly #deps: UploadDeps;
  readonly #desc: Descriptor;
  readonly #call: Call;
  readonly #reader: BlobReader;
  #from: string | undefined;
  #session: UploadSession | undefined;
  /** Bytes of a part; undefined: the blob is sent in one request. */
  #part: number | undefined;
  /** Bytes that the registry has said to have. */
  stored = 0;
  #storedBefore = 0;
  /** Bytes handed to the connection. */
  #sent = 0;
  #anew = 0;
  /** The registry has other bytes than those that were sent. */
  #isSpoilt = false;
  #refused = 0;
  #lost = 0;

  constructor(deps: UploadDeps, desc: Descriptor, from: string | undefined, call: Call) {
    this.#deps = deps;
    this.#desc = desc;
    this.#from = from;
    this.#call = call;
    this.#part = deps.chunkSize;
    this.#reader = new BlobReader(deps.content, desc, call, (position) => {
      this.#sent = position;
      this.#tell(position);
    });
  }

  #tell(offset: number): void {
    const desc = this.#desc;
    this.#deps.report({ type: 'blob', key: blobKey(desc), desc, status: 'uploading', offset });
  }

  async attempt(): Promise<Arrival> {
    const session = (await this.#resumed()) ?? (await this.#begun());
    if (typeof session === 'string') return session;
    const { size } = this.#desc;
    if (this.stored === 0 && (this.#part === undefined || this.#part >= size)) {
      // What a lost connection takes away is sent in parts then.
      this.#part ??= PART;
      this.#tell(0);
      await session.sendWhole(this.#reader.part(0, size), this.#call);
    } else await this.#sendParts(session, this.#part ?? PART);
    this.#session = undefined;
    return 'done';
  }

  /** The upload that was broken off, where the registry knows how far it came. */
  async #resumed(): Promise<UploadSession | undefined> {
    const stored = this.#isSpoilt ? undefined : await this.#session?.position(this.#call);
    if (stored === undefined || stored > this.#desc.size) {
      await this.#forget();
      return undefined;
    }
    this.stored = stored;
    return this.#session;
  }

  /** The blob may be there, though the answer that said so was lost. */
  async #begun(): Promise<UploadSession | Arrival> {
    const { writer, contact } = this.#deps;
    const isThere = await hasBlob(writer, this.#desc, this.#call);
    contact.isMade = true;
    if (isThere) return this.#sent > 0 ? 'done' : 'exists';
    const session = await this.#start();
    if (session !== 'mounted') this.#session = session;
    return session;
  }

  async #sendParts(session: UploadSession, part: number): Promise<void> {
    const { size } = this.#desc;
    const length = Math.max(part, session.minChunk);
    this.#tell(this.stored);
    while (this.stored < size) {
      const end = Math.min(size, this.stored + length);
      const stored = await session.sendPart(this.stored, this.#reader.part(this.stored, end), this.#call);
      // Of less than what was sent the rest is sent again.
      if (stored <= this.stored || stored > end) throw misplaced(this.#desc, stored, end);
      this.stored = stored;
    }
    await session.finish(this.#call);
  }

  /** A refused mount is no failure of the upload, which is begun without. */
  async #start(): Promise<UploadSession | 'mounted'> {
    const { writer } = this.#deps;
    const from = this.#from;
    this.#from = undefined;
    if (from !== undefined) {
      try {
        return await UploadSession.start(writer, this.#desc, from, this.#call);
      } catch (err) {
        if (statusOf(err) === undefined || isRetryable(err)) throw err;
      }
    }
    return await UploadSession.start(writer, this.#desc, undefined, this.#call);
  }

  /** Whether the failure is that of one upload: the registry has forgotten it, or was sent bytes that were damaged on the way. */
  beginsAnew(err: unknown): boolean {
    // A source that lacks the blob answers 404, too.
    if (this.#session === undefined || this.#reader.hasFailed) return false;
    const code = codeOf(err);
    if (code === 'DIGEST_INVALID') {
      this.#isSpoilt = true;
      return ++this.#refused === 1;
    }
    const status = statusOf(err);
    const isForgotten = status === 404 || status === 416 || code === 'BLOB_UPLOAD_INVALID';
    return isForgotten && ++this.#anew <= MAX_ANEW;
  }

  /** Bytes of progress since the failure before. */
  gained(): number {
    const gained = this.stored - this.#storedBefore;
    this.#storedBefore = Math.max(this.stored, this.#storedBefore);
    return gained > 0 || this.#lost++ >= MAX_LOST ? Math.max(0, gained) : this.#sent;
  }

  async #forget(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#isSpoilt = false;
    this.stored = 0;
    await session?.cancel();
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#forget();
  }
}

function misplaced({ digest }: Descriptor, stored: number, end: number): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `Cannot push ${digest}: the registry says to have ${stored} bytes, of ${end} that were sent`,
    { hint: 'The registry cannot take blobs in parts: leave --chunk-size away' },
  );
}
