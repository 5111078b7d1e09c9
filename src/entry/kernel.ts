import type { Kernel } from '../platform/kernel/open.ts';

/** The kernel part alone: a worker loads nothing else of the runtime, for its start is waited for. */
export async function runtimeKernel(): Promise<Kernel> {
  if ('Deno' in globalThis) return (await import('../platform/deno/kernel.ts')).kernel;
  return (await import('../platform/node/kernel.ts')).kernel;
}
