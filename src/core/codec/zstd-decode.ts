import { release } from './release.ts';
import type { ByteSource } from './source.ts';
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
  open(): ZstdDecoder;
}

/** Frames of RFC 8878 in a row, as many as there are, skippable ones too. */
export async function* decodeZstd(
  source: ByteSource,
  engine: ZstdEngine,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = engine.open();
  try {
    const frames = zstdFrames(source, !engine.joins);
    for (;;) {
      const more = frames.next();
      if (decoder.meanwhile !== undefined) yield* decoder.meanwhile(more);
      const { done, value } = await more;
      if (done) return;
      yield* decoder.decode(value.bytes, value.frameEnd);
      release(value.bytes);
    }
  } finally {
    decoder.close();
  }
}
