/** `files` of the library: what is in an image, with the bytes of each file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetch, files, isKind } from '../../src/mod.ts';
import { buildImage, noise, type TestEntry } from '../registry/image.ts';
import { rejectsWith, withBench } from '../support/bench.ts';

const folder = (name: string): TestEntry => ({ name: `${name}/`, type: 'directory', mode: 0o755 });
const image = await buildImage({
  layers: [
    { entries: [folder('a'), { name: 'a/large', data: noise(300_000) }, { name: 'a/empty', data: '' }] },
    {
      entries: [
        folder('a'),
        { name: 'a/small', data: 'small', mode: 0o4755 },
        { name: 'b', type: 'symlink', linkname: 'a' },
      ],
    },
  ],
});

async function read(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

test('files: from a registry without a store, and from a store', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/f', 'v1', image);
    for (const options of [{}, { store }]) {
      const found: string[] = [];
      for await (const file of files(ref, options)) {
        found.push(`${file.path} ${file.type} ${file.mode.toString(8)} ${file.size} ${file.target}`.trim());
        if (file.type !== 'file') {
          assert.throws(
            () => file.content(),
            (err) => isKind(err, 'FailedPrecondition'),
          );
          continue;
        }
        const bytes = await read(file.content());
        assert.equal(bytes.length, file.size);
        if (file.path === '/a/large') assert.equal(Buffer.compare(bytes, noise(300_000)), 0);
      }
      assert.deepEqual(found, [
        '/a directory 755 0',
        '/a/empty file 644 0',
        '/a/large file 644 300000',
        '/a/small file 4755 5',
        '/b symlink 777 0 a',
      ]);
      if ('store' in options) assert.deepEqual(registry.log(), []);
      await fetch(ref, { store });
      registry.requests.length = 0;
    }
    const below: string[] = [];
    for await (const file of files(ref, { store, path: '/b' })) below.push(file.path);
    assert.deepEqual(below, ['/a/empty', '/a/large', '/a/small']);
  });
});

test('files: an iteration may be left, is ended by an abort, and says what is not there', async () => {
  await withBench(async ({ registry }) => {
    const ref = registry.push('a/f', 'v1', image);
    for await (const file of files(ref)) {
      assert.equal(file.path, '/a');
      break;
    }
    const stop = new AbortController();
    const all = async (): Promise<void> => {
      for await (const _ of files(ref, { signal: stop.signal })) stop.abort(new Error('enough'));
    };
    await rejectsWith('Canceled', /enough/, all());
    await rejectsWith('NotFound', /No such file in the image: \/none/, files(ref, { path: '/none' }).next());
    await rejectsWith('NotFound', /./, files(`${ref}x`).next());
  });
});
