/**
 * npm run fuzz -- [--seconds N] [--target T[,T]] [--seed S]: default a minute, all targets, a seed from the clock.
 * The targets run in a thread, watched from here: an execution that does not end, a process that grows beyond its limit
 * and whatever the targets find make it end with status 1, the seed and the input. Every half minute it says how far it is.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Found } from './driver.ts';
import { seeded } from './random.ts';
import { openTargets } from './targets.ts';

/** What an execution may take: processor time, and time on the clock (for other programs may have the processors). */
const LIMIT_MS = 5_000;
const HANG_MS = 60_000;
/** Resident memory of the whole process: runtime, WebAssembly decoders with windows up to 128 MiB, and garbage. */
const MAX_RSS = 1024 * 2 ** 20;
const REPORT_MS = 30_000;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    target: { type: 'string' },
    seed: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed ?? Date.now() % 2 ** 31) >>> 0;
const wanted = values.target?.split(',');
const all = openTargets();
const targets = all.filter(({ name }) => wanted?.includes(name) ?? true);
const unknown = wanted?.filter((name) => !all.some((target) => target.name === name)) ?? [];
if (!(seconds > 0) || unknown.length > 0 || targets.length === 0) {
  console.error(`usage: npm run fuzz -- [--seconds N] [--target T[,T]] [--seed S]`);
  console.error(`targets: ${all.map(({ name }) => name).join(' ')}`);
  process.exit(2);
}

console.log(`seed ${seed}, ${seconds} s, targets ${targets.map(({ name }) => name).join(' ')}`);
console.log(`limits: ${LIMIT_MS} ms an execution, ${MAX_RSS / 2 ** 20} MiB resident`);

/** Written by the thread: which target runs, its seed, and (from 2 on) the executions of each. */
const shared = new Int32Array(new SharedArrayBuffer(4 * (2 + all.length)));
const names = targets.map(({ name }) => name);
const worker = new Worker(new URL('./worker.ts', import.meta.url), {
  workerData: { shared, seed, seconds, names, limitMs: LIMIT_MS },
});
const started = performance.now();
let peak = 0;

function report(): void {
  const passed = (performance.now() - started) / 1000;
  const rates = targets.map(({ name }, i) => {
    const count = shared[2 + i] ?? 0;
    // Each has an equal share of the time.
    return `${name} ${count} (${Math.round((count * targets.length) / passed)}/s)`;
  });
  console.log(`${Math.round(passed)} s: ${rates.join(', ')}; ${Math.round(peak / 2 ** 20)} MiB at most`);
}

function finish(found: readonly Found[]): never {
  report();
  for (const target of all) target.close?.();
  for (const one of found) {
    console.error(`FOUND by ${one.target}, seed ${one.seed}: ${one.error}`);
    console.error(`input: ${one.input}`);
    console.error(`again: npm run fuzz -- --target ${one.target} --seed ${one.seed} --seconds 1`);
  }
  process.exit(found.length === 0 ? 0 : 1);
}

/** The execution that runs now is to blame. */
async function blame(error: string): Promise<void> {
  const target = targets[Atomics.load(shared, 0)];
  const current = Atomics.load(shared, 1) >>> 0;
  await worker.terminate();
  if (target !== undefined) {
    const input = target.show(target.generate(seeded(current)));
    finish([{ target: target.name, seed: current, error, input }]);
  }
}

let lastSeen = '';
let since = performance.now();
setInterval(() => {
  const rss = process.memoryUsage.rss();
  peak = Math.max(peak, rss);
  const now = `${shared.slice(0, 2 + targets.length)}`;
  if (now !== lastSeen) since = performance.now();
  lastSeen = now;
  if (rss > MAX_RSS) void blame(`the process has ${Math.round(rss / 2 ** 20)} MiB`);
  else if (performance.now() - since > HANG_MS) void blame(`an execution does not end (${HANG_MS} ms)`);
}, 500);
setInterval(report, REPORT_MS);

worker.on('message', (found: readonly Found[]) => finish(found));
worker.on('error', (err) => void blame(String((err as Error)?.stack ?? err)));
