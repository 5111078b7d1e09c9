import { onAbort } from '../async/abort.ts';

/** A body as a whole. More than `limit` bytes: `undefined`, and the rest is not read. */
export async function readCapped(
  body: ReadableStream<Uint8Array>,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { bytes, ended } = await readSome(body, limit);
  return ended ? bytes : undefined;
}

/** The first `limit` bytes of a body; the rest is not read. */
export async function readSome(
  body: ReadableStream<Uint8Array>,
  limit: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; ended: boolean }> {
  // One buffer that grows: a body in tiny chunks would take many times its length, were they kept.
  let bytes = new Uint8Array(Math.min(limit, FIRST_BUFFER));
  let length = 0;
  for await (const chunk of body) {
    const room = limit - length;
    if (length + chunk.length > bytes.length)
      bytes = grown(bytes, Math.min(limit, length + chunk.length), limit);
    bytes.set(chunk.length > room ? chunk.subarray(0, room) : chunk, length);
    length += Math.min(chunk.length, room);
    if (chunk.length > room) return { bytes, ended: false };
  }
  return { bytes: bytes.subarray(0, length), ended: true };
}

const FIRST_BUFFER = 4 * 1024;

/** A copy with room for `least` bytes, and twice as much as before where `limit` allows. */
function grown(bytes: Uint8Array, least: number, limit: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(limit, Math.max(least, bytes.length * 2)));
  larger.set(bytes);
  return larger;
}

const DRAIN_BYTES = 64 * 1024;
/** Milliseconds. */
const DRAIN_TIME = 2_000;

/**
 * Ends a body that nobody wants: a short one is read, so that the connection can be used again. Never fails. As all undo work it
 * has a limit of real time, whatever the Clock says.
 */
export async function discard(body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  const stopListening = onAbort(AbortSignal.timeout(DRAIN_TIME), () => reader.cancel().catch(() => {}));
  try {
    for (let length = 0; length <= DRAIN_BYTES; ) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.length;
    }
    await reader.cancel();
  } catch {
    // Nobody wants the body.
  } finally {
    stopListening();
    reader.releaseLock();
  }
}
