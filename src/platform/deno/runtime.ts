import type { Runtime } from '../../core/runtime.ts';
import { composeRuntime } from '../compose.ts';
import { createDenoHost } from './host.ts';
import { createDenoWorkers } from './workers.ts';

/** Everything Deno gives. */
export function createDenoRuntime(opts: { workerUrl: URL }): Runtime {
  const host = createDenoHost();
  return composeRuntime({
    name: 'deno',
    host,
    workers: createDenoWorkers({ url: opts.workerUrl, cpus: host.cpus }),
    syscalls: () => import('./syscalls.ts'),
    transports: () => import('./transport.ts'),
  });
}
