/** Makes a snapshot and returns what to mount to see it. */
import type { Mount } from '../../src/core/ports/mounter.ts';
import type { Snapshotter } from '../../src/core/snapshots/snapshotter.ts';

export async function prepareMounts(sn: Snapshotter, key: string, parent: string): Promise<Mount[]> {
  await sn.prepare(key, parent);
  return await sn.mounts(key);
}

export async function viewMounts(sn: Snapshotter, key: string, parent: string): Promise<Mount[]> {
  await sn.view(key, parent);
  return await sn.mounts(key);
}
