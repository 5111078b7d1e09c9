import { release } from './release.ts';
import type { ByteSource } from './source.ts';
import { UNCOUNTED_WINDOW, type Windows } from './windows.ts';
import { zstdFrames } from './zstd-frames.ts';

/** Decodes whole frames that come in pieces. Chunks it yields are the reader's to keep. */
export interface ZstdDecoder {
  /** `frameEnd`: a frame must be complete after this input, or it is DataLoss. */
  decode(input: Uint8Array, frameEnd: boolean): AsyncGenerator<Uint8Array, void, undefined>;
  /** As an `Inflater`'s. */
  meanwhile?(more: Promise<unknown>): AsyncGenerator<Uint8Array, void, undefined>;
  close(): void;
}

export interface ZstdEngine {
  /** One input may hold bytes of several frames. */
  readonly joins: boolean;
  /** The memory of a closed decoder stays until garbage is collected. */
  readonly lingers: boolean;
  open(): ZstdDecoder;
}

/**
 * Frames of RFC 8878 in a row, as many as there are, skippable ones too. With `windows`, a large window is reserved there before a
 * decoder gets the frame's header; for a larger one than before the decoder is closed first, and another opened.
 * What an engine that lingers had reserved is given back at the thread's end.
 */
export async function* decodeZstd(
  source: ByteSource,
  engine: ZstdEngine,
  windows?: Windows,
): AsyncGenerator<Uint8Array, void, undefined> {
  let decoder = engine.open();
  let reserved = UNCOUNTED_WINDOW;
  try {
    const frames = zstdFrames(source, !engine.joins);
    for (;;) {
      const more = frames.next();
      if (decoder.meanwhile !== undefined) yield* decoder.meanwhile(more);
      const { done, value } = await more;
      if (done) return;
      if (windows !== undefined && value.window > reserved) {
        decoder.close();
        await windows.reserve(value.window, source.signal);
        reserved = value.window;
        decoder = engine.open();
      }
      yield* decoder.decode(value.bytes, value.frameEnd);
      release(value.bytes);
    }
  } finally {
    decoder.close();
    if (!engine.lingers) windows?.release();
  }
}
