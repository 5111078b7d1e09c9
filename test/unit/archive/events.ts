/** A sink that writes down what a TarReader says. */
import { Buffer } from 'node:buffer';
import type { TarEntry, TarSink } from '../../../src/core/archive/entry.ts';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';

export interface Recorded {
  readonly entry: TarEntry;
  /** The content with holes filled, latin1. */
  content: string;
  /** `d3 h5`: data and holes in order, data runs joined. */
  shape: string;
  ended: boolean;
}

/** `whole`: by a sink that takes files whole. */
export function record(chunks: Iterable<Uint8Array>, whole = false): Recorded[] {
  const out: Recorded[] = [];
  const runs: [string, number][] = [];
  const run = (kind: string, length: number): void => {
    const last = runs.at(-1);
    if (last?.[0] === kind) last[1] += length;
    else runs.push([kind, length]);
  };
  const sink: TarSink = {
    entry(entry) {
      runs.length = 0;
      out.push({ entry, content: '', shape: '', ended: false });
    },
    data(bytes) {
      run('d', bytes.length);
      const last = out.at(-1);
      if (last) last.content += Buffer.from(bytes).toString('latin1');
    },
    hole(length) {
      run('h', length);
      const last = out.at(-1);
      if (last && length < 1 << 20) last.content += '\0'.repeat(length);
    },
    entryEnd() {
      const last = out.at(-1);
      if (last === undefined || last.ended) throw new Error('entryEnd out of order');
      last.shape = runs.map(([kind, length]) => `${kind}${length}`).join(' ');
      last.ended = true;
    },
  };
  if (whole) takeWhole(sink);
  const reader = new TarReader(sink);
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return out;
}

function takeWhole(sink: TarSink): void {
  const waiting: (() => void)[] = [];
  const flush = (): void => {
    for (const one of waiting.splice(0)) one();
  };
  const { entry } = sink;
  sink.entry = (one) => {
    flush();
    entry(one);
  };
  sink.wholeFile = (one, content) => {
    waiting.push(() => {
      entry(one);
      if (content.length > 0) sink.data(content);
      sink.entryEnd();
    });
  };
  sink.chunkEnd = flush;
}

export function* split(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  // Each piece in a buffer of its own that is spoilt afterwards: views must not be kept.
  for (let at = 0; at < bytes.length; at += size) {
    const piece = new Uint8Array(bytes.subarray(at, at + size));
    yield piece;
    piece.fill(0xee);
  }
}
