/** One blob, a server and a link in simulated time, read through a SplitReader. */
import assert from 'node:assert/strict';
import { Link, type SplitOptions } from '../../src/core/download/link.ts';
import { Served } from '../../src/core/download/served.ts';
import { SplitReader } from '../../src/core/download/split-reader.ts';
import { HawserError } from '../../src/core/errors.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Fetched, Fetcher, FetchRequest } from '../../src/core/registry/registry.ts';
import { descriptor } from '../registry/client.ts';
import { noise } from '../registry/image.ts';
import { sha256 } from '../registry/registry.ts';

export const KIB = 1024;
export const BLOB: Uint8Array = noise(1024 * KIB, 5);
export const DESC: Descriptor = descriptor(
  'application/vnd.oci.image.layer.v1.tar',
  sha256(BLOB),
  BLOB.length,
);

/** Time that goes on only when everyone waits: the earliest sleeper is woken once nothing else can run. */
export class SimClock implements Clock {
  #now = 0;
  #sleepers: { at: number; wake: () => void }[] = [];
  #scheduled = false;

  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        reject(signal.reason);
      });
      this.#schedule();
    });
  }

  /** A macrotask later, when all microtasks have run. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (next === undefined) return;
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      if (this.#sleepers.length > 0) this.#schedule();
    }, 0);
  }
}

interface World {
  /** Bytes a millisecond: of one stream, and of all together. */
  readonly stream: number;
  readonly link: number;
  /** May answer or fail in place of the server. */
  readonly tamper?: (request: FetchRequest, nth: number) => Partial<Fetched> | undefined;
  /** Of the `nth` request, the place at which its connection is lost. */
  readonly cut?: (request: FetchRequest, nth: number) => number | undefined;
}

interface Run {
  readonly requests: FetchRequest[];
  readonly retries: number[];
  readonly bytes: Uint8Array;
  readonly ms: number;
  readonly sent: number;
  readonly most: number;
}

export const CHUNK: number = 16 * KIB;

export interface Server {
  readonly fetcher: Fetcher;
  readonly requests: FetchRequest[];
  /** Bodies that are not ended, the most there were, and bytes. */
  readonly state: { open: number; most: number; sent: number };
}

/** A server in simulated time. Streams share the link evenly. */
export function serverOf(clock: Clock, world: World): Server {
  const state = { open: 0, most: 0, sent: 0 };
  const requests: FetchRequest[] = [];
  const fetcher: Fetcher = {
    async fetch(_desc, request = {}) {
      requests.push(request);
      const nth = requests.length;
      await clock.sleep(20, request.signal);
      const tampered = world.tamper?.(request, nth);
      const { offset = 0, end = BLOB.length } = request;
      const cut = world.cut?.(request, nth);
      let at = tampered?.offset ?? offset;
      state.open++;
      state.most = Math.max(state.most, state.open);
      let over = false;
      const leave = (): void => {
        if (!over) state.open--;
        over = true;
      };
      const body = new ReadableStream<Uint8Array>(
        {
          async pull(out) {
            if (at >= end) {
              leave();
              return out.close();
            }
            const size = Math.min(CHUNK, end - at, (cut ?? end) - at);
            if (size <= 0) {
              leave();
              throw new HawserError('Unavailable', 'cut', {
                reason: { type: 'exchange', code: 'UNEXPECTED_END' },
              });
            }
            const speed = Math.min(world.stream, world.link / state.open);
            await clock.sleep(size / speed, request.signal).catch((err) => {
              leave();
              throw err;
            });
            if (over) return;
            state.sent += size;
            out.enqueue(BLOB.subarray(at, at + size));
            at += size;
          },
          cancel: leave,
        },
        { highWaterMark: 0 },
      );
      return { body, offset: at, host: 'one', ...tampered };
    },
  };
  return { fetcher, requests, state };
}

export const OPTIONS: SplitOptions = { piece: 32 * KIB, interval: 200, lanes: 4 };

/** Reads all of it; what has been read by then is in `chunks`, also when it fails. */
export async function run(
  world: World,
  more: { options?: SplitOptions; start?: number; chunks?: Uint8Array[] } = {},
): Promise<Run> {
  const clock = new SimClock();
  const { fetcher, requests, state } = serverOf(clock, world);
  const link = new Link(clock, { ...OPTIONS, ...more.options });
  const retries: number[] = [];
  const onRetry = (_: unknown, offset: number) => void retries.push(offset);
  const start = more.start ?? 0;
  const reader = new SplitReader(
    { fetcher, clock, onRetry },
    DESC,
    start,
    { served: new Served(), link },
    {},
  );
  const bytes = new Uint8Array(BLOB.length - start);
  let at = 0;
  try {
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
      bytes.set(chunk, at);
      more.chunks?.push(chunk);
      at += chunk.length;
    }
  } finally {
    await reader.close();
  }
  assert.equal(at, bytes.length);
  assert.equal(state.open, 0, 'every body is ended');
  for (let n = 0; n < (more.options?.pieces ?? 8); n++) assert.ok(link.take(), 'all memory is given back');
  return { requests, retries, bytes, ms: clock.monotonic(), sent: state.sent, most: state.most };
}
