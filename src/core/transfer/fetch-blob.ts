/** One blob from the registry into the content store: resumed, bounded, verified. */

import { refKey } from '../content/ref-key.ts';
import type { Ingest, Ingester, IngestManager } from '../content/roles.ts';
import { HawserError, isKind, messageOf, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { BlobStatus, Report } from '../progress/events.ts';
import { isRetryable, retryDelay } from '../registry/retry.ts';
import type { Fetcher } from '../registry/roles.ts';

export interface BlobDeps {
  readonly content: Ingester & IngestManager;
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly report: Report;
}

/** Tries in a row that brought not one byte before a blob is given up. */
const MAX_FRUITLESS_TRIES = 5;
/** How often another process's ingest is looked at, in milliseconds. */
const FOLLOW_INTERVAL = 200;

/**
 * Returns once the blob is in the store, whoever fetched it. While another process writes it, that one is followed, and
 * taken over from if it dies. A body whose digest is wrong is dropped and fetched once more whole; wrong again is
 * DataLoss with both digests.
 */
export async function fetchBlob(
  deps: BlobDeps,
  desc: Descriptor,
  call: WriteCall,
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

/** Downloads and commits; the second time from nothing. */
async function fill(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  call: WriteCall,
  tell: Tell,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await download(deps, ingest, desc, call, tell);
      tell('committing', ingest.offset);
      await ingest.commit({ size: desc.size, digest: desc.digest, lease: call.lease, signal: call.signal });
      return;
    } catch (err) {
      if (!isKind(err, 'DataLoss')) throw err;
      await ingest.reset(call);
      if (attempt === 2) throw err;
      deps.report({ type: 'retry', key: ingest.ref, desc, reason: messageOf(err), offset: 0 });
    }
  }
}

/** Until all bytes are in the ingest. A connection lost is taken up again at the current byte. */
async function download(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  call: WriteCall,
  tell: Tell,
): Promise<void> {
  let fruitless = 0;
  while (ingest.offset < desc.size) {
    const before = ingest.offset;
    try {
      await copyOnce(deps, ingest, desc, call, tell);
      // Once may be a connection that ended without telling; a second time, with nothing more, it is all there is.
      if (ingest.offset === before) throw short(desc, ingest.offset);
      if (ingest.offset < desc.size) throw ended(desc, ingest.offset);
    } catch (err) {
      call.signal?.throwIfAborted();
      if (!isRetryable(err)) throw err;
      fruitless = ingest.offset > before ? 0 : fruitless + 1;
      if (fruitless >= MAX_FRUITLESS_TRIES) throw err;
      deps.report({ type: 'retry', key: ingest.ref, desc, reason: messageOf(err), offset: ingest.offset });
      await deps.clock.sleep(retryDelay(err, fruitless, Math.random()), call.signal);
    }
  }
}

/** One response into the ingest, from wherever it starts. */
async function copyOnce(
  deps: BlobDeps,
  ingest: Ingest,
  desc: Descriptor,
  call: WriteCall,
  tell: Tell,
): Promise<void> {
  const { body, offset } = await deps.fetcher.fetch(desc, { offset: ingest.offset, signal: call.signal });
  let skip = ingest.offset - offset;
  for await (const chunk of body) {
    if (skip >= chunk.length) {
      skip -= chunk.length;
      continue;
    }
    await ingest.write(skip > 0 ? chunk.subarray(skip) : chunk, call);
    skip = 0;
    tell('downloading', ingest.offset);
  }
}

function ended(desc: Descriptor, got: number): HawserError {
  return new HawserError(
    'Unavailable',
    `The body of ${desc.digest} ended after ${got} of ${desc.size} bytes`,
    {
      data: { code: 'UNEXPECTED_END' },
    },
  );
}

function short(desc: Descriptor, got: number): HawserError {
  return new HawserError(
    'Unavailable',
    `The registry has only ${got} of the ${desc.size} bytes of ${desc.digest}`,
    {
      hint: 'The blob at the registry is shorter than the manifest says; it must be pushed again',
      data: { code: 'SHORT' },
    },
  );
}

/** The content store's word for "another writer has this ref". Network failures are Unavailable too, but carry a code. */
function isBusy(err: unknown): boolean {
  return isKind(err, 'Unavailable') && (err as HawserError).data?.busy === true;
}

async function follow(
  deps: BlobDeps,
  ref: string,
  call: WriteCall,
  onOffset: (offset: number) => void,
): Promise<void> {
  try {
    onOffset((await deps.content.status(ref, call)).offset);
  } catch (err) {
    if (!isKind(err, 'NotFound')) throw err;
  }
  await deps.clock.sleep(FOLLOW_INTERVAL, call.signal);
}
