import type { ServerResponse as Outgoing } from 'node:http';
import { startTimer } from '../../core/async/timer.ts';
import { HawserError } from '../../core/errors.ts';

/** Bytes handed to the connection at once: what a client must take within the time limit. */
const PIECE = 64 * 1024;

export interface SendOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for a piece. */
  readonly stall: number;
}

/** Sends a body at the client's speed. Throws when the client is gone or too slow, or the body fails: it is then not whole. */
export async function sendBody(
  response: Outgoing,
  body: Uint8Array | ReadableStream<Uint8Array>,
  options: SendOptions,
): Promise<void> {
  if (body instanceof Uint8Array) {
    await sendPieces(response, body, options);
    response.end();
    return;
  }
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read())
      await sendPieces(response, part.value, options);
    response.end();
  } catch (err) {
    await reader.cancel(err).catch(() => {});
    throw err;
  }
}

async function sendPieces(response: Outgoing, bytes: Uint8Array, options: SendOptions): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    options.signal.throwIfAborted();
    if (!response.write(bytes.subarray(at, at + PIECE))) await drained(response, options);
  }
}

/** Resolves when the connection takes more. */
function drained(response: Outgoing, { signal, stall }: SendOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (then: () => void) => {
      clearTimeout(timer);
      response.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
      then();
    };
    const onDrain = () => leave(resolve);
    const onAbort = () => leave(() => reject(signal.reason));
    const slow = new HawserError(
      'DeadlineExceeded',
      `the client took nothing for ${Math.round(stall / 1000)} s`,
    );
    const timer = startTimer(stall, () => leave(() => reject(slow)));
    response.once('drain', onDrain);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}
