import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { fsError } from './fs-error.ts';

const READ = 1024 * 1024;

/**
 * The bytes of a regular file of the store, opened at the first read, never through a symlink in the last component.
 * Closed at the end, on failure, on cancel and when the signal aborts. Errors as FileSystem maps them.
 */
export function openBlob(path: string, call: Call = {}): ReadableStream<Uint8Array> {
  const { signal } = call;
  let file: FileHandle | undefined;
  let abort = () => {};
  const close = async () => {
    signal?.removeEventListener('abort', abort);
    const open = file;
    file = undefined;
    await open?.close();
  };
  let reading: Promise<void> | undefined;
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    try {
      file ??= await openFile(path);
      const bytes = new Uint8Array(READ);
      const { bytesRead } = await file.read(bytes, 0, READ);
      if (signal?.aborted) return;
      if (bytesRead > 0) return controller.enqueue(bytes.subarray(0, bytesRead));
      await close();
      controller.close();
    } catch (err) {
      await close();
      throw fsError(err, `reading ${path}`);
    }
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      abort = () => {
        controller.error(signal?.reason);
        void Promise.resolve(reading)
          .finally(close)
          .catch(() => {});
      };
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    },
    pull(controller) {
      reading = pull(controller);
      return reading;
    },
    async cancel() {
      await reading?.catch(() => {});
      await close();
    },
  });
}

async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new HawserError('FailedPrecondition', `reading ${path}: not a regular file`);
}
