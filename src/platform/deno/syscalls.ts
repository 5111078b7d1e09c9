import type { Mounter } from '../../core/ports/mounter.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import { readCreation } from '../common/creation.ts';
import { mountpoints } from '../common/mountpoints.ts';
import { createToolsMounter } from '../common/tools-mounter.ts';
import { createToolsSyscalls } from '../common/tools-syscalls.ts';
import { chooseProvider, type Provider } from '../linux/choose.ts';
import { createFfiMounter } from '../linux/ffi-mounter.ts';
import { createFfiSyscalls } from '../linux/ffi-syscalls.ts';
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
