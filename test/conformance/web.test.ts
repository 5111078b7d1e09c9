/** `hawser/web` answers as `hawser` does, from the same registry, and ends as it does. */
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import * as hawser from '../../src/mod.ts';
import * as web from '../../src/web.ts';
import { buildImage, buildIndex, encode, noise, type TestEntry } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { rejectsWith } from '../support/bench.ts';
import { execOk } from '../support/exec.ts';
import { isDeno } from '../support/needs.ts';

const folder = (name: string): TestEntry => ({ name: `${name}/`, type: 'directory', mode: 0o755 });
const of = (architecture: string) =>
  buildImage({
    platform: { os: 'linux', architecture },
    layers: [
      {
        entries: [
          folder('etc'),
          { name: 'etc/motd', data: architecture },
          { name: 'large', data: noise(2_000_000) },
        ],
      },
      { entries: [{ name: 'motd', type: 'symlink', linkname: 'etc/motd' }], compression: 'zstd' },
      { entries: [folder('etc'), { name: 'etc/.wh.none', data: '' }], compression: 'none' },
    ],
  });
const [amd64, arm64] = [await of('amd64'), await of('arm64')];
const platform = 'linux/arm64';

async function withRegistry(body: (registry: TestRegistry, ref: string) => Promise<void>): Promise<void> {
  const registry = await startRegistry();
  try {
    await body(registry, registry.push('a/w', 'v1', buildIndex([amd64, arm64])));
  } finally {
    await registry.close();
  }
}

/** What a face of the library says of an image. */
async function answers(
  { resolve, manifest, config, tags, catalog, referrers, files, open }: typeof web,
  ref: string,
) {
  const listed: unknown[] = [];
  for await (const { content, ...file } of files(ref, { platform })) {
    const bytes =
      file.type === 'file' ? new Uint8Array(await new Response(content()).arrayBuffer()) : undefined;
    listed.push({ ...file, digest: bytes && web.digestOf(bytes) });
  }
  const text = async (what: string) => await new Response(await open(ref, what, { platform })).text();
  return {
    root: await resolve(ref),
    one: await resolve(ref, { platform }),
    index: await manifest(ref),
    manifest: await manifest(ref, { platform }),
    config: await config(ref, { platform }),
    tags: await tags(ref),
    catalog: await catalog(ref.split('/')[0] ?? ''),
    referrers: await referrers(ref),
    listed,
    motd: await text('/motd'),
    blob: web.digestOf(encode(await text(arm64.root.digest))),
  };
}

test('web: the same answers as with a runtime of its own', async () => {
  await withRegistry(async (_, ref) => {
    const found = await answers(web, ref);
    assert.equal(found.motd, 'arm64');
    assert.equal(found.listed.length, 4);
    assert.deepEqual(found, await answers(hawser, ref));
  });
});

test('web: what it exports, hawser exports, too', () => {
  assert.deepEqual(
    Object.keys(web).filter((name) => !(name in hawser)),
    [],
  );
});

test('web: hostile answers are refused: other bytes, a layer that is a bomb, a redirect to metadata', async () => {
  await withRegistry(async (registry, ref) => {
    const layer = arm64.layers[0]?.digest ?? '';
    const options = { platform, retry: { tries: 0 } };
    registry.faults.push({ match: layer, redirect: 'http://169.254.169.254/latest' });
    await rejectsWith('FailedPrecondition', /special address/, web.open(ref, '/etc/motd', options));
    registry.faults.length = 0;
    const limits = { maxBytes: 1_000_000 };
    await rejectsWith('ResourceExhausted', /./, web.open(ref, '/etc/motd', { ...options, limits }));
    // A sound layer, and another one.
    registry.putBlob('a/w', layer, amd64.blobs.get(amd64.layers[0]?.digest ?? '') ?? noise(1));
    await rejectsWith('DataLoss', /./, web.open(ref, '/etc/motd', options));
    await rejectsWith('DataLoss', /./, new Response(await web.open(ref, layer, options)).text());
  });
});

test('web: an encoded answer, though identity was asked for, is read', async () => {
  await withRegistry(async (registry, ref) => {
    registry.faults.push({ match: /manifests/, method: 'GET', contentEncoding: 'gzip' });
    const found = await web.manifest(ref, { platform });
    assert.equal(found.descriptor.digest, arm64.root.digest);
  });
});

test('web: an abort is Canceled, with its reason as the cause, also of a stream', async () => {
  await withRegistry(async (_, ref) => {
    const reason = new TypeError('the user has left');
    const signal = AbortSignal.abort(reason);
    const calls = {
      ...{ resolve: web.resolve, manifest: web.manifest, config: web.config },
      ...{ tags: web.tags, referrers: web.referrers },
      catalog: (name: string, options: web.Call) => web.catalog(name.split('/')[0] ?? '', options),
      open: (name: string, options: web.Call) => web.open(name, '/motd', options),
      files: (name: string, options: web.Call) => web.files(name, options).next(),
    };
    for (const [name, call] of Object.entries(calls))
      await assert.rejects(
        call(ref, { signal }),
        (err) => web.isKind(err, 'Canceled') && (err as Error).cause === reason,
        name,
      );
    const stop = new AbortController();
    const reader = (await web.open(ref, '/large', { signal: stop.signal })).getReader();
    stop.abort(reason);
    await assert.rejects(
      (async () => {
        while (!(await reader.read()).done);
      })(),
      (err) => web.isKind(err, 'Canceled') && (err as Error).cause === reason,
    );
  });
});

test('web: a browser shows no redirect, and none is followed', async () => {
  const { fetch: real } = globalThis;
  await withRegistry(async (_, ref) => {
    globalThis.fetch = async () =>
      Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' });
    try {
      await rejectsWith('FailedPrecondition', /does not show where the redirect leads/, web.resolve(ref));
    } finally {
      globalThis.fetch = real;
    }
  });
});

test('web: without WebAssembly gzip is decoded, and zstd is NotImplemented', async () => {
  const url = (path: string) => JSON.stringify(new URL(`../../src/${path}.ts`, import.meta.url).href);
  const names = [
    'platform/web/codecs',
    'core/codec/zstd-portable',
    'core/codec/gzip-wasm',
    'core/codec/gzip-portable',
  ];
  // Loaded first: Node reads types by WebAssembly, too.
  const script = `const [{ webCodecs }] = await Promise.all([${names.map((name) => `import(${url(name)})`)}]);
    globalThis.WebAssembly = undefined;
    console.log((await webCodecs().get('gzip')).library);
    await webCodecs().get('zstd').catch((err) => console.log(err.kind, err.message));`;
  const quiet = '--disable-warning=ExperimentalWarning';
  const args = isDeno ? ['eval', script] : [quiet, '--input-type=module', '-e', script];
  const { stdout } = await execOk(process.execPath, args);
  assert.match(
    stdout,
    /^pako\nNotImplemented Cannot decompress zstd: this runtime compiles no WebAssembly\n$/,
  );
});
