import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { byteStream } from '../../core/async/byte-stream.ts';
import { Gauge } from '../../core/async/gauge.ts';
import { HawserError } from '../../core/errors.ts';
import type { ApplyJob } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';
import { fsError } from '../kernel/fs-error.ts';

const READ = 1024 * 1024;

/** Of a growing file, so much is waited for before it is read on. */
const LEAST = 256 * 1024;

type Source = Pick<ApplyJob, 'blob' | 'blobSize' | 'growing'>;

/**
 * The bytes of a blob, opened at the first read, never through a symlink in the last component. Of one that is growing,
 * each byte as soon as it is good. Closed at the end, on failure, on cancel and when the signal aborts. Errors as
 * FileSystem maps them.
 */
export function openBlob(source: Source, call: Call = {}): ReadableStream<Uint8Array> {
  const { signal } = call;
  const gauge = source.growing === null ? undefined : new Gauge(source.growing.gauge);
  let position = 0;
  let file: FileHandle | undefined;
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      file ??= await openEither(source);
      const good =
        gauge === undefined ? rest(source, position) : await more(gauge, position, source.blobSize, signal);
      const bytes = Buffer.allocUnsafeSlow(Math.min(READ, good));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, position);
      position += bytesRead;
      return bytesRead > 0 ? bytes.subarray(0, bytesRead) : undefined;
    } catch (err) {
      throw fsError(err, `reading ${source.blob}`);
    }
  };
  return byteStream({ next, close: () => file?.close(), ahead: 1, signal });
}

/** What is left of the blob, and a byte by which one that is longer would be found out. A small blob needs no large buffer. */
function rest({ blobSize }: Source, position: number): number {
  return Math.max(blobSize - position + 1, LEAST / 4);
}

/** How many good bytes there are from `position` on, once there are some; 0 at the end. */
async function more(gauge: Gauge, position: number, size: number, signal?: AbortSignal): Promise<number> {
  await gauge.reach(Math.min(position + LEAST, size), signal);
  if (!gauge.restarted) return Math.min(gauge.length, size) - position;
  throw new HawserError('Aborted', 'the blob is being fetched anew');
}

/** A blob that is complete moves from where it grew to where it stays. */
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
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new HawserError('FailedPrecondition', `reading ${path}: not a regular file`);
}
