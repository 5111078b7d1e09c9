/** What of images is in a store: the limits hold for each image, whatever others there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamOf } from '../../../src/core/async/byte-stream.ts';
import { Survey } from '../../../src/core/carry/survey.ts';
import type { InfoProvider, Provider } from '../../../src/core/content/content-store.ts';
import { HawserError } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { rejectsWith } from '../../support/bench.ts';
import { INDEX_TYPE, MANIFEST_TYPE } from '../../support/golden-image.ts';
import { digestOf } from '../../support/stores.ts';

class FakeStore implements Provider, InfoProvider {
  readonly blobs = new Map<string, Uint8Array>();
  opened = 0;

  put(mediaType: string, value: unknown, padding = 0): Descriptor {
    const bytes = new TextEncoder().encode(JSON.stringify(value) + ' '.repeat(padding));
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async info(digest: Descriptor['digest']) {
    const size = this.#of(digest).length;
    return { digest, size, createdAt: 0, updatedAt: 0, labels: {} };
  }

  async open(digest: Descriptor['digest']) {
    this.opened++;
    return streamOf(this.#of(digest));
  }

  #of(digest: string): Uint8Array {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new HawserError('NotFound', digest);
    return bytes;
  }
}

const named = (text: string) => digestOf(new TextEncoder().encode(text));
const absent = (text: string) => ({ mediaType: MANIFEST_TYPE, digest: named(text), size: 2 });
const indexOf = (manifests: readonly unknown[]) => ({ schemaVersion: 2, manifests });

test('a thousand images of 25 parts each are no image of too many parts', async () => {
  const store = new FakeStore();
  const survey = new Survey(store, {});
  for (let image = 0; image < 1000; image++) {
    const parts = Array.from({ length: 25 }, (_, n) => absent(`${image} ${n}`));
    const part = await survey.look(store.put(INDEX_TYPE, indexOf(parts)));
    assert.equal(part.type === 'index' && part.parts.length, 25);
  }
});

test('one image of too many parts is refused; what images share is read once', async () => {
  const store = new FakeStore();
  const lists = Array.from({ length: 11 }, (_, at) =>
    store.put(INDEX_TYPE, indexOf(Array.from({ length: 2000 }, (_, n) => absent(`${at} ${n}`)))),
  );
  const survey = new Survey(store, {});
  const whole = store.put(INDEX_TYPE, indexOf(lists));
  await rejectsWith('InvalidArgument', /more than 20000 parts/, survey.look(whole));
  const opened = store.opened;
  await survey.look(store.put(INDEX_TYPE, indexOf(lists.slice(0, 9))));
  assert.equal(store.opened, opened + 1);
});

test('documents that are too large together are not read', async () => {
  const store = new FakeStore();
  const large = Array.from({ length: 20 }, (_, n) =>
    store.put(INDEX_TYPE, indexOf([absent(`${n}`)]), 4 << 20),
  );
  const whole = store.put(INDEX_TYPE, indexOf(large));
  await rejectsWith('InvalidArgument', /more than \d+ bytes together/, new Survey(store, {}).look(whole));
  assert.ok(store.opened < 17, String(store.opened));
});
