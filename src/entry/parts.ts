import type { RuntimeParts } from '../platform/parts.ts';

/** The parts of the runtime that this process runs on. */
export async function runtimeParts(): Promise<RuntimeParts> {
  if ('Deno' in globalThis) return (await import('../platform/deno/parts.ts')).parts;
  return (await import('../platform/node/parts.ts')).parts;
}
