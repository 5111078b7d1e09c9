import { mayDoAll } from '../kernel/deno-permission.ts';
import { type Kernel, kernelOver } from '../kernel/open.ts';
import { openDenoLibc } from './libc.ts';

export const kernel: Kernel = kernelOver(openDenoLibc, { utf8Only: true, hidesProc: () => !mayDoAll() });
