import type { Workers } from '../../core/layers/workers.ts';
import { createWorkerPool } from '../threads/worker-pool.ts';

/** One thread a processor. `url` is the module of src/entry/worker.ts. */
export function createDenoWorkers(opts: { url: URL; cpus: number }): Workers {
  return createWorkerPool({ url: opts.url, size: opts.cpus });
}
