import type { ContainerdOptions } from '../backends/containerd/open.ts';
import type { LocalBackend, LocalOptions } from '../backends/local/open.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import type { RegistryOptions } from '../core/registry/open.ts';
import type { Registry } from '../core/registry/roles.ts';
import type { Backend } from '../core/transfer/backend.ts';
import type { TransferDeps } from '../core/transfer/fetch.ts';
import type { FetchOptions, FetchResult, PullOptions, PullResult } from '../core/transfer/options.ts';
import type { PullPlan } from '../core/transfer/plan.ts';

/** What the commands do their work with; tests give others. */
export interface Services {
  openBackend(runtime: Runtime, opts: LocalOptions): Promise<LocalBackend>;
  /** The namespace of a running containerd. */
  openContainerd(runtime: Runtime, opts: ContainerdOptions): Promise<Backend>;
  openRegistry(deps: Pick<Runtime, 'transports' | 'clock'>, opts: RegistryOptions): Registry;
  pull(deps: TransferDeps, options: PullOptions): Promise<PullResult>;
  planPull(deps: TransferDeps, options: PullOptions): Promise<PullPlan>;
  fetchImage(deps: TransferDeps, options: FetchOptions): Promise<FetchResult>;
}
