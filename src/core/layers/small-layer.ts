/**
 * Compressed bytes up to which a layer is unpacked on the main thread, once its blob is verified: starting a worker, and
 * asking it, costs many times the work. Expanded it is at most some 33 MB (deflate's limit), taken piece by piece.
 */
export const SMALL_LAYER: number = 32 * 1024;
