import { openLocalBackend } from '../backends/local/open.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import { openRegistry } from '../core/registry/open.ts';
import { fetchImage } from '../core/transfer/fetch.ts';
import { planPull } from '../core/transfer/plan.ts';
import { pull } from '../core/transfer/pull.ts';
import { run } from './run.ts';
import type { Services } from './services.ts';

const SERVICES: Services = { openBackend: openLocalBackend, openRegistry, pull, planPull, fetchImage };

/** The program: arguments (without the program's name) to exit code. The entry ends the process with it at once. */
export async function main(runtime: Runtime, args: readonly string[]): Promise<number> {
  return await run(runtime, args, SERVICES);
}
