import type { Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import { HawserError, ifFound, isKind } from '../../core/errors.ts';
import {
  type Image,
  type ImageStore,
  isUnchanged,
  type PutImageCall,
  takenName,
} from '../../core/images/image-store.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { Connection } from './connection.ts';
import { fromDescriptor } from './descriptors.ts';
import { labelMask, type Message, need, toMs } from './messages.ts';

/** Another process may create or delete the name between two of our calls; after so many times it is an error. */
const PUT_TRIES = 10;
const encoder = new TextEncoder();

/** containerd's image records (services/images/v1). */
export class ContainerdImages implements ImageStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async get(name: string, call?: Call): Promise<Image> {
    const { image } = await this.#connection.call('images.v1.Images/Get', { name }, call);
    return toImage(need(image, 'the image asked for'));
  }

  async list(call?: Call): Promise<Image[]> {
    const { images } = await this.#connection.call('images.v1.Images/List', {}, call);
    return images.map(toImage).sort((a, b) => compareBytes(a.name, b.name));
  }

  async put(name: string, target: Descriptor, labels: Labels, call: PutImageCall = {}): Promise<Image> {
    checkLabels(labels);
    if (call.keepsOther === true) await this.#requireOwn(name, target, call);
    return await this.#put(name, target, labels, call);
  }

  /**
   * The update has a mask of what it changes. Without a mask, as ctr sends it, containerd replaces all labels, and so removes
   * those by which CRI pins images.
   */
  async #put(name: string, target: Descriptor, labels: Labels, call: PutImageCall): Promise<Image> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#create(name, target, labels, call);
      } catch (err) {
        if (!isKind(err, 'AlreadyExists') || attempt === PUT_TRIES) throw err;
      }
      if (call.keepsOther === true) await this.#requireOwn(name, target, call);
      try {
        return await this.#update(name, target, labels, call);
      } catch (err) {
        if (!isKind(err, 'NotFound') || attempt === PUT_TRIES) throw err;
      }
    }
  }

  /** containerd has no such condition: another process may move the name between this look and the update. */
  async #requireOwn(name: string, { digest }: Descriptor, call: Call): Promise<void> {
    const found = (await ifFound(this.get(name, call)))?.target.digest;
    if (found !== undefined && found !== digest) throw takenName(name, found);
  }

  async #create(name: string, target: Descriptor, labels: Labels, call: WriteCall): Promise<Image> {
    const set = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
    const request = { image: { name, target: fromDescriptor(target), labels: set } };
    const { image } = await this.#connection.call('images.v1.Images/Create', request, call);
    return toImage(need(image, 'the image made'));
  }

  async #update(name: string, target: Descriptor, labels: Labels, call: WriteCall): Promise<Image> {
    const paths = ['target', ...labelMask(labels).paths];
    const request = { image: { name, target: fromDescriptor(target), labels }, updateMask: { paths } };
    const { image } = await this.#connection.call('images.v1.Images/Update', request, call);
    return toImage(need(image, 'the image updated'));
  }

  async label(name: string, labels: Labels, call?: Call): Promise<Image> {
    checkLabels(labels);
    const before = await this.get(name, call);
    if (Object.keys(labels).length === 0) return before;
    // containerd checks the whole record, the mask notwithstanding.
    const request = {
      image: { name, target: fromDescriptor(before.target), labels },
      updateMask: labelMask(labels),
    };
    const { image } = await this.#connection.call('images.v1.Images/Update', request, call);
    return toImage(need(image, 'the image updated'));
  }

  async delete(name: string, call?: Call): Promise<void> {
    await this.#connection.call('images.v1.Images/Delete', { name }, call);
  }

  async deleteAll(names: readonly string[], call?: Call): Promise<string[]> {
    const deleted: string[] = [];
    for (const name of names) {
      if ((await ifFound(this.delete(name, call).then(() => true))) === true) deleted.push(name);
    }
    return deleted;
  }

  /** Each record is read just before it is deleted: containerd deletes by name. */
  async deleteUnchanged(images: readonly Image[], call?: Call): Promise<string[]> {
    const deleted: string[] = [];
    for (const image of images) {
      const now = await ifFound(this.get(image.name, call));
      if (now === undefined || !isUnchanged(image, now)) continue;
      deleted.push(...(await this.deleteAll([image.name], call)));
    }
    return deleted;
  }
}

function toImage({ name, labels, target, createdAt, updatedAt }: Message<'Image'>): Image {
  const { mediaType, digest, size, annotations } = need(target, `the target of ${name}`);
  if (digest === '') throw new HawserError('Internal', `containerd has no digest for the image ${name}`);
  const annotated = Object.keys(annotations).length > 0 ? { annotations } : {};
  return {
    name,
    target: { mediaType, digest: parseDigest(digest), size, ...annotated },
    labels,
    createdAt: toMs(createdAt),
    updatedAt: toMs(updatedAt),
  };
}

/** The order of the names as UTF-8, which is that of their code points. */
function compareBytes(a: string, b: string): number {
  const [x, y] = [encoder.encode(a), encoder.encode(b)];
  const at = x.findIndex((byte, i) => byte !== y[i]);
  return at < 0 ? x.length - y.length : (x[at] ?? 0) - (y[at] ?? -1);
}
