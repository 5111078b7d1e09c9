/** The verb `unmount`: undoes the verb `mount`. */
import type { Backend } from '../backend.ts';
import { ifFound } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';

export interface UnmountImageOptions extends Call {
  readonly target: string;
  /** Removes the snapshot, with what was written to it, and its lease. */
  readonly remove?: boolean | undefined;
  readonly snapshotter?: string | undefined;
}

/** FailedPrecondition when nothing is mounted at the target. */
export async function unmountImage(
  { backend, runtime }: { readonly backend: Backend; readonly runtime: Pick<Runtime, 'mounter'> },
  { target, remove = false, snapshotter, signal }: UnmountImageOptions,
): Promise<void> {
  await (await runtime.mounter()).unmount(target, { signal });
  if (!remove) return;
  await ifFound(backend.snapshotter(snapshotter).remove(target, { signal }));
  await ifFound(backend.leases.delete(target, { signal }));
}
