/**
 * Removes snapshots that dead processes were extracting into (keys `extract-...`) when the store is next opened to write.
 * Half a layer is of use to nobody. Snapshots that users made stay, whoever made them.
 */
import { ifFound } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { text } from './rows.ts';
import type { Store } from './store.ts';

export async function removeAbandoned(
  store: Store,
  snapshotters: ReadonlyMap<string, Snapshotter>,
  call?: Call,
): Promise<void> {
  const active = store.db.prepare(
    "SELECT snapshotter, name, owner FROM snapshots WHERE ns = ? AND kind = 'Active' AND owner <> ? AND name GLOB 'extract-*'",
  );
  for (const row of active.all(store.namespace, store.owner.id)) {
    if ((await store.owner.look(text(row, 'owner'), call)) === 'alive') continue;
    await remove(store, snapshotters.get(text(row, 'snapshotter')), text(row, 'name'), call);
  }
}

async function remove(
  store: Store,
  snapshotter: Snapshotter | undefined,
  key: string,
  call?: Call,
): Promise<void> {
  if (snapshotter === undefined) return;
  // NotFound: another process was quicker.
  await ifFound(snapshotter.remove(key, call));
  const unlease = store.db.prepare('DELETE FROM lease_resources WHERE ns = ? AND type = ? AND id = ?');
  await store.write(() => unlease.run(store.namespace, `snapshots/${snapshotter.name}`, key), call);
}
