import { withOpen } from '../../../core/async/cleanup.ts';
import { HawserError, ifFound } from '../../../core/errors.ts';
import type { Call } from '../../../core/ports/call.ts';
import type { Runtime } from '../../../core/runtime.ts';
import { readIdMaps } from '../../../core/users/id-map.ts';
import type { Store } from '../store.ts';

const MAX_BYTES = 1 << 17;

/**
 * Snapshots show the image's owners only under the mapping of ids in which they were unpacked. `snapshots/ids` keeps that
 * mapping (absent: the machine's own ids). FailedPrecondition when there are snapshots and this process has another mapping;
 * without snapshots the process's mapping is recorded. A store that is only read makes no snapshots, and is not asked.
 */
export async function requireSameIds(store: Store, call?: Call): Promise<void> {
  if (store.readOnly) return;
  const { runtime } = store;
  const dir = store.path('snapshots');
  const { mapping } = await readIdMaps(runtime.fs, call);
  const path = `${dir}/ids`;
  const kept = await read(runtime, path, call);
  if (kept === mapping) return;
  if (await hasSnapshots(runtime, dir, call)) {
    const whose = kept === '' ? "the machine's own ids" : 'the ids of another user namespace';
    throw new HawserError(
      'FailedPrecondition',
      `Cannot use the snapshots in ${dir}: they were unpacked with ${whose}, and would show other owners here`,
      { hint: 'Use another --root here, or remove the images from this one where they were pulled' },
    );
  }
  if (mapping === '') await runtime.fs.remove(path, { tree: true, ...call });
  else await write(runtime, path, mapping, call);
}

async function read({ fs }: Runtime, path: string, call?: Call): Promise<string> {
  if ((await fs.stat(path, call)) === undefined) return '';
  return new TextDecoder().decode(await ifFound(fs.readFile(path, MAX_BYTES, call)));
}

async function hasSnapshots({ fs }: Runtime, dir: string, call?: Call): Promise<boolean> {
  for (const { name, type } of await fs.list(dir, call)) {
    if (type === 'directory' && (await fs.list(`${dir}/${name}`, call)).length > 0) return true;
  }
  return false;
}

async function write({ fs }: Runtime, path: string, text: string, call?: Call): Promise<void> {
  await withOpen(fs.open(path, 'write', 0o600, call), async (file) => {
    await file.truncate(0);
    await file.write(new TextEncoder().encode(text), 0);
    await file.sync();
  });
}
