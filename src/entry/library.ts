import type { Runtime } from '../core/runtime.ts';
import { workerUrl } from './worker-url.ts';

/** The runtime this runs on, for callers of the library who do not compose one. Dispose its `workers` when done. */
export async function defaultRuntime(): Promise<Runtime> {
  if ('Deno' in globalThis) {
    const { createDenoRuntime } = await import('../platform/deno/runtime.ts');
    return createDenoRuntime({ workerUrl: workerUrl() });
  }
  const { createNodeRuntime } = await import('../platform/node/runtime.ts');
  return createNodeRuntime({ workerUrl: workerUrl() });
}
