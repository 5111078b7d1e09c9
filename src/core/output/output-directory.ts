/** Making a directory for the user, outside the store: there and whole, or not there. */
import { cleanupSignal } from '../async/abort.ts';
import { HawserError, isKind, messageOf, wrap } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Mounter } from '../ports/mounter.ts';
import { removeLeftovers, Staging, type StagingRuntime } from './staging.ts';

export interface OutputOptions extends Call {
  /** Replaces a directory that is not empty. */
  readonly force: boolean;
  /** Directories that must not be replaced, nor be written into: the store. */
  readonly keepOut: readonly string[];
  readonly warn: (message: string) => void;
}

export type OutputRuntime = StagingRuntime & { mounter(): Promise<Mounter> };

/**
 * Makes `target` (absolute) out of what `build` makes at the path it is given, which is absent, on the same file system
 * and seen by nobody else. Data is durable before the one rename that puts it in place of nothing or of an empty directory;
 * with `force` what was there is moved away just before, so that for a moment there is nothing. AlreadyExists for a directory
 * that is not empty; FailedPrecondition for what is no directory, and for places that must not be replaced. Returns the
 * normalised path.
 */
export async function makeOutput(
  runtime: OutputRuntime,
  target: string,
  options: OutputOptions,
  build: (path: string) => Promise<void>,
): Promise<string> {
  const { dir, parent, name } = split(target);
  await checkOutput(runtime, target, options);
  const staging = await Staging.create(runtime, parent, name, options);
  try {
    const made = `${staging.path}/made`;
    await build(made);
    await runtime.workers.syncfs([staging.path], options);
    await publish(runtime, made, dir, `${staging.path}/old`, options);
    await runtime.fs.syncDir(parent, options);
  } finally {
    await staging.remove({ signal: cleanupSignal() });
  }
  try {
    await removeLeftovers(runtime, parent, name, options);
  } catch (err) {
    options.warn(`Cannot remove what an earlier run left beside ${dir}: ${messageOf(err)}`);
  }
  return dir;
}

function split(target: string): { dir: string; parent: string; name: string } {
  const parts: string[] = [];
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  const name = parts.at(-1);
  if (!target.startsWith('/') || target.includes('\0') || name === undefined) {
    throw new HawserError(
      'InvalidArgument',
      `Cannot unpack to ${JSON.stringify(target)}: not a path below /`,
    );
  }
  return { dir: `/${parts.join('/')}`, parent: `/${parts.slice(0, -1).join('/')}`, name };
}

/** Throws what `makeOutput` would before it builds anything: to be called before other long work. */
export async function checkOutput(
  runtime: OutputRuntime,
  target: string,
  options: Omit<OutputOptions, 'warn'>,
): Promise<void> {
  const { dir, parent } = split(target);
  const refuse = (kind: 'NotFound' | 'AlreadyExists' | 'FailedPrecondition', why: string, hint?: string) =>
    new HawserError(kind, `Cannot unpack to ${dir}: ${why}`, { hint });
  for (const path of options.keepOut) {
    if (path === dir || path.startsWith(`${dir}/`) || dir.startsWith(`${path}/`)) {
      throw refuse('FailedPrecondition', `the store is ${path}`, 'Choose a directory outside the store');
    }
  }
  if ((await runtime.fs.stat(`${parent}/.`, options)) === undefined) {
    throw refuse('NotFound', `there is no directory ${parent}`, `mkdir -p ${parent}`);
  }
  const info = await runtime.fs.stat(dir, options);
  if (info === undefined) return;
  if (info.type !== 'directory') throw refuse('FailedPrecondition', `it is a ${info.type}, not a directory`);
  if (await isEmpty(runtime, dir, options)) return;
  if (!options.force) {
    throw refuse(
      'AlreadyExists',
      'it is not empty',
      'Choose another directory, or replace this one with all that is in it: --force',
    );
  }
  // Removing it would remove what is mounted there.
  const [mounted] = await (await runtime.mounter()).mountpoints(dir, options);
  if (mounted !== undefined) {
    throw refuse('FailedPrecondition', `something is mounted at ${mounted}`, `umount ${mounted}`);
  }
}

async function isEmpty(runtime: OutputRuntime, dir: string, call: Call): Promise<boolean> {
  return (await runtime.fs.list(dir, call)).length === 0;
}

async function publish(
  runtime: OutputRuntime,
  made: string,
  dir: string,
  old: string,
  options: OutputOptions,
): Promise<void> {
  if (options.force && (await runtime.fs.stat(dir, options)) !== undefined) {
    if (!(await isEmpty(runtime, dir, options))) await move(runtime, dir, old, options);
  }
  try {
    await move(runtime, made, dir, options);
  } catch (err) {
    if (!isKind(err, 'AlreadyExists', 'FailedPrecondition')) throw err;
    throw wrap(`Cannot unpack to ${dir}: something came there meanwhile`, err);
  }
}

/** Without root's privileges, moving a directory to another parent takes write permission on the directory itself. */
async function move({ fs }: OutputRuntime, from: string, to: string, call: Call): Promise<void> {
  const mode = (await fs.stat(from, call))?.mode ?? 0o700;
  const closed = (mode & 0o200) === 0;
  if (closed) await fs.chmod(from, mode | 0o200, call);
  await fs.rename(from, to, call);
  if (closed) await fs.chmod(to, mode, call);
}
