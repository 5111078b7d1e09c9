/** What the survey of every store must say of a collection (containerd's core/metadata/gc_test.go, on a real store). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import { planCollection } from '../../src/core/gc/survey.ts';
import type { Digest } from '../../src/core/oci/digest.ts';
import { bytesOf, close, digestOf } from '../support/stores.ts';
import type { StoreUnderTest } from './content.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const REF = 'containerd.io/gc.ref.content';

async function put({ content }: Backend, text: string, labels = {}, lease?: string): Promise<Digest> {
  const bytes = bytesOf(text);
  const call = lease === undefined ? {} : { lease };
  const ingest = await content.ingest(`put-${text}`, { digest: digestOf(bytes), size: bytes.length }, call);
  await ingest.write(bytes);
  const digest = await ingest.commit({ labels });
  await close(ingest);
  return digest;
}

/** What would go of this namespace, and what keeps the rest: by id. */
async function planOf(backend: Backend) {
  const { goes, stays, bytes } = planCollection(await backend.survey());
  const own = <T extends { readonly namespace: string }>(items: readonly T[]) =>
    items.filter(({ namespace }) => namespace === backend.namespace);
  return {
    bytes,
    goes: own(goes)
      .map(({ id }) => id)
      .sort(),
    kept: new Map(own(stays).map(({ id, cause }) => [id, cause])),
  };
}

export function gcSuite(
  name: string,
  make: () => Promise<StoreUnderTest>,
  skip: string | false = false,
): void {
  const check = (title: string, body: (backend: Backend, store: StoreUnderTest) => Promise<void>): void => {
    test(`gc/${name}: ${title}`, { skip }, async () => {
      const store = await make();
      try {
        await body(await store.open('testsuite'), store);
      } finally {
        await store.done();
      }
    });
  };

  check(
    'TestGCRemove: an image keeps what its content refers to; without the image all goes',
    async (backend) => {
      const layer = await put(backend, 'layer');
      const manifest = await put(backend, 'manifest', { [`${REF}.l.0`]: layer });
      const loose = await put(backend, 'loose');
      await backend.images.put('i', { mediaType: MANIFEST, digest: manifest, size: 8 }, {});
      const { goes, kept, bytes } = await planOf(backend);
      assert.deepEqual([goes, bytes], [[loose], 'loose'.length]);
      assert.deepEqual(kept.get(layer), {
        root: { type: 'image', id: 'i' },
        path: [
          { type: 'images', id: 'i' },
          { type: 'content', id: manifest },
          { type: 'content', id: layer },
        ],
      });
      await backend.images.delete('i');
      assert.deepEqual((await planOf(backend)).goes, [layer, manifest, loose].sort());
    },
  );

  check(
    'TestGCRoots: leases, flat ones and expired ones; a root label; a back reference',
    async (backend) => {
      const child = await put(backend, 'child');
      const parent = await put(backend, 'parent', { [`${REF}.0`]: child });
      const back = await put(backend, 'back', { 'containerd.io/gc.bref.content': parent });
      const root = await put(backend, 'root', { 'containerd.io/gc.root': 'yes' });
      const lease = async (id: string, labels: Record<string, string>) => {
        await backend.leases.create({ id, labels });
        await backend.leases.add(id, { type: 'content', id: parent });
      };
      await lease('over', { 'containerd.io/gc.expire': '2020-01-01T00:00:00Z' });
      assert.deepEqual((await planOf(backend)).goes, [child, parent, back, 'over'].sort());
      await lease('flat', { 'containerd.io/gc.flat': 'yes' });
      assert.deepEqual((await planOf(backend)).goes, [child, back, 'over'].sort());
      await lease('whole', {});
      const { goes, kept } = await planOf(backend);
      assert.deepEqual(goes, ['over']);
      assert.deepEqual(kept.get(child)?.root, { type: 'lease', id: 'whole' });
      assert.deepEqual(kept.get(back)?.root, { type: 'lease', id: 'whole' });
      assert.deepEqual(kept.get(root)?.root, { type: 'label', id: root });
      assert.deepEqual(kept.get('whole'), { root: { type: 'lease', id: 'whole' }, path: [] });
    },
  );

  check('TestGCRefs: which labels refer, by their grammar', async (backend) => {
    const leaf = (text: string, labels = {}) => put(backend, `ref-${text}`, labels);
    const [plain, dotted, slashed, bad] = [
      await leaf('1'),
      await leaf('2'),
      await leaf('3'),
      await leaf('4'),
    ];
    const [named, gone] = [await leaf('5'), digestOf(bytesOf('gone'))];
    const back = (key: string, id: string) => ({ [`containerd.io/gc.bref.${key}`]: id });
    const root = await leaf('root', {
      [REF]: plain,
      [`${REF}.anything-1`]: dotted,
      [`${REF}/anything-1`]: slashed,
      [`${REF}bad`]: bad,
      [`${REF}.gone`]: gone,
      'containerd.io/gc.ref.image': 'named',
      'containerd.io/gc.root': '1',
    });
    await backend.images.put(
      'named',
      { mediaType: MANIFEST, digest: named, size: 1 },
      {
        'containerd.io/gc.expire': '2020-01-01T00:00:00Z',
      },
    );
    const backs = [await leaf('6', back('content.x', root)), await leaf('7', back('image', 'named'))];
    const loose = await leaf('8', back('content', digestOf(bytesOf('nothing'))));
    const { goes, kept } = await planOf(backend);
    assert.deepEqual(goes, [bad, loose].sort());
    for (const digest of [plain, dotted, slashed, named, ...backs]) assert.ok(kept.has(digest));
  });

  check('a download is kept, with its bytes, by its lease', async (backend) => {
    const { id } = await backend.leases.create();
    const ingest = await backend.content.ingest('download', { size: 100 }, { lease: id });
    await ingest.write(new Uint8Array(40));
    await close(ingest);
    const { kept } = await planOf(backend);
    assert.ok(kept.has('download'));
    const [found] = (await backend.survey()).namespaces.filter((one) => one.name === backend.namespace);
    assert.equal(found?.bytes.get('ingests\0download'), 40);
  });

  check('namespaces do not keep each other’s content', async (backend, store) => {
    const other = await store.open('other');
    const digest = await put(backend, 'mine');
    await other.images.put('i', { mediaType: MANIFEST, digest, size: 4 }, {});
    assert.deepEqual((await planOf(backend)).goes, [digest]);
  });
}
