/** Blobs as files: `content/blobs/<algorithm>/<hex>`, read-only, named by the digest of their content. */

import { byteStream } from '../../core/async/byte-stream.ts';
import { cleanedUp, withOpen } from '../../core/async/cleanup.ts';
import { STORED_DAMAGE } from '../../core/content/heal.ts';
import { hashed } from '../../core/content/read.ts';
import { HawserError, ifFound } from '../../core/errors.ts';
import { algorithmOf, type Digest, hexOf, makeDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';
import type { Hasher, HashName } from '../../core/ports/hashers.ts';
import type { Runtime } from '../../core/runtime.ts';

/** Bytes read at once. */
const READ_SIZE: number = 1 << 20;

/** Relative to the store's root. */
export function blobFile(digest: Digest): string {
  return `content/blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** Size of a regular file; undefined when the path is absent or anything else. */
export async function fileSize(runtime: Runtime, path: string, call?: Call): Promise<number | undefined> {
  const info = await runtime.fs.stat(path, call);
  return info?.type === 'file' ? info.size : undefined;
}

/** Feeds `length` bytes from the start of the file to the hasher. Fewer in the file is DataLoss. `rewrite`: writes them back. */
export async function hashInto(
  file: FileHandle,
  length: number,
  hasher: Hasher,
  call?: Call & { readonly rewrite?: boolean },
): Promise<void> {
  const buffer = new Uint8Array(Math.max(1, Math.min(READ_SIZE, length)));
  for (let at = 0; at < length; ) {
    call?.signal?.throwIfAborted();
    const got = await file.read(buffer.subarray(0, Math.min(buffer.length, length - at)), at);
    if (got === 0) throw new HawserError('DataLoss', `The file ended after ${at} of ${length} bytes`);
    const bytes = buffer.subarray(0, got);
    hasher.update(bytes);
    if (call?.rewrite === true) await file.write(bytes, at);
    at += got;
  }
}

/** The digest of a file. */
export async function hashFile(
  runtime: Runtime,
  path: string,
  algorithm: HashName,
  call?: Call,
): Promise<Digest> {
  return await withOpen(runtime.fs.open(path, 'read', undefined, call), async (file) => {
    const hasher = runtime.hashers.create(algorithm);
    await hashInto(file, await file.size(), hasher, call);
    return makeDigest(algorithm, hasher.digest());
  });
}

/** Makes the content of a file durable. */
export async function syncFile(runtime: Runtime, path: string, call?: Call): Promise<void> {
  await withOpen(runtime.fs.open(path, 'read', undefined, call), (file) => file.sync());
}

function lost(digest: Digest, what: string): HawserError {
  return new HawserError('DataLoss', `Cannot read blob ${digest}: ${what}`, {
    hint: STORED_DAMAGE,
  });
}

/**
 * The blob's bytes from `offset`, read as they are asked for. DataLoss when the file has another size than `size`, or, read
 * from the start, another digest. An abort errors the stream; its end, error and cancel close the file.
 */
export async function openBlobFile(
  runtime: Runtime,
  path: string,
  blob: { digest: Digest; size: number },
  offset: number,
  call?: { readonly chunk?: number } & Call,
): Promise<ReadableStream<Uint8Array>> {
  const { chunk = READ_SIZE } = call ?? {};
  const signal = call?.signal;
  const file = await openFile(runtime, path, blob, call);
  let at = offset;
  const next = async (): Promise<Uint8Array | undefined> => {
    signal?.throwIfAborted();
    if (at >= blob.size) return undefined;
    const buffer = new Uint8Array(Math.min(chunk, blob.size - at));
    const got = await file.read(buffer, at);
    if (got === 0) throw lost(blob.digest, `its file ended after ${at} of ${blob.size} bytes`);
    at += got;
    return got === buffer.length ? buffer : buffer.subarray(0, got);
  };
  const checked = offset === 0 ? hashed(next, blob.digest, runtime.hashers) : next;
  return byteStream({ next: checked, close: () => file.close() });
}

async function openFile(
  runtime: Runtime,
  path: string,
  blob: { digest: Digest; size: number },
  call?: Call,
): Promise<FileHandle> {
  const file = await ifFound(runtime.fs.open(path, 'read', undefined, call));
  if (file === undefined) throw lost(blob.digest, 'its record is there but its file is gone');
  try {
    const size = await file.size();
    if (size !== blob.size) throw lost(blob.digest, `its file has ${size} bytes, not ${blob.size}`);
    return file;
  } catch (err) {
    throw await cleanedUp(err, () => file.close());
  }
}
