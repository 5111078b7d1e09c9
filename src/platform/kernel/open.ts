import type { Mounter } from '../../core/ports/mounter.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import { chooseProvider, type Provider } from './choose.ts';
import { readCreation } from './creation.ts';
import { createFfiMounter } from './ffi-mounter.ts';
import { createFfiSyscalls } from './ffi-syscalls.ts';
import type { Libc } from './libc.ts';
import { mountTable } from './mountpoints.ts';
import { createToolsMounter } from './tools-mounter.ts';
import { createToolsSyscalls } from './tools-syscalls.ts';

/** System calls and mounts by libc through FFI, else by tools. FailedPrecondition when FFI is preferred and there is none. */
export interface Kernel {
  /** For the calling thread only. */
  openSyscalls(prefer?: Provider): Syscalls;
  openMounter(prefer?: Provider): Mounter;
}

interface NodeFs {
  /** The runtime's node:fs takes names in UTF-8 only. */
  readonly utf8Only: boolean;
  /** Whether the runtime gives nothing below /proc. */
  hidesProc(): boolean;
}

/** `openLibc`: undefined where the runtime has no FFI. */
export function kernelOver(openLibc: () => Libc | undefined, { utf8Only, hidesProc }: NodeFs): Kernel {
  return {
    openSyscalls: (prefer) =>
      chooseProvider(prefer, openLibc, {
        ffi: (libc) => createFfiSyscalls(libc, readCreation()),
        tools: () => createToolsSyscalls({ utf8Only, byPath: hidesProc() }),
      }),
    openMounter: (prefer) =>
      chooseProvider(prefer, openLibc, {
        ffi: (libc) => createFfiMounter(libc, mountTable),
        tools: createToolsMounter,
      }),
  };
}
