import { type Kernel, kernelOver } from '../kernel/open.ts';
import { openNodeLibc } from './libc.ts';

export const kernel: Kernel = kernelOver(openNodeLibc, { utf8Only: false, hidesProc: () => false });
