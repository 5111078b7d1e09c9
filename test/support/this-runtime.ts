/** What the runtime that runs the tests has of its own. */
import { runtimeParts } from '../../src/entry/parts.ts';
import type { Kernel } from '../../src/platform/kernel/open.ts';
import type { RuntimeParts } from '../../src/platform/parts.ts';

export const parts: RuntimeParts = await runtimeParts();
const kernel: Kernel = await parts.kernel();
export const openSyscalls: Kernel['openSyscalls'] = kernel.openSyscalls;
export const openMounter: Kernel['openMounter'] = kernel.openMounter;
