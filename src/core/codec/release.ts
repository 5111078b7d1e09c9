/** Shorter ones are not worth a call, and may lie in a pool. */
const WORTH = 16 * 1024;

/**
 * Gives back the memory of bytes that have a buffer to themselves, as what a socket brings has; nobody may use them after. Left to the
 * garbage collector, the buffers of sockets cost a sixth of the processor time of a download.
 */
export function releaseWhole({ buffer, length }: Uint8Array): void {
  if (length >= WORTH && length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Smaller buffers may be parts of pools. */
const LARGE = 256 * 1024;

/**
 * Gives back the memory of the last chunk of a buffer; nobody may use the buffer after. Left to the garbage collector, which
 * runs for every few dozen MiB of buffers, this memory costs a sixth of a pull's processor time.
 */
export function release({ buffer, byteOffset, length }: Uint8Array): void {
  const last = byteOffset + length === buffer.byteLength;
  if (last && buffer.byteLength >= LARGE && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
