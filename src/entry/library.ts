import type { Runtime } from '../core/runtime.ts';
import { composeRuntime } from '../platform/compose.ts';
import { runtimeParts } from './parts.ts';
import { workerUrl } from './worker-url.ts';

/** The runtime of this process, for callers of the library who do not compose one. Dispose its `workers` when done. */
export async function defaultRuntime(): Promise<Runtime> {
  return composeRuntime(await runtimeParts(), { workerUrl: workerUrl() });
}
