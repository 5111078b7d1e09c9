import type { Backends } from '../../backends/open.ts';
import type { RegistryOptions } from '../../core/registry/open.ts';
import type { Registry } from '../../core/registry/registry.ts';
import type { Runtime } from '../../core/runtime.ts';
import type {
  FetchOptions,
  FetchResult,
  PullOptions,
  PullResult,
  TransferDeps,
} from '../../core/verbs/options.ts';
import type { PullPlan } from '../../core/verbs/pull-plan.ts';

/** The functions that do a command's work; tests give others. */
export interface Services {
  readonly backends: Backends;
  openRegistry(
    deps: Pick<Runtime, 'transports' | 'clock' | 'fs' | 'hashers'>,
    opts: RegistryOptions,
  ): Registry;
  pull(deps: TransferDeps, options: PullOptions): Promise<PullResult>;
  planPull(deps: TransferDeps, options: PullOptions): Promise<PullPlan>;
  fetchImage(deps: TransferDeps, options: FetchOptions): Promise<FetchResult>;
}
