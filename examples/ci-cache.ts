/**
 * Keeps the images of a list (one reference a line) in a directory that CI caches between its runs, and writes them as an archive, for
 * `docker load` and others: ci-cache.ts LIST DIR ARCHIVE
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { exportImages, fetchImage, images, openStore, parseReference, plan } from 'hawser';

const [list = '', root = '', archive = ''] = process.argv.slice(2);
const lines = (await readFile(list, 'utf8')).split('\n').map((line) => line.trim());
const references = lines.filter((line) => line !== '' && !line.startsWith('#'));

const store = await openStore({ root });
try {
  for (const reference of references) {
    const { blobs } = await plan(reference, { store });
    const missing = blobs.filter((blob) => !blob.present);
    const bytes = missing.reduce((sum, { desc }) => sum + desc.size, 0);
    console.log(`${reference}: ${bytes} bytes in ${missing.length} of ${blobs.length} blobs to fetch`);
    await fetchImage(reference, { store });
  }
  // What the list no longer names would make the cache grow for ever.
  const wanted = new Set(references.map((reference) => parseReference(reference).name));
  for (const { name } of await images({ store }))
    if (!wanted.has(name)) {
      await store.images.delete(name);
      console.log(`${name}: no longer listed`);
    }
  await store.collect();
  await exportImages(references, { store, to: { file: archive } });
} finally {
  await store[Symbol.asyncDispose]();
}
