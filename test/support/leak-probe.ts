/**
 * A process that pulls again and again through the library: whole images, damaged ones, and pulls that are aborted, each into a
 * store that others use, too, and every third into one of its own. After each block of pulls it prints what the process holds, as a line of
 * JSON. Its argument is a Task.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { kindOf } from '../../src/core/errors.ts';
import { type CodecChoice, openStore, pull, type Store } from '../../src/mod.ts';

/** One pull: the image, and how it must end: `well`, or with an error of one of these kinds. */
export interface PullTask {
  readonly ref: string;
  readonly ends: readonly string[];
  /** Aborted at the event of progress with this number. */
  readonly abortAt?: number;
}

export interface Task {
  readonly dir: string;
  readonly codec: CodecChoice;
  /** Taken in turn, those of a block into one store. */
  readonly pulls: readonly PullTask[];
  readonly blocks: number;
  readonly blockSize: number;
}

/** What the process holds when its stores are closed. */
export interface Held {
  readonly pulls: number;
  readonly ends: Readonly<Record<string, number>>;
  readonly threads: number;
  readonly descriptors: number;
  /** Bytes. */
  readonly rss: number;
  readonly heap: number;
  readonly buffers: number;
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const ends: Record<string, number> = {};
let done = 0;

async function onePull(store: Store, { ref, ends: allowed, abortAt }: PullTask): Promise<void> {
  const stop = new AbortController();
  let events = 0;
  const options = {
    store,
    signal: stop.signal,
    codec: task.codec,
    snapshotter: 'native',
    retry: { tries: 1 },
    keepPartial: 0,
    limits: { maxBytes: 64 << 20 },
    onProgress: () => {
      if (++events === abortAt) stop.abort(new Error('enough'));
    },
  };
  const got = await pull(ref, options).then(
    () => 'well',
    (err: unknown) => String(kindOf(err)),
  );
  if (!allowed.includes(got)) throw new Error(`${ref}, aborted at ${abortAt}: ended ${got}, not ${allowed}`);
  ends[got] = (ends[got] ?? 0) + 1;
  done++;
  if (got === 'well') await store.images.delete(ref);
  await store.collect();
}

async function block(nth: number): Promise<void> {
  const root = join(task.dir, 'store');
  const store = await openStore({ root });
  try {
    for (let at = 0; at < task.blockSize; at++) {
      const index = nth * task.blockSize + at;
      const one = task.pulls[index % task.pulls.length] as PullTask;
      if (index % 3 > 0) await onePull(store, one);
      else {
        const own = await openStore({ root: join(task.dir, 'own') });
        try {
          await onePull(own, one);
        } finally {
          await own[Symbol.asyncDispose]();
        }
      }
    }
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

const threads = (): number => readdirSync('/proc/self/task').length;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Waits, at most some seconds, until what ends by itself has ended: there are no more threads and descriptors than before. */
async function settle(before: Held | undefined): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    (globalThis as { gc?: () => void }).gc?.();
    await delay(tries === 0 ? 300 : 50);
    if (before === undefined) continue;
    if (threads() <= before.threads && descriptors() <= before.descriptors) return;
  }
}

let before: Held | undefined;
for (let nth = 0; nth < task.blocks; nth++) {
  await block(nth);
  await settle(before);
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  before = {
    ...{ pulls: done, ends: { ...ends }, threads: threads(), descriptors: descriptors() },
    ...{ rss, heap: heapUsed, buffers: external + arrayBuffers },
  };
  console.log(JSON.stringify(before));
}
process.exit(0);
