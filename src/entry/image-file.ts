/** The files of an open image as a program sees them, on every runtime. */
import { canceled, cancelSignal, linkAbort } from '../core/async/abort.ts';
import { byteStream } from '../core/async/byte-stream.ts';
import { display, toBytes } from '../core/bytes.ts';
import { HawserError } from '../core/errors.ts';
import type { ContentPiece } from '../core/files/contents.ts';
import { type FileType, type TreeEntry, typeOf } from '../core/files/entries.ts';
import { zeros } from '../core/files/write-tar.ts';
import type { Call } from '../core/ports/call.ts';
import { findFile, listFiles, type OpenImage } from '../core/verbs/files.ts';
import { spelled } from './called.ts';

/** Something in an image. */
export interface ImageFile {
  /** From the root: `/etc/passwd`. What is not UTF-8 is shown as U+FFFD. */
  readonly path: string;
  /** What the thing is; of a symlink, not of what the symlink leads to. */
  readonly type: FileType;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  /** The owner, as the image says. */
  readonly uid: number;
  /** The group, as the image says. */
  readonly gid: number;
  /** Bytes of a file, holes included; else 0. */
  readonly size: number;
  /** Seconds since 1970, and nanoseconds. */
  readonly mtime: { readonly sec: number; readonly nsec: number };
  /** Of a symlink; else ''. */
  readonly target: string;
  /** How many names a file has. */
  readonly links: number;
  /**
   * The bytes of a file, all of them verified, read at the reader's speed; while the iteration lasts, whose end cancels them. The layer is read
   * again up to the file, unless it is small. FailedPrecondition for what is no file, and after the iteration.
   */
  content(call?: Call): ReadableStream<Uint8Array>;
}

/**
 * What is at `path`, and of a directory all that is below. `close` gives back what the image was opened with. `signal` ends the iteration, and is
 * aborted when the iteration is over.
 */
export async function* imageFiles(
  { image, close }: { readonly image: OpenImage; close(): Promise<void> },
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ImageFile> {
  try {
    const listing = await listFiles(image, path, { deep: true, signal });
    for (const entry of listing.entries) {
      signal.throwIfAborted();
      yield imageFile(image, entry, signal);
    }
  } finally {
    await close().catch(() => {});
  }
}

/** The bytes of the file at a path, symlinks followed. */
export async function fileOf(
  image: OpenImage,
  path: string,
  call: Call,
): Promise<ReadableStream<Uint8Array>> {
  return contentStream(image, await findFile(image, path, call), [call.signal]);
}

function imageFile(image: OpenImage, { path, node }: TreeEntry, iteration: AbortSignal): ImageFile {
  const { mode, uid, gid, mtime, target, nlink } = node;
  const type = typeOf(node);
  const text = new TextDecoder();
  return {
    path: `/${text.decode(toBytes(path))}`,
    ...{ type, mode: mode & 0o7777, uid, gid, mtime },
    size: node.content?.size ?? 0,
    target: text.decode(toBytes(target)),
    links: type === 'directory' ? 1 : nlink,
    content: (call = {}) => {
      if (type !== 'file')
        throw new HawserError('FailedPrecondition', `/${display(path)} is no file, but a ${type}`);
      if (iteration.aborted)
        throw new HawserError(
          'FailedPrecondition',
          `Cannot read /${display(path)}: the iteration has ended`,
          {
            hint: 'Read the content of a file inside the loop over files(), or by its path with open()',
            cause: iteration.reason,
          },
        );
      return contentStream(image, node, [iteration, call.signal]);
    },
  };
}

/** The stream ends with each of `signals`, with an error of kind Canceled. */
function contentStream(
  { files }: OpenImage,
  node: TreeEntry['node'],
  signals: readonly (AbortSignal | undefined)[],
): ReadableStream<Uint8Array> {
  const own = new AbortController();
  const parents = signals.map(cancelSignal);
  const unlinks = parents.map(({ signal }) => linkAbort(signal, own));
  const bytes = spelled(bytesOf(files.content(node, { signal: own.signal })));
  return byteStream({
    next: async () => (await bytes.next()).value,
    cancel: async (reason) => {
      // `return` waits for a read that is running, which ends by the signal.
      own.abort(canceled(reason));
      await bytes.return(undefined);
    },
    close: () => {
      for (const unlink of unlinks) unlink();
      for (const { stop } of parents) stop();
    },
    signal: own.signal,
  });
}

async function* bytesOf(pieces: AsyncGenerator<ContentPiece>): AsyncGenerator<Uint8Array, undefined> {
  for await (const piece of pieces) {
    if (piece.type === 'hole') yield* zeros(piece.length);
    // The reader may keep the bytes.
    else yield new Uint8Array(piece.bytes);
  }
  return undefined;
}
