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
  const chunks: Uint8Array[] = [];
  let length = 0;
  let ended = true;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > limit) {
      ended = false;
      break;
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return { bytes: bytes.subarray(0, limit), ended };
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
