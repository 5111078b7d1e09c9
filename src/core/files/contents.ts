/** The contents of chosen entries of an archive, in the order of the archive. */
import type { TarEntry, TarSink } from '../archive/entry.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { release } from '../codec/release.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';

/** Bytes of archive that are parsed at once: what is found in them waits in memory. */
const SLICE = 1 << 17;

/** `entry`: its number in the archive, from 0. `data` is good until the next event is asked for. `hole`: so many zeros. */
export type ContentEvent =
  | { readonly type: 'begin'; readonly entry: number }
  | ContentPiece
  | { readonly type: 'end' };

export type ContentPiece =
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'hole'; readonly length: number };

/** Reads no further than the last of the wanted entries, and cancels the archive then. DataLoss when the archive ends before that. */
export async function* readContents(
  archive: ReadableStream<Uint8Array>,
  wanted: ReadonlySet<number>,
  { signal }: Call,
): AsyncGenerator<ContentEvent> {
  const sink = new ContentSink(wanted);
  const tar = new TarReader(sink);
  const reader = archive.getReader();
  try {
    while (sink.left > 0) {
      signal?.throwIfAborted();
      const { value, done } = await reader.read();
      if (done) throw new HawserError('DataLoss', `the archive lacks ${sink.left} of its files`);
      for (let at = 0; at < value.length && sink.left > 0; at += SLICE) {
        tar.push(value.subarray(at, at + SLICE));
        yield* sink.take();
      }
      release(value);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

class ContentSink implements TarSink {
  readonly #wanted: ReadonlySet<number>;
  #events: ContentEvent[] = [];
  #entry = -1;
  #isWanted = false;
  left: number;

  constructor(wanted: ReadonlySet<number>) {
    this.#wanted = wanted;
    this.left = wanted.size;
  }

  take(): readonly ContentEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  entry(_: TarEntry): void {
    this.#entry++;
    this.#isWanted = this.#wanted.has(this.#entry);
    this.#add({ type: 'begin', entry: this.#entry });
  }

  data(bytes: Uint8Array): void {
    this.#add({ type: 'data', bytes });
  }

  hole(length: number): void {
    this.#add({ type: 'hole', length });
  }

  entryEnd(): void {
    this.#add({ type: 'end' });
    if (this.#isWanted) this.left--;
    this.#isWanted = false;
  }

  #add(event: ContentEvent): void {
    if (this.#isWanted) this.#events.push(event);
  }
}
