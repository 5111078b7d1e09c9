/** Below it buffers may be parts of pools. */
const LARGE = 256 * 1024;

/**
 * Gives back the memory of a chunk that was the last of its buffer; nobody may use any of it after. Left to the garbage
 * collector, which runs for every few dozen MiB of buffers, it costs a sixth of the whole work (and the pages of each new
 * buffer).
 */
export function release({ buffer, byteOffset, length }: Uint8Array): void {
  const last = byteOffset + length === buffer.byteLength;
  if (last && buffer.byteLength >= LARGE && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
