import { workerUrl } from '../../src/entry/worker-url.ts';
import { createDenoWorkers } from '../../src/platform/deno/workers.ts';
import { createNodeWorkers } from '../../src/platform/node/workers.ts';
import { createWorkerPool } from '../../src/platform/threads/worker-pool.ts';
import { poolSuite, workersSuite } from '../suites/workers.ts';
import { isDeno } from '../support/needs.ts';

const name = isDeno ? 'deno' : 'node';
const create = isDeno ? createDenoWorkers : createNodeWorkers;

poolSuite(name, (url, grace) => createWorkerPool({ url, size: 2, grace }));
workersSuite(name, () => create({ url: workerUrl(), cpus: 2 }));
