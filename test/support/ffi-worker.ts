/** Ends workers in the middle of calls into libc, until the time is up (milliseconds, the first argument). */
import process from 'node:process';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { openNodeLibc } from '../../src/platform/node/libc.ts';

/** Long enough for the calls to be compiled, again and again, as each caller is a new one. */
const BUSY_MS = 20;

async function endWorkers(until: number): Promise<void> {
  while (performance.now() < until) {
    const worker = new Worker(new URL(import.meta.url));
    await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, BUSY_MS * (1 + 2 * Math.random())));
    await worker.terminate();
  }
}

async function beBusy(): Promise<void> {
  const libc = openNodeLibc();
  if (libc === undefined) throw new Error('no FFI');
  const bytes = new Uint8Array(new ArrayBuffer(256));
  const pinned = libc.pin(bytes);
  const body = `return (times) => {
    for (let i = 0; i < times; i++) {
      fn.close(-1); fn.futimens(-1, pinned); fn.write(-1, bytes, 1); fn.mkdirat(-1, pinned, 0);
    }
  }`;
  parentPort?.postMessage('busy');
  for (;;) {
    const call = new Function('fn', 'pinned', 'bytes', body)(libc.fn, pinned, bytes);
    for (let i = 0; i < 12; i++) call(20_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

if (isMainThread) {
  const until = performance.now() + Number(process.argv[2]);
  await Promise.all([endWorkers(until), endWorkers(until)]);
} else await beBusy();
