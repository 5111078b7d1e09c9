import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { linkAbort } from '../../core/async/abort.ts';
import { byteStream } from '../../core/async/byte-stream.ts';
import { cleanedUp } from '../../core/async/cleanup.ts';
import { Gauge } from '../../core/async/gauge.ts';
import { plain } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import type { ApplyJob } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';
import { fsError } from '../kernel/fs-error.ts';
import { checkNotFollowed } from '../kernel/no-follow.ts';

const READ = 1024 * 1024;

/** The bytes that a growing file must have gained before it is read on. */
const LEAST = 256 * 1024;

type Source = Pick<ApplyJob, 'blob' | 'blobSize' | 'growing'>;

/**
 * The bytes of a blob's file, which is opened at the first read and never through a symlink in the last component. A growing
 * file is read as far as its gauge says. The file is closed at the end, after a failure, a cancel or an abort. Errors are
 * those of FileSystem.
 */
export function openBlob(source: Source, call: Call = {}): ReadableStream<Uint8Array> {
  const { signal } = call;
  const gauge = source.growing === null ? undefined : new Gauge(source.growing.gauge);
  let position = 0;
  let file: FileHandle | undefined;
  /** Ends the wait for bytes that are still to come. */
  const stop = new AbortController();
  const unlink = linkAbort(signal, stop);
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      file ??= await openEither(source);
      const good =
        gauge === undefined
          ? rest(source, position)
          : await more(gauge, position, source.blobSize, stop.signal);
      const bytes = Buffer.allocUnsafeSlow(Math.min(READ, good));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, position);
      position += bytesRead;
      return bytesRead > 0 ? plain(bytes.subarray(0, bytesRead)) : undefined;
    } catch (err) {
      throw fsError(err, `reading ${source.blob}`);
    }
  };
  const close = (): Promise<void> | undefined => {
    unlink();
    return file?.close();
  };
  return byteStream({ next, cancel: (reason) => stop.abort(reason), close, ahead: 1, signal });
}

/** The bytes left and one more, which shows a file that is too long. A small blob gets a small buffer. */
function rest({ blobSize }: Source, position: number): number {
  return Math.max(blobSize - position + 1, LEAST / 4);
}

/** Waits for good bytes after `position` and returns their number; 0 at the end. */
async function more(gauge: Gauge, position: number, size: number, signal?: AbortSignal): Promise<number> {
  await gauge.reach(Math.min(position + LEAST, size), signal);
  if (!gauge.restarted) return Math.min(gauge.length, size) - position;
  throw new HawserError('Aborted', 'the blob is being fetched anew');
}

/** A blob that is complete has moved from `growing.path` to `blob`. */
async function openEither({ blob, growing }: Source): Promise<FileHandle> {
  if (growing === null) return await openFile(blob);
  try {
    return await openFile(growing.path);
  } catch (err) {
    if ((err as { code?: string }).code !== 'ENOENT') throw err;
    return await openFile(blob);
  }
}

async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    checkNotFollowed(path, file.fd);
    if ((await file.stat()).isFile()) return file;
    throw new HawserError('FailedPrecondition', `reading ${path}: not a regular file`);
  } catch (err) {
    throw await cleanedUp(err, () => file.close());
  }
}
