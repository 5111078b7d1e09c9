/** One blob from the registry into the content store: resumed, bounded, verified. */

import type { Ingest, Ingester, IngestManager, Labels } from '../content/content-store.ts';
import { refKey } from '../content/ref-key.ts';
import { ifFound, isKind, messageOf, reasonOf, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { BlobStatus, Report } from '../progress/events.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { Fetcher } from '../registry/registry.ts';
import { Link } from './link.ts';
import { Served } from './served.ts';
import { SplitReader } from './split-reader.ts';

export interface BlobDeps {
  readonly content: Ingester & IngestManager;
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly report: Report;
  readonly retry?: RetryOptions | undefined;
  /** Shared by all blobs of a transfer. Not given: each is fetched in one piece. */
  readonly link?: Link | undefined;
}

/** `labels`: of a blob that is new. */
export type BlobCall = WriteCall & { readonly labels?: Labels | undefined };

/** How often another process's ingest is looked at, in milliseconds. */
const FOLLOW_INTERVAL = 200;

/**
 * Returns once the blob is in the store, whoever fetched it. While another process writes it, that one is followed, and
 * taken over from if it dies. What turns out wrong is dropped and fetched once more whole, from another host where there
 * is one; wrong again is DataLoss with both digests.
 */
export async function fetchBlob(
  deps: BlobDeps,
  desc: Descriptor,
  call: BlobCall,
): Promise<'done' | 'exists'> {
  const ref = refKey(desc);
  const tell = (status: BlobStatus, offset: number) =>
    deps.report({ type: 'blob', key: ref, desc, status, offset });
  let followed = false;
  for (;;) {
    try {
      const ingest = await deps.content.ingest(ref, desc, call);
      try {
        tell('downloading', ingest.offset);
        await fill(deps, ingest, desc, call, tell);
      } finally {
        await ingest[Symbol.asyncDispose]();
      }
      tell('done', desc.size);
      return 'done';
    } catch (err) {
      if (isKind(err, 'AlreadyExists')) {
        tell(followed ? 'done' : 'exists', desc.size);
        return followed ? 'done' : 'exists';
      }
      if (!isBusy(err)) throw wrap(`Cannot fetch ${ref}`, err);
      followed = true;
      await follow(deps, ref, call, (offset) => tell('following', offset));
    }
  }
}

type Tell = (status: BlobStatus, offset: number) => void;

/** Fills and commits; once more from nothing when what came was wrong. Inline data that is wrong costs only its place. */
async function fill(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  call: BlobCall,
  tell: Tell,
): Promise<void> {
  const served = new Served();
  const fromNetwork = () => download(deps, ingest, desc, served, call, tell);
  const inline = desc.data === undefined ? [] : [() => copyInline(ingest, desc, call)];
  const sources = [...inline, fromNetwork, fromNetwork];
  for (const [at, source] of sources.entries()) {
    try {
      await source();
      tell('committing', ingest.offset);
      const { lease, labels = {}, signal } = call;
      await ingest.commit({ size: desc.size, digest: desc.digest, lease, labels, signal });
      return;
    } catch (err) {
      if (!isKind(err, 'DataLoss')) throw err;
      await ingest.reset(call);
      if (at === sources.length - 1) throw err;
      for (const host of served.hosts) deps.fetcher.distrust?.(host);
      if (served.hosts.size > 0) served.distrust();
      deps.report({ type: 'retry', key: ingest.ref, desc, reason: messageOf(err), offset: 0 });
    }
  }
}

/** The descriptor brought its content along (image-spec: `data`). */
async function copyInline(ingest: Ingest, desc: Descriptor, call: WriteCall): Promise<void> {
  if (ingest.offset > 0) await ingest.reset(call);
  if (desc.data !== undefined && desc.data.length > 0) await ingest.write(desc.data, call);
}

/** Until all bytes are in the ingest. */
async function download(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  served: Served,
  call: WriteCall,
  tell: Tell,
): Promise<void> {
  const onRetry = (err: unknown, offset: number) =>
    deps.report({ type: 'retry', key: ingest.ref, desc, reason: messageOf(err), offset });
  const { fetcher, clock, retry } = deps;
  // What did not fit together is not taken apart again.
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
  try {
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
      await ingest.write(chunk, call);
      tell('downloading', ingest.offset);
    }
  } finally {
    await reader.close();
  }
}

/** The content store's word for "another writer has this ref". */
function isBusy(err: unknown): boolean {
  return reasonOf(err, 'busy') !== undefined;
}

async function follow(
  deps: BlobDeps,
  ref: string,
  call: WriteCall,
  onOffset: (offset: number) => void,
): Promise<void> {
  const status = await ifFound(deps.content.status(ref, call));
  if (status !== undefined) onOffset(status.offset);
  await deps.clock.sleep(FOLLOW_INTERVAL, call.signal);
}
