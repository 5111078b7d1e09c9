import type { Runtime } from '../../core/runtime.ts';
import { composeRuntime } from '../compose.ts';
import { createNodeHost } from './host.ts';
import { createNodeWorkers } from './workers.ts';

/** Everything Node gives. */
export function createNodeRuntime(opts: { workerUrl: URL }): Runtime {
  const host = createNodeHost();
  return composeRuntime({
    name: 'node',
    host,
    workers: createNodeWorkers({ url: opts.workerUrl, cpus: host.cpus }),
    syscalls: () => import('./syscalls.ts'),
    transports: () => import('./transport.ts'),
  });
}
