/** The thread of main.ts: runs the targets, says where it is by shared memory, and at the end what it found. */
import { parentPort, workerData } from 'node:worker_threads';
import { fuzz } from './driver.ts';
import { openTargets } from './targets.ts';

const { shared, seed, seconds, names, limitMs } = workerData as {
  shared: Int32Array;
  seed: number;
  seconds: number;
  names: readonly string[];
  limitMs: number;
};
const all = openTargets();
const targets = all.filter(({ name }) => names.includes(name));
const { found } = await fuzz(targets, {
  seed,
  seconds,
  limitMs,
  onExecution(target, current) {
    Atomics.store(shared, 0, target);
    Atomics.store(shared, 1, current | 0);
    Atomics.add(shared, 2 + target, 1);
  },
});
for (const target of all) target.close?.();
parentPort?.postMessage(found);
