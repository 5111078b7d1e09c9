import { startTimer, type Timer } from '../../core/async/timer.ts';
import type { BodySource } from '../../core/ports/transport.ts';

/** Bytes handed to the socket at once: so much has to go out within the limit for a stall. */
const PIECE = 64 * 1024;

export interface SendingOptions {
  /** Milliseconds in which the other side takes no piece. */
  readonly stall: number;
  readonly stalled: () => unknown;
  /** Ends the exchange. */
  readonly fail: (err: unknown) => void;
}

/** The bytes of a request, watched: `fail` is called when they cannot be read, or when nobody takes them. */
export async function* sending(
  body: BodySource,
  { stall, stalled, fail }: SendingOptions,
): AsyncGenerator<Uint8Array> {
  let timer: Timer | undefined;
  try {
    for await (const bytes of reading(body, fail)) {
      for (let at = 0; at < bytes.length; at += PIECE) {
        timer = startTimer(stall, () => fail(stalled()));
        yield bytes.subarray(at, at + PIECE);
        clearTimeout(timer);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

async function* reading(body: BodySource, fail: (err: unknown) => void): AsyncGenerator<Uint8Array> {
  try {
    yield* body.open();
  } catch (err) {
    fail(err);
    throw err;
  }
}
