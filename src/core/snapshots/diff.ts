/** The difference of two snapshots whose directories this process can read, as the blob of a layer. */
import { StackedTree } from '../archive/stacked-tree.ts';
import { writeDiff } from '../archive/write-diff.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Syscalls } from '../ports/syscalls.ts';

/** The media types of layers that can be made. */
const DIFF_TYPES = [
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
] as const;

/** NotImplemented for a media type of which no layer is made. */
export function isGzip(mediaType: string): boolean {
  if (!DIFF_TYPES.some((known) => known === mediaType)) {
    const what = `Cannot make a layer of the type ${JSON.stringify(mediaType)}`;
    throw new HawserError('NotImplemented', what, { hint: `Take one of ${DIFF_TYPES.join(', ')}` });
  }
  return mediaType.endsWith('gzip');
}

/** Pieces between two turns of others: a tree of many small files makes many. */
const PIECES_A_TURN = 64;

/**
 * The layer that makes `upper` of `lower` (each the directories of its layers, nearest first). Read piece by piece as the
 * stream is; cancelling closes all files. The trees must not change meanwhile.
 */
export function diffStream(
  sys: Syscalls,
  lower: readonly string[],
  upper: readonly string[],
  mediaType: string,
  { signal }: Call,
): ReadableStream<Uint8Array> {
  const trees = [new StackedTree(sys, lower), new StackedTree(sys, upper)] as const;
  const pieces = writeDiff(sys, ...trees);
  const close = (): void => {
    pieces.return(undefined);
    for (const tree of trees) tree.close();
  };
  const tar = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      try {
        for (let count = 1; ; count++) {
          signal?.throwIfAborted();
          const { done, value } = pieces.next();
          if (done === true) {
            close();
            controller.close();
            return;
          }
          if (value.length > 0) return controller.enqueue(value as Uint8Array<ArrayBuffer>);
          if (count % PIECES_A_TURN === 0) await new Promise((resolve) => setTimeout(resolve));
        }
      } catch (err) {
        close();
        throw err;
      }
    },
    cancel: close,
  });
  return isGzip(mediaType) ? tar.pipeThrough(new CompressionStream('gzip')) : tar;
}
