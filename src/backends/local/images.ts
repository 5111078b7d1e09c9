import type { Labels } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import {
  type Image,
  type ImageStore,
  isUnchanged,
  type PutImageCall,
  takenName,
} from '../../core/images/image-store.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Row } from '../../core/ports/database.ts';
import { setDue } from './due-time.ts';
import { labelRows } from './labels.ts';
import { addToLease } from './leases.ts';
import { project, touchImages } from './projection.ts';
import { digestIn, number, optionalText, text } from './rows.ts';
import type { Store } from './store.ts';

function annotationsOf(row: Row): Pick<Descriptor, 'annotations'> {
  const json = optionalText(row, 'annotations');
  return json === undefined ? {} : { annotations: JSON.parse(json) as Record<string, string> };
}

function checkImage(name: string, target: Descriptor): void {
  const wrong = (what: string): HawserError =>
    new HawserError('InvalidArgument', `Cannot record image "${name}": ${what}`);
  if (name === '') throw wrong('image name must not be empty');
  parseDigest(target.digest);
  if (!(target.size > 0)) throw wrong('target.Size must be greater than zero');
  if (target.mediaType === '') throw wrong('target.MediaType must be set');
}

/** Image records in SQLite; `content/index.json` follows every change. */
export class LocalImages implements ImageStore {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async get(name: string, call?: Call): Promise<Image> {
    call?.signal?.throwIfAborted();
    return this.#read(name);
  }

  #read(name: string): Image {
    const { db, namespace } = this.#store;
    const row = db.prepare('SELECT * FROM images WHERE ns = ? AND name = ?').get(namespace, name);
    if (row === undefined) throw notFound(name);
    return toImage(row, labelRows.get(db, namespace, 'images', name));
  }

  async list(call?: Call): Promise<Image[]> {
    call?.signal?.throwIfAborted();
    const { db, namespace } = this.#store;
    const labels = labelRows.all(db, namespace, 'images');
    const rows = db.prepare('SELECT * FROM images WHERE ns = ? ORDER BY name').all(namespace);
    return rows.map((row) => toImage(row, labels.get(text(row, 'name')) ?? {}));
  }

  /**
   * The record is on disk on return, with all that was written before. index.json follows; where it cannot be written, the next
   * opening of the store mends it.
   */
  async put(name: string, target: Descriptor, labels: Labels, call?: PutImageCall): Promise<Image> {
    call?.signal?.throwIfAborted();
    checkImage(name, target);
    const { db, namespace } = this.#store;
    let isNew = false;
    const image = await this.#store.writeDurably(() => {
      const put = db.prepare(
        `INSERT INTO images (ns, name, digest, media_type, size, annotations, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (ns, name) DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type,
           size = excluded.size, annotations = excluded.annotations, updated_at = excluded.updated_at`,
      );
      const at = this.#store.now();
      const before = db.prepare('SELECT digest FROM images WHERE ns = ? AND name = ?').get(namespace, name);
      isNew = before === undefined;
      if (before !== undefined && text(before, 'digest') !== target.digest) {
        if (call?.keepsOther === true) throw takenName(name, text(before, 'digest'));
        setDue(this.#store, at);
      }
      const annotations = target.annotations === undefined ? null : JSON.stringify(target.annotations);
      put.run(namespace, name, target.digest, target.mediaType, target.size, annotations, at, at);
      labelRows.set(db, namespace, 'images', name, labels);
      addToLease(this.#store, call?.lease, 'images', name);
      touchImages(this.#store);
      return this.#read(name);
    }, call);
    if (isNew) this.#store.hasNewImage = true;
    await project(this.#store).catch(() => {});
    return image;
  }

  async label(name: string, labels: Labels, call?: Call): Promise<Image> {
    call?.signal?.throwIfAborted();
    const { db, namespace } = this.#store;
    return await this.#store.writeDurably(() => {
      const touch = db.prepare('UPDATE images SET updated_at = ? WHERE ns = ? AND name = ?');
      if (touch.run(this.#store.now(), namespace, name).changes === 0) throw notFound(name);
      labelRows.set(db, namespace, 'images', name, labels);
      return this.#read(name);
    }, call);
  }

  async delete(name: string, call?: Call): Promise<void> {
    if ((await this.deleteAll([name], call)).length === 0) throw notFound(name);
  }

  /** In one transaction. */
  async deleteAll(names: readonly string[], call?: Call): Promise<string[]> {
    return await this.#delete(() => names, call);
  }

  /** In one transaction. */
  async deleteUnchanged(images: readonly Image[], call?: Call): Promise<string[]> {
    const { db, namespace } = this.#store;
    const find = db.prepare('SELECT * FROM images WHERE ns = ? AND name = ?');
    const leased = db.prepare("SELECT 1 FROM lease_resources WHERE ns = ? AND type = 'images' AND id = ?");
    const mayGo = (image: Image): boolean => {
      const row = find.get(namespace, image.name);
      if (row === undefined || leased.get(namespace, image.name) !== undefined) return false;
      return isUnchanged(image, toImage(row, {}));
    };
    return await this.#delete(() => images.filter(mayGo).map(({ name }) => name), call);
  }

  /** `choose`: within the transaction. */
  async #delete(choose: () => readonly string[], call?: Call): Promise<string[]> {
    call?.signal?.throwIfAborted();
    const { db, namespace } = this.#store;
    const deleted = await this.#store.writeToFree(() => {
      const drop = db.prepare('DELETE FROM images WHERE ns = ? AND name = ?');
      const there = choose().filter((name) => drop.run(namespace, name).changes > 0);
      for (const name of there) labelRows.clear(db, namespace, 'images', name);
      if (there.length > 0) {
        touchImages(this.#store);
        setDue(this.#store, this.#store.now());
      }
      return there;
    }, call);
    if (deleted.length > 0) await this.#store.withSpare(() => project(this.#store)).catch(() => {});
    return deleted;
  }
}

function toImage(row: Row, labels: Labels): Image {
  const name = text(row, 'name');
  return {
    name,
    target: {
      mediaType: text(row, 'media_type'),
      digest: digestIn(row, `the image ${name}`),
      size: number(row, 'size'),
      ...annotationsOf(row),
    },
    labels,
    createdAt: number(row, 'created_at'),
    updatedAt: number(row, 'updated_at'),
  };
}

function notFound(name: string): HawserError {
  return new HawserError('NotFound', `image "${name}": not found`);
}
