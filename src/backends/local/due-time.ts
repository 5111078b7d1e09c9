/** The time of the next collection: a row of the store that whoever makes something useless sets to now; and what none reaches. Within transactions. */
import { number } from './rows.ts';
import type { Store } from './store.ts';

/** Milliseconds from one collection to the next, where nothing is known to be useless. */
export const COLLECTION_INTERVAL: number = 24 * 3600 * 1000;

/** Milliseconds since the epoch; undefined in a store that has never been collected. */
export function dueTime({ db }: Store): number | undefined {
  const row = db.prepare('SELECT at FROM due').get();
  return row === undefined ? undefined : number(row, 'at');
}

export function setDue({ db }: Store, at: number): void {
  if (db.prepare('UPDATE due SET at = ?').run(at).changes === 0)
    db.prepare('INSERT INTO due VALUES (?)').run(at);
}

/** The max-size of which the user was told that no collection reaches it; undefined where nobody was. */
export function unmetSize({ db }: Store): number | undefined {
  const row = db.prepare('SELECT max_size FROM unmet').get();
  return row === undefined ? undefined : number(row, 'max_size');
}

export function setUnmet({ db }: Store, maxSize: number | undefined): void {
  db.prepare('DELETE FROM unmet').run();
  if (maxSize !== undefined) db.prepare('INSERT INTO unmet VALUES (?)').run(maxSize);
}
