import type { Runtime } from '../core/runtime.ts';
import { createHashers } from './codecs/hashers.ts';
import { createDatabases } from './files/database.ts';
import { createFileSystem } from './files/file-system.ts';
import { unprompted } from './files/unprompted.ts';
import { monotonic } from './kernel/monotonic.ts';
import { chosenProvider } from './kernel/provider-choice.ts';
import type { RuntimeParts } from './parts.ts';
import { createClock } from './process/clock.ts';
import { lazyCodecs, lazyServers, lazyTransports, once } from './process/lazy.ts';
import { createProcessHost } from './process/process-host.ts';
import { createPrograms } from './process/programs.ts';
import { withSmallJobs } from './threads/small-jobs.ts';
import { createWorkerPool } from './threads/worker-pool.ts';

/** Every port, over a runtime's own parts. One worker thread a processor; `workerUrl` is the module of src/entry/worker.ts. */
export function composeRuntime(parts: RuntimeParts, { workerUrl }: { workerUrl: URL }): Runtime {
  const host = createProcessHost(parts);
  const runtime = {
    host,
    clock: createClock(monotonic),
    fs: unprompted(createFileSystem()),
    programs: createPrograms(),
    syscalls: once(async () => (await parts.kernel()).openSyscalls(chosenProvider())),
    mounter: once(async () => (await parts.kernel()).openMounter(chosenProvider())),
    hashers: createHashers(),
    codecs: lazyCodecs(),
    databases: createDatabases(),
    transports: lazyTransports(() => parts.transports()),
    servers: lazyServers(),
    signatures: once(async () => (await import('./trust/checks.ts')).createSignatureChecks()),
    workers: createWorkerPool({ url: workerUrl, size: host.cpus }),
  };
  return { ...runtime, workers: withSmallJobs(runtime) };
}
