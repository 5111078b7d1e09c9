import type { LayerRecord } from '../archive/layer-record.ts';
import type { ImageBudget } from './image-budget.ts';
import type { ApplyJob, RebaseJob } from './workers.ts';

/**
 * Compressed bytes up to which a layer is unpacked on the main thread, once its blob is verified: starting and calling a worker
 * would cost many times the work. The bytes are taken piece by piece, with a turn of the event loop between: downloads and an
 * abort go on meanwhile, other small layers wait.
 */
export const SMALL_LAYER: number = 32 * 1024;

/** The same of an image whose layers have at most SMALL_IMAGE together: a worker for each processor takes longer to start. */
export const LAYER_OF_SMALL_IMAGE: number = 256 * 1024;
const SMALL_IMAGE = 4 << 20;

/**
 * Expanded bytes up to which such a layer is small: 32 times LAYER_OF_SMALL_IMAGE, where gzip reaches 1,032 times and zstd 32,768. The
 * layer is decoded as far as this before a byte is applied; one that goes on is a worker's.
 */
export const SMALL_EXPANDED: number = 8 << 20;

/** Compressed bytes up to which a layer of the image is small. */
export function smallLimit(image: Pick<ImageBudget, 'compressed'> | undefined): number {
  return image !== undefined && image.compressed <= SMALL_IMAGE ? LAYER_OF_SMALL_IMAGE : SMALL_LAYER;
}

/** Directories, names and guesses of a record up to which a layer is rebased on the main thread. */
const SMALL_RECORD = 64;

/**
 * Whether to apply a layer on the main thread, if it expands to no more than SMALL_EXPANDED. Not while its blob arrives, nor into a
 * copy of the parent's tree.
 */
export function isSmallLayer({ blobSize, growing, mode, image }: ApplyJob): boolean {
  return growing === null && blobSize <= smallLimit(image) && mode !== 'flat';
}

/** Whether to rebase a layer on the main thread. An opaque directory may take listing a large directory below. */
export function isSmallRebase({ mode, record }: RebaseJob): boolean {
  return mode === 'overlay' && sizeOf(record) <= SMALL_RECORD && !record.nodes.some((node) => node.opaque);
}

function sizeOf({ nodes, guesses }: LayerRecord): number {
  return nodes.reduce((sum, node) => sum + 1 + node.cuts.length, guesses.length);
}
