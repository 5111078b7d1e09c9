import { openLocalBackend } from '../backends/local/open.ts';
import { openRegistry } from '../core/registry/open.ts';
import type { Runtime } from '../core/runtime.ts';
import { fetchImage } from '../core/verbs/fetch.ts';
import { pull } from '../core/verbs/pull.ts';
import { planPull } from '../core/verbs/pull-plan.ts';
import { run } from './run.ts';
import type { Services } from './session/services.ts';

/** gRPC takes longer to load than most commands take, and few need it. */
const openContainerd: Services['openContainerd'] = async (runtime, opts) => {
  const { openContainerdBackend } = await import('../backends/containerd/open.ts');
  return await openContainerdBackend(runtime, opts);
};

const SERVICES: Services = {
  openBackend: openLocalBackend,
  openContainerd,
  openRegistry,
  pull,
  planPull,
  fetchImage,
};

/** The program: arguments (without the program's name) to exit code. The entry ends the process with it at once. */
export async function main(runtime: Runtime, args: readonly string[]): Promise<number> {
  return await run(runtime, args, SERVICES);
}
