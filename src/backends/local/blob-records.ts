/** The records of one namespace's blobs. `labelBlob` and `removeBlob` run within a transaction. */
import type { Info, Labels } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import { type Digest, parseDigest } from '../../core/oci/digest.ts';
import { labelRows } from './labels.ts';
import { number, text } from './rows.ts';
import type { Store } from './store.ts';

export function findBlob({ db, namespace }: Store, digest: Digest): Info | undefined {
  const find = db.prepare(
    `SELECT b.size, b.created_at, b.updated_at, l.key, l.value FROM blobs b
     LEFT JOIN labels l ON l.ns = b.ns AND l.type = 'content' AND l.id = b.digest
     WHERE b.ns = ? AND b.digest = ? ORDER BY l.key`,
  );
  const rows = find.all(namespace, digest);
  const [row] = rows;
  if (row === undefined) return undefined;
  const labelled = rows.filter(({ key }) => key !== null);
  return {
    digest,
    size: number(row, 'size'),
    createdAt: number(row, 'created_at'),
    updatedAt: number(row, 'updated_at'),
    labels: Object.fromEntries(labelled.map((one) => [text(one, 'key'), text(one, 'value')])),
  };
}

export function getBlob(store: Store, digest: Digest): Info {
  const info = findBlob(store, digest);
  if (info === undefined) throw blobNotFound(digest);
  return info;
}

export function listBlobs({ db, namespace }: Store): Info[] {
  const labels = labelRows.all(db, namespace, 'content');
  const rows = db.prepare('SELECT * FROM blobs WHERE ns = ? ORDER BY digest').all(namespace);
  return rows.map((row) => ({
    digest: parseDigest(text(row, 'digest')),
    size: number(row, 'size'),
    createdAt: number(row, 'created_at'),
    updatedAt: number(row, 'updated_at'),
    labels: labels.get(text(row, 'digest')) ?? {},
  }));
}

export function labelBlob(store: Store, digest: Digest, labels: Labels): Info {
  const { db, namespace } = store;
  const touch = db.prepare('UPDATE blobs SET updated_at = ? WHERE ns = ? AND digest = ?');
  if (touch.run(store.now(), namespace, digest).changes === 0) throw blobNotFound(digest);
  labelRows.set(db, namespace, 'content', digest, labels);
  return getBlob(store, digest);
}

export function removeBlob({ db, namespace }: Store, digest: Digest): void {
  const drop = db.prepare('DELETE FROM blobs WHERE ns = ? AND digest = ?');
  if (drop.run(namespace, digest).changes === 0) throw blobNotFound(digest);
  labelRows.clear(db, namespace, 'content', digest);
}

export function blobNotFound(digest: Digest): HawserError {
  return new HawserError('NotFound', `content digest ${digest}: not found`);
}
