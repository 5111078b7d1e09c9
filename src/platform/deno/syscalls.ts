import type { Mounter } from '../../core/ports/mounter.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import { chooseProvider, type Provider } from '../kernel/choose.ts';
import { readCreation } from '../kernel/creation.ts';
import { createFfiMounter } from '../kernel/ffi-mounter.ts';
import { createFfiSyscalls } from '../kernel/ffi-syscalls.ts';
import { mountpoints } from '../kernel/mountpoints.ts';
import { createToolsMounter } from '../kernel/tools-mounter.ts';
import { createToolsSyscalls } from '../kernel/tools-syscalls.ts';
import { openDenoLibc } from './libc.ts';

/** libc through FFI, else tools. For the calling thread only. FailedPrecondition when FFI is preferred and there is none. */
export function openSyscalls(prefer?: Provider): Syscalls {
  return chooseProvider(prefer, openDenoLibc, {
    ffi: (libc) => createFfiSyscalls(libc, readCreation()),
    tools: () => createToolsSyscalls({ utf8Only: true }),
  });
}

/** As `openSyscalls`. */
export function openMounter(prefer?: Provider): Mounter {
  return chooseProvider(prefer, openDenoLibc, {
    ffi: (libc) => createFfiMounter(libc, mountpoints),
    tools: createToolsMounter,
  });
}
