/** Sources that tell what was done to them, and sinks. */
import assert from 'node:assert/strict';

export interface TestSource {
  readonly stream: ReadableStream<Uint8Array>;
  /** Bytes given out so far. */
  given(): number;
  /** The reason it was cancelled with, if it was. */
  cancelled(): { readonly reason: unknown } | undefined;
}

/** `bytes` in pieces of `size`; with `stall`, nothing comes after them and the end never does. */
export function sourceOf(bytes: Uint8Array, size: number, opts: { stall?: boolean } = {}): TestSource {
  let at = 0;
  let cancelled: { readonly reason: unknown } | undefined;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const from = at;
        at += size;
        // A copy, of Buffers too: what is given is the reader's to keep, or to give back.
        if (from < bytes.length) controller.enqueue(Uint8Array.from(bytes.subarray(from, at)));
        else if (opts.stall) return new Promise<void>(() => {});
        else controller.close();
      },
      cancel(reason) {
        cancelled = { reason };
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, given: () => Math.min(at, bytes.length), cancelled: () => cancelled };
}

export async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    // Of a Buffer, slice is a view.
    assert.equal(Object.getPrototypeOf(chunk), Uint8Array.prototype, 'bytes come as plain arrays');
    chunks.push(chunk);
  }
  return join(chunks);
}

export function concat(...chunks: readonly Uint8Array[]): Uint8Array {
  return join(chunks);
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

const made = new Map<string, Uint8Array>();

/** Pseudo-random bytes (xorshift32), or text that compresses well. Not to be changed: large ones are made once. */
export function testBytes(kind: 'random' | 'text', length: number, seed = 1): Uint8Array {
  if (length < 1_000_000) return makeBytes(kind, length, seed);
  const key = `${kind} ${length} ${seed}`;
  const bytes = made.get(key) ?? makeBytes(kind, length, seed);
  made.set(key, bytes);
  return bytes;
}

function makeBytes(kind: 'random' | 'text', length: number, seed: number): Uint8Array {
  const out = new Uint8Array(length);
  if (kind === 'text') {
    const words = new TextEncoder().encode(`layer ${seed} of an image, usr/share/doc/, `);
    for (let i = 0; i < length; i++) out[i] = words[(i + (i >> 13)) % words.length] ?? 0;
    return out;
  }
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state;
  }
  return out;
}
