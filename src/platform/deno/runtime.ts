import type { Runtime } from '../../core/ports/runtime.ts';
import { createClock } from '../common/clock.ts';
import { createDatabases } from '../common/database.ts';
import { createFileSystem } from '../common/file-system.ts';
import { createHashers } from '../common/hashers.ts';
import { lazyCodecs, lazyTransports, once } from '../common/lazy.ts';
import { chosenProvider } from '../common/provider-choice.ts';
import { createDenoHost } from './host.ts';
import { createDenoWorkers } from './workers.ts';

/** Everything Deno gives. What is heavy to load is loaded when first used. */
export function createDenoRuntime(opts: { workerUrl: URL }): Runtime {
  const host = createDenoHost();
  return {
    name: 'deno',
    host,
    clock: createClock(),
    fs: createFileSystem(),
    syscalls: once(async () => (await import('./syscalls.ts')).openSyscalls(chosenProvider())),
    mounter: once(async () => (await import('./syscalls.ts')).openMounter(chosenProvider())),
    hashers: createHashers(),
    codecs: lazyCodecs(),
    databases: createDatabases(),
    transports: lazyTransports(async () => (await import('./transport.ts')).createTransports()),
    workers: createDenoWorkers({ url: opts.workerUrl, cpus: host.cpus }),
  };
}
