/** Content from the registry straight to a reader, through no store. */
import { linkAbort } from '../async/abort.ts';
import { byteStream } from '../async/byte-stream.ts';
import { closingAfter } from '../async/cleanup.ts';
import { HawserError, messageOf, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, makeDigest } from '../oci/digest.ts';
import { isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Report } from '../progress/events.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { Fetcher } from '../registry/registry.ts';
import { Link, type SplitOptions } from './link.ts';
import { fetchSchema1 } from './schema1-manifest.ts';
import { Served } from './served.ts';
import { SplitReader } from './split-reader.ts';

export interface StreamDeps {
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly hashers: Hashers;
  readonly report: Report;
  readonly retry?: RetryOptions | undefined;
  readonly split?: SplitOptions | undefined;
}

/**
 * Writes the bytes in order as they come, at most `desc.size`, and waits for each `write`. They are verified after the last
 * write: another size or digest is DataLoss, and the written bytes are worth nothing. A schema 1 manifest is verified first and
 * written without its signature, as its digest is of that form.
 */
export async function streamBlob(
  deps: StreamDeps,
  desc: Descriptor,
  write: (bytes: Uint8Array) => Promise<void>,
  call: Call,
): Promise<void> {
  let written = 0;
  const count = async (bytes: Uint8Array): Promise<void> => {
    await write(bytes);
    written += bytes.length;
  };
  try {
    if (isSchema1Type(desc.mediaType)) await count(await fetchSchema1(deps, desc, call));
    else await readVerified(deps, desc, count, call);
  } catch (err) {
    const failure = wrap(`Cannot fetch ${desc.digest}`, err);
    throw written === 0 ? failure : spoilt(failure, written);
  }
}

/** Gives the bytes in order, over lost connections; DataLoss in the end when they are not those of `desc`. */
export async function readVerified(
  deps: StreamDeps,
  desc: Descriptor,
  write: (bytes: Uint8Array) => Promise<void>,
  call: Call,
): Promise<void> {
  const { next, close } = verifiedReads(deps, desc, call);
  const readAll = async (): Promise<void> => {
    for (let chunk = await next(); chunk !== undefined; chunk = await next()) await write(chunk);
  };
  await closingAfter(readAll, close);
}

/** The same as a stream, whose end is DataLoss; cancelling it ends the download. */
export function verifiedStream(deps: StreamDeps, desc: Descriptor, call: Call): ReadableStream<Uint8Array> {
  const own = new AbortController();
  const stopListening = linkAbort(call.signal, own);
  const { next, close } = verifiedReads(deps, desc, { signal: own.signal });
  return byteStream({
    next,
    cancel: (reason) => own.abort(reason),
    close: async () => {
      stopListening();
      await close();
    },
  });
}

function verifiedReads(
  { fetcher, clock, hashers, report, retry, split }: StreamDeps,
  desc: Descriptor,
  call: Call,
): { next(): Promise<Uint8Array | undefined>; close(): Promise<void> } {
  const { digest, size } = desc;
  const algorithm = algorithmOf(digest);
  const hasher = hashers.create(algorithm);
  const onRetry = (err: unknown, offset: number) =>
    report({ type: 'retry', key: digest, desc, reason: messageOf(err), offset });
  const state = { served: new Served(), link: new Link(clock, split) };
  const reader = new SplitReader({ fetcher, clock, retry, onRetry }, desc, 0, state, call);
  let left = size;
  const next = async (): Promise<Uint8Array | undefined> => {
    const chunk = await reader.read();
    if (chunk !== undefined) {
      if (chunk.length > left) throw wrong(`more than the ${size} bytes that it was said to have`);
      left -= chunk.length;
      hasher.update(chunk);
      return chunk;
    }
    const got = makeDigest(algorithm, hasher.digest());
    if (got !== digest) throw wrong(`content is ${got}, want ${digest}`);
    return undefined;
  };
  return { next, close: () => reader.close() };
}

function spoilt({ kind, message, hint, reason, cause }: HawserError, written: number): HawserError {
  const hints = [
    `Throw away the ${written} bytes of it that were written`,
    ...(hint === undefined ? [] : [hint]),
  ];
  return new HawserError(kind, message, { hint: hints.join('. '), reason, cause });
}

function wrong(what: string): HawserError {
  return new HawserError('DataLoss', what, {
    hint: 'The bytes are not those that the image names: try again, or around what changes them (a proxy, a cache, a mirror, an archive)',
  });
}
