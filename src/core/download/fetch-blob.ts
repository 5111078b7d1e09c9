/** One blob from the registry into the content store: resumed, bounded, verified. */

import { cleanupSignal } from '../async/abort.ts';
import { cleaningUp, closingAfter } from '../async/cleanup.ts';
import { Idle } from '../async/idle.ts';
import { blobKey } from '../content/blob-key.ts';
import type { Ingest, Ingester, IngestManager, Labels } from '../content/content-store.ts';
import { refKey } from '../content/ref-key.ts';
import { addNote, errnoOf, ifFound, isKind, messageOf, reasonOf, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { BlobStatus, Report } from '../progress/events.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { Fetcher } from '../registry/registry.ts';
import { Doubts } from './doubts.ts';
import { Link } from './link.ts';
import { Served } from './served.ts';
import { SplitReader } from './split-reader.ts';

export interface BlobDeps {
  readonly content: Ingester & IngestManager;
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly report: Report;
  readonly retry?: RetryOptions | undefined;
  /** Shared by all blobs of a transfer. Undefined: each is fetched as one range. */
  readonly link?: Link | undefined;
  /** Bytes on the store's disk, where they are known. */
  readonly space?: ((call: Call) => Promise<{ readonly free: number }>) | undefined;
}

export interface BlobCall extends WriteCall {
  /** For a blob that is new. */
  readonly labels?: Labels | undefined;
  /** Fetches what the store has, too, to put the bytes in the place of damaged ones. */
  readonly anew?: boolean | undefined;
  /** Ends an attempt whose bytes a reader has found wrong. */
  readonly doubts?: Doubts | undefined;
}

/** How often the ingest of another writer is looked at, in milliseconds. */
const INTERVAL = 200;
/** Milliseconds without progress after which another writer counts as stopped. */
const DEFAULT_STALL = 60_000;
/** No space left, or none of the user's quota. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

/** `new`: this call made the record, with exactly the labels of the call. */
export type Brought = 'new' | 'done' | 'exists';

/**
 * Returns once the blob is in the store, whoever fetched it. Another process that writes the blob is followed, taken over from if it
 * dies, and left behind if it stops: the blob is then fetched into an ingest beside its own. Wrong bytes are dropped and fetched
 * once more whole, from another host where there is one; wrong again is DataLoss with both digests.
 */
export async function fetchBlob(deps: BlobDeps, desc: Descriptor, call: BlobCall): Promise<Brought> {
  const [key, ownRef] = [blobKey(desc), refKey(desc)];
  const tell: Tell = (status, offset) => deps.report({ type: 'blob', key, desc, status, offset });
  let idle: Idle<number> | undefined;
  let stopped = 0;
  for (;;) {
    const ref = stopped === 0 ? ownRef : `${ownRef}+${stopped}`;
    const outcome = await ingestBlob(deps, ref, desc, call, tell);
    if (outcome === 'new' || outcome === 'done') return outcome;
    if (outcome === 'exists') {
      const status = idle === undefined ? 'exists' : 'done';
      tell(status, desc.size);
      return status;
    }
    const offset = await offsetOf(deps, ref, desc, call);
    tell('following', offset);
    idle ??= idleWriter(deps, desc);
    if (idle.goesOn(offset)) {
      await deps.clock.sleep(INTERVAL, call.signal);
    } else {
      stopped++;
      idle = idleWriter(deps, desc);
    }
  }
}

type Tell = (status: BlobStatus, offset: number) => void;

/** Into this ref. `busy`: another writer has it. */
async function ingestBlob(
  deps: BlobDeps,
  ref: string,
  desc: Descriptor,
  call: BlobCall,
  tell: Tell,
): Promise<Brought | 'busy'> {
  try {
    const ingest = await deps.content.ingest(ref, desc, call);
    const filled = async (): Promise<void> => {
      tell('downloading', ingest.offset);
      try {
        await fill(deps, ingest, desc, call, tell);
      } catch (err) {
        if (FULL.has(errnoOf(err) ?? '')) await dropHopeless(deps, ingest, desc, err);
        throw err;
      }
    };
    await cleaningUp(filled, () => ingest[Symbol.asyncDispose]());
    tell('done', desc.size);
    return ingest.isNew === true ? 'new' : 'done';
  } catch (err) {
    if (isKind(err, 'AlreadyExists')) return 'exists';
    if (reasonOf(err, 'busy') !== undefined) return 'busy';
    const { place } = deps.fetcher;
    throw wrap(`Cannot fetch ${blobKey(desc)}${place === undefined ? '' : ` from ${place}`}`, err);
  }
}

/** The disk is full: bytes of a blob that cannot fit even with the space that is free now are given back. */
async function dropHopeless(
  { space }: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  err: unknown,
): Promise<void> {
  const call = { signal: cleanupSignal() };
  try {
    const free = (await space?.(call))?.free;
    if (free !== undefined && free + ingest.offset < desc.size) await ingest.reset(call);
  } catch (failure) {
    addNote(err, messageOf(failure));
  }
}

function idleWriter({ clock, report, retry }: BlobDeps, desc: Descriptor): Idle<number> {
  return new Idle(clock, retry?.stall ?? DEFAULT_STALL, (seconds, milliseconds) => {
    const reason = `another process fetches ${blobKey(desc)}, and has written nothing for ${seconds} s`;
    report({ type: 'waiting', reason, milliseconds });
  });
}

/** How many bytes the writer has that is in the way of this ref. */
async function offsetOf(
  { content }: BlobDeps,
  ref: string,
  { digest }: Descriptor,
  call: Call,
): Promise<number> {
  const status = content.inTheWay?.(ref, digest, call) ?? content.status(ref, call);
  return (await ifFound(status))?.offset ?? 0;
}

/**
 * Fills and commits. Wrong bytes are dropped and all is fetched once more; wrong inline data does not count as a try.
 */
async function fill(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  call: BlobCall,
  tell: Tell,
): Promise<void> {
  const served = new Served();
  const { doubts = new Doubts() } = call;
  const fromNetwork = () =>
    doubts.during(call.signal, (signal) => download(deps, ingest, desc, served, { ...call, signal }, tell));
  const inline = desc.data === undefined ? [] : [() => copyInline(ingest, desc, call)];
  const sources = [...inline, fromNetwork, fromNetwork];
  const { lease, labels = {}, signal } = call;
  try {
    for (const [at, source] of sources.entries()) {
      try {
        await source();
        doubts.settle(false);
        tell('committing', ingest.offset);
        await ingest.commit({ size: desc.size, digest: desc.digest, lease, labels, signal });
        return;
      } catch (err) {
        if (!isKind(err, 'DataLoss')) throw err;
        await dropBytes(ingest, err, call);
        if (at === sources.length - 1) throw err;
        blame(deps, served, doubts.raised);
        doubts.settle(true);
        deps.report({ type: 'retry', key: blobKey(desc), desc, reason: messageOf(err), offset: 0 });
      }
    }
  } finally {
    doubts.settle(false);
  }
}

/** Throws `err` where its bytes cannot be dropped. */
async function dropBytes(ingest: Ingest, err: unknown, call: Call): Promise<void> {
  call.signal?.throwIfAborted();
  try {
    await ingest.reset(call);
  } catch (failure) {
    addNote(err, messageOf(failure));
    throw err;
  }
}

/** Asks other hosts from now on, where there are any. A doubted blob may be as it was published, which is no fault of a host. */
function blame({ fetcher }: BlobDeps, served: Served, doubted: boolean): void {
  if (served.hosts.size === 0) return;
  if (!doubted) for (const host of served.suspects) fetcher.distrust?.(host);
  served.distrust();
}

/** The descriptor brought its content along (image-spec: `data`). */
async function copyInline(ingest: Ingest, desc: Descriptor, call: WriteCall): Promise<void> {
  if (ingest.offset > 0) await ingest.reset(call);
  if (desc.data !== undefined && desc.data.length > 0) await ingest.write(desc.data, call);
}

/** Writes until all bytes are in the ingest. */
async function download(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  served: Served,
  call: WriteCall,
  tell: Tell,
): Promise<void> {
  const onRetry = (err: unknown, offset: number) =>
    deps.report({ type: 'retry', key: blobKey(desc), desc, reason: messageOf(err), offset });
  const { fetcher, clock, retry } = deps;
  // Parts that did not fit together are not fetched as parts again.
  const link = served.distrusted
    ? new Link(clock, { lanes: 1 })
    : (deps.link ?? new Link(clock, { lanes: 1 }));
  const reader = new SplitReader(
    { fetcher, clock, retry, onRetry },
    desc,
    ingest.offset,
    { served, link },
    call,
  );
  const giving = { ...call, isGiven: fetcher.gives };
  const readAll = async (): Promise<void> => {
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
      await ingest.write(chunk, giving);
      tell('downloading', ingest.offset);
    }
  };
  await closingAfter(readAll, () => reader.close());
}
