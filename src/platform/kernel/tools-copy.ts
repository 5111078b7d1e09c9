import type { Call } from '../../core/ports/call.ts';
import { errnoOfText } from './errno.ts';
import { runToolAsync } from './tools-run.ts';

/** A tree may be large and a disk slow; the caller's signal ends it earlier. */
const TIME_LIMIT = 3_600_000;

/**
 * A whole tree by cp(1): where system calls go through tools, one process for all of it instead of several for each
 * file. Everything is kept: types, owners, modes, times, xattrs, hard links, holes. `to` is an existing, empty directory.
 */
export async function copyTreeByTool(from: string, to: string, call: Call = {}): Promise<void> {
  const how = ['--archive', '--preserve=all', '--sparse=auto', '--no-target-directory'];
  const doing = `copying the tree ${from} to ${to}`;
  await runToolAsync('cp', [...how, '--', from, to], doing, errnoOfText, { ...call, timeLimit: TIME_LIMIT });
}
