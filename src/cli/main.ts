import { backends } from '../backends/open.ts';
import { withLayouts } from '../core/carry/with-layouts.ts';
import { openRegistry } from '../core/registry/open.ts';
import type { Runtime } from '../core/runtime.ts';
import { fetchImage } from '../core/verbs/fetch.ts';
import { pull } from '../core/verbs/pull.ts';
import { planPull } from '../core/verbs/pull-plan.ts';
import { run } from './run.ts';
import type { Services } from './session/services.ts';

const SERVICES: Services = {
  backends,
  openRegistry: (deps, options) => withLayouts(openRegistry(deps, options), deps),
  pull,
  planPull,
  fetchImage,
};

/** The program: arguments (without the program's name) to exit code. The entry ends the process with that code at once. */
export async function main(runtime: Runtime, args: readonly string[]): Promise<number> {
  return await run(runtime, args, SERVICES);
}
