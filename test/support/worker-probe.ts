/** A process that uses a worker once and leaves it idle: it must end by itself. */
import { createWorkerPool } from '../../src/platform/threads/worker-pool.ts';

const pool = createWorkerPool({ url: new URL('./odd-worker.ts', import.meta.url), size: 2 });
pool.usage('thread').then(({ inodes }) => console.log(`calls ${inodes}`));
