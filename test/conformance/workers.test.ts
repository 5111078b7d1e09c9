import { workerUrl } from '../../src/entry/worker-url.ts';
import { createWorkerPool } from '../../src/platform/threads/worker-pool.ts';
import { poolSuite, workersSuite } from '../suites/workers.ts';
import { parts } from '../support/this-runtime.ts';

poolSuite(parts.name, (url, grace) => createWorkerPool({ url, size: 2, grace }));
workersSuite(parts.name, () => createWorkerPool({ url: workerUrl(), size: 2 }));
