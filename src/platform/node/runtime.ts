import type { Runtime } from '../../core/ports/runtime.ts';
import { createClock } from '../common/clock.ts';
import { createDatabases } from '../common/database.ts';
import { createFileSystem } from '../common/file-system.ts';
import { createHashers } from '../common/hashers.ts';
import { lazyCodecs, lazyTransports, once } from '../common/lazy.ts';
import { chosenProvider } from '../common/provider-choice.ts';
import { createNodeHost } from './host.ts';
import { createNodeWorkers } from './workers.ts';

/** Everything Node gives. What is heavy to load is loaded when first used. */
export function createNodeRuntime(opts: { workerUrl: URL }): Runtime {
  const host = createNodeHost();
  return {
    name: 'node',
    host,
    clock: createClock(),
    fs: createFileSystem(),
    syscalls: once(async () => (await import('./syscalls.ts')).openSyscalls(chosenProvider())),
    mounter: once(async () => (await import('./syscalls.ts')).openMounter(chosenProvider())),
    hashers: createHashers(),
    codecs: lazyCodecs(),
    databases: createDatabases(),
    transports: lazyTransports(async () => (await import('./transport.ts')).createTransports()),
    workers: createNodeWorkers({ url: opts.workerUrl, cpus: host.cpus }),
  };
}
