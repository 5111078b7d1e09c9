/** Making something for the user in a directory: it is there and whole, or not there. */
import { cleanupSignal } from '../async/abort.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { HawserError, messageOf, wrap } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { isDirectory } from '../ports/syscalls.ts';
import { settleRoot } from '../trees/settle-root.ts';
import { requireOutside } from './outside.ts';
import { Spot } from './spot.ts';
import { removeLeftovers, Staging, type StagingRuntime } from './staging.ts';

export interface OutputFileOptions extends Call {
  /** Replaces what is there, unless that is a directory. */
  readonly force: boolean;
  /** Directories that must not be written into: the store. */
  readonly keepOut: readonly string[];
  readonly warn: (message: string) => void;
}

/**
 * Makes `name`, which is no directory, in the directory `parent` (absolute): `build` makes it in the directory that `build` is given,
 * which nobody else sees. The data is durable before it gets its place. AlreadyExists when something is there that is not to be replaced.
 */
export async function makeOutputFile(
  runtime: StagingRuntime,
  { parent, name }: { readonly parent: string; readonly name: string },
  { force, keepOut, warn, signal }: OutputFileOptions,
  build: (dir: string) => Promise<void>,
): Promise<void> {
  const call = { signal };
  const sys = await runtime.syscalls();
  const path = `${parent === '/' ? '' : parent}/${name}`;
  await requireOutside(runtime, path, { doing: `Cannot write ${path}`, keepOut, signal });
  const staging = await Staging.create(runtime, parent, name, call).catch((err) => {
    throw wrap(`Cannot write to ${parent}`, err);
  });
  try {
    const place = staging.beside(name);
    await requireFree(place, path, force);
    await runtime.fs.mkdir(staging.madePath, 0o700, call);
    // A time without a fraction: to keep one takes another tool where there is no FFI.
    settleRoot(sys, staging.madePath);
    await build(staging.madePath);
    await runtime.workers.syncfs([staging.toSync], call);
    signal?.throwIfAborted();
    await requireFree(place, path, force);
    const made = await staging.made.open();
    try {
      await new Spot(sys, made, name).move(place, force ? 'replace' : 'new');
    } finally {
      sys.closeDir(made);
    }
    await runtime.fs.syncDir(parent);
  } catch (err) {
    throw await cleanedUp(err, () => staging.remove({ signal: cleanupSignal() }));
  }
  try {
    await staging.remove(call);
    await removeLeftovers(runtime, parent, name, call);
  } catch (err) {
    warn(`Cannot remove ${staging.path}: ${messageOf(err)}`);
  }
}

async function requireFree(place: Spot, path: string, force: boolean): Promise<void> {
  const stat = await place.stat();
  if (stat === undefined) return;
  if (isDirectory(stat))
    throw new HawserError('FailedPrecondition', `Cannot write ${path}: there is a directory`, {
      hint: 'Remove it, or choose another directory',
    });
  if (force) return;
  throw new HawserError('AlreadyExists', `Cannot write ${path}: it is there already`, {
    hint: 'Remove it, or replace it with --force',
  });
}
