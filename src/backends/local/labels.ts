import type { Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import type { Database } from '../../core/ports/database.ts';
import { text } from './rows.ts';

/** `content`, `images`, `leases` or `snapshots/<snapshotter>`. */
export type LabelType = string;

/** The labels table. Writers are called within a transaction. */
export const labelRows = {
  get(db: Database, ns: string, type: LabelType, id: string): Labels {
    const rows = db.prepare(
      'SELECT key, value FROM labels WHERE ns = ? AND type = ? AND id = ? ORDER BY key',
    );
    return Object.fromEntries(rows.all(ns, type, id).map((row) => [text(row, 'key'), text(row, 'value')]));
  },

  /** The labels of everything of a type, by id. */
  all(db: Database, ns: string, type: LabelType): Map<string, Labels> {
    const rows = db.prepare('SELECT id, key, value FROM labels WHERE ns = ? AND type = ? ORDER BY id, key');
    const grouped = new Map<string, [string, string][]>();
    for (const row of rows.all(ns, type)) {
      const id = text(row, 'id');
      const entries = grouped.get(id) ?? [];
      if (entries.length === 0) grouped.set(id, entries);
      entries.push([text(row, 'key'), text(row, 'value')]);
    }
    return new Map([...grouped].map(([id, entries]) => [id, Object.fromEntries(entries)]));
  },

  /** Sets labels and, where the value is '', removes them; others stay. InvalidArgument for one too long. */
  set(db: Database, ns: string, type: LabelType, id: string, labels: Labels): void {
    checkLabels(labels);
    const put = db.prepare('INSERT OR REPLACE INTO labels (ns, type, id, key, value) VALUES (?, ?, ?, ?, ?)');
    const drop = db.prepare('DELETE FROM labels WHERE ns = ? AND type = ? AND id = ? AND key = ?');
    for (const [key, value] of Object.entries(labels)) {
      if (value === '') drop.run(ns, type, id, key);
      else put.run(ns, type, id, key, value);
    }
  },

  /** Sets the labels whose keys are not set yet. */
  add(db: Database, ns: string, type: LabelType, id: string, labels: Labels): void {
    checkLabels(labels);
    const put = db.prepare('INSERT OR IGNORE INTO labels (ns, type, id, key, value) VALUES (?, ?, ?, ?, ?)');
    for (const [key, value] of Object.entries(labels)) if (value !== '') put.run(ns, type, id, key, value);
  },

  clear(db: Database, ns: string, type: LabelType, id: string): void {
    db.prepare('DELETE FROM labels WHERE ns = ? AND type = ? AND id = ?').run(ns, type, id);
  },
} as const;
