/** What a failed command must not leave in a store: looked up in its database, since not all of it has a command. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const LEFT = {
  image: 'SELECT name FROM images',
  'active snapshot': "SELECT name FROM snapshots WHERE kind = 'Active'",
  'lease without end': `SELECT id AS name FROM leases
    WHERE id NOT IN (SELECT id FROM labels WHERE type = 'leases' AND key = 'containerd.io/gc.expire')`,
  'empty lease': `SELECT id AS name FROM leases
    WHERE id IN (SELECT id FROM labels WHERE type = 'leases' AND key = 'containerd.io/gc.expire')
    AND id NOT IN (SELECT lease FROM lease_resources)`,
  'staged snapshot': 'SELECT id AS name FROM staging',
  'file to remove': 'SELECT path AS name FROM doomed',
};

/**
 * Image records, active snapshots and work in progress; a store that was never made has none. A lease may stay if it keeps
 * something for the next try and ends by itself.
 */
export function halfDone(root: string): string[] {
  const path = join(root, 'hawser.db');
  if (!existsSync(path)) return [];
  const db = new DatabaseSync(path);
  try {
    return Object.entries(LEFT).flatMap(([kind, query]) =>
      db
        .prepare(query)
        .all()
        .map((row) => `${kind} ${row.name}`),
    );
  } finally {
    db.close();
  }
}
