import type { Mounter } from '../core/ports/mounter.ts';
import type { Syscalls } from '../core/ports/syscalls.ts';
import type { Transports } from '../core/ports/transport.ts';
import type { Runtime } from '../core/runtime.ts';
import { createHashers } from './codecs/hashers.ts';
import { createDatabases } from './files/database.ts';
import { createFileSystem } from './files/file-system.ts';
import { chosenProvider } from './kernel/provider-choice.ts';
import { createClock } from './process/clock.ts';
import { lazyCodecs, lazyTransports, once } from './process/lazy.ts';
import { createPrograms } from './process/programs.ts';
import { withSmallJobs } from './threads/small-jobs.ts';

/** What differs between runtimes; the two functions load what is heavy when it is first used. */
export interface RuntimeParts extends Pick<Runtime, 'name' | 'host' | 'workers'> {
  syscalls(): Promise<{
    openSyscalls(prefer?: 'ffi' | 'tools'): Syscalls;
    openMounter(prefer?: 'ffi' | 'tools'): Mounter;
  }>;
  transports(): Promise<{ createTransports(): Transports }>;
}

export function composeRuntime({ name, host, workers, ...parts }: RuntimeParts): Runtime {
  const runtime = {
    name,
    host,
    clock: createClock(),
    fs: createFileSystem(),
    programs: createPrograms(),
    syscalls: once(async () => (await parts.syscalls()).openSyscalls(chosenProvider())),
    mounter: once(async () => (await parts.syscalls()).openMounter(chosenProvider())),
    hashers: createHashers(),
    codecs: lazyCodecs(),
    databases: createDatabases(),
    transports: lazyTransports(async () => (await parts.transports()).createTransports()),
    workers,
  };
  return { ...runtime, workers: withSmallJobs(runtime) };
}
