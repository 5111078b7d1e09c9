/** The verb `unmount`: undoes the verb `mount`. */
import type { Backend } from '../backend.ts';
import { HawserError, ifFound } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Mounted } from '../ports/mounter.ts';
import {
  describeRecord,
  findRecord,
  lookAtTarget,
  type MountRecord,
  type MountRuntime,
  targetOf,
} from './mount-record.ts';
import type { VerbOptions } from './options.ts';

export interface UnmountImageOptions extends VerbOptions {
  /** Absolute. */
  readonly target: string;
  /** Removes the snapshot, with what was written to it, and its lease; also where it is no longer mounted. */
  readonly remove?: boolean | undefined;
  /** Not given: the one that has a snapshot for the target. */
  readonly snapshotter?: string | undefined;
}

/**
 * Unmounts an image from a directory, and returns the normalised path, and whether anything was there. FailedPrecondition when what is mounted there is not
 * an image of this store, or (unless it is to be removed) nothing is. A run that is cut off can be repeated; when there is
 * nothing to remove, that is a warning.
 */
export async function unmountImage(
  { backend, runtime }: { readonly backend: Backend; readonly runtime: MountRuntime },
  { target: path, remove = false, snapshotter, report = () => {}, signal }: UnmountImageOptions,
): Promise<{ readonly target: string; readonly found: boolean }> {
  const target = targetOf(path);
  const record = await findRecord(backend, target, snapshotter, { signal });
  const wasMounted = await unmountOurs(runtime, target, record, { remove, signal });
  if (!remove) return { target, found: true };
  if (record !== undefined) await ifFound(record.snapshotter.remove(target, { signal }));
  const lease = await ifFound(backend.leases.delete(target, { signal }).then(() => target));
  if (wasMounted || record !== undefined || lease !== undefined) return { target, found: true };
  const message = `No image of this store was mounted at ${target}: nothing was removed`;
  report({ type: 'warning', message });
  return { target, found: false };
}

/** False when it is not mounted. The same snapshot may be mounted several times over. */
async function unmountOurs(
  runtime: MountRuntime,
  target: string,
  record: MountRecord | undefined,
  { remove, signal }: { readonly remove: boolean } & Call,
): Promise<boolean> {
  const mounter = await runtime.mounter();
  let { stack, isOurs } = await lookAtTarget(runtime, target, record, { signal });
  if (!isOurs) {
    requireNone(stack, target, record, remove);
    return false;
  }
  while (isOurs) {
    await mounter.unmount(target, { topmost: true, signal });
    ({ stack, isOurs } = await lookAtTarget(runtime, target, record, { signal }));
  }
  return true;
}

/** What is recorded is not on top. With one mount or none it is not mounted at all, and may be removed. */
function requireNone(
  stack: readonly Mounted[],
  target: string,
  record: MountRecord | undefined,
  remove: boolean,
): void {
  const top = stack.at(-1);
  const doing = `Cannot unmount ${target}`;
  if (top === undefined) {
    if (remove) return;
    const hint = record
      ? `hawser images unmount --rm ${target} removes ${describeRecord(record)}`
      : 'Nothing is mounted there; findmnt lists what is mounted where';
    throw new HawserError('FailedPrecondition', `${doing}: not a mount point`, { hint });
  }
  if (remove && record !== undefined && stack.length === 1) return;
  const why = `what is mounted there (${top.type}, ${top.source}) is not an image of this store`;
  throw new HawserError('FailedPrecondition', `${doing}: ${why}`, {
    hint: `umount ${target}, or give the same --root, --namespace or --address as for the mount`,
  });
}
