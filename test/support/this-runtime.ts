/** What the runtime that runs the tests has of its own. */

import type { Syscalls } from '../../src/core/ports/syscalls.ts';
import { runtimeParts } from '../../src/entry/parts.ts';
import type { Kernel } from '../../src/platform/kernel/open.ts';
import { createToolsSyscalls } from '../../src/platform/kernel/tools-syscalls.ts';
import type { RuntimeParts } from '../../src/platform/parts.ts';
import { hasFfi } from './ffi.ts';

export const parts: RuntimeParts = await runtimeParts();
const kernel: Kernel = await parts.kernel();
export const openSyscalls: Kernel['openSyscalls'] = kernel.openSyscalls;
export const openMounter: Kernel['openMounter'] = kernel.openMounter;

/** `ffi`: the best that this runtime has. `paths`: tools where nothing below /proc can be had (Deno without --allow-all). */
export type ProviderName = 'ffi' | 'tools' | 'paths';
/** Those of this runtime, the best first. */
export const providers: readonly ProviderName[] = hasFfi() ? ['ffi', 'tools', 'paths'] : ['tools', 'paths'];

export function openProvider(name: ProviderName): Syscalls {
  if (name === 'paths') return createToolsSyscalls({ utf8Only: true, byPath: true });
  return openSyscalls(name === 'tools' ? 'tools' : undefined);
}
