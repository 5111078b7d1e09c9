import { openLocalBackend } from '../backends/local/open.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import { openRegistry } from '../core/registry/open.ts';
import { fetchImage } from '../core/transfer/fetch.ts';
import { planPull } from '../core/transfer/plan.ts';
import { pull } from '../core/transfer/pull.ts';
import { run } from './run.ts';
import type { Services } from './services.ts';

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
