/** The library's questions: `resolve`, `manifest`, `config`, `tags`, `catalog`, `referrers`, `open`, `plan`, `images`; and `serve`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import * as hawser from '../../src/mod.ts';
import {
  catalog,
  config,
  digestOf,
  fetch,
  files,
  images,
  isKind,
  manifest,
  open,
  parseDigest,
  plan,
  referrers,
  resolve,
  serve,
  tags,
} from '../../src/mod.ts';
import { buildImage, buildIndex, encode, noise } from '../registry/image.ts';
import { rejectsWith, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';
import { repository } from '../support/runtimes.ts';

const large = noise(3_000_000);
const of = (architecture: string) =>
  buildImage({
    platform: { os: 'linux', architecture },
    config: { config: { Env: [`ARCH=${architecture}`] } },
    layers: [
      {
        entries: [
          { name: 'etc/motd', data: `hello ${architecture}` },
          { name: 'large', data: large },
        ],
      },
      { entries: [{ name: 'motd', type: 'symlink', linkname: 'etc/motd' }], compression: 'zstd' },
    ],
  });
const [amd64, arm64] = [await of('amd64'), await of('arm64')];
const index = buildIndex([amd64, arm64]);

const text = async (stream: ReadableStream<Uint8Array>): Promise<string> => await new Response(stream).text();

test('questions: what a reference names, from its registry and from a store that has it', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/q', 'v1', index);
    const platform = 'linux/arm64';
    for (const options of [{}, { store }]) {
      assert.equal((await resolve(ref, options)).digest, index.root.digest);
      assert.equal((await resolve(ref, { ...options, platform })).digest, arm64.root.digest);
      const whole = await manifest(ref, options);
      assert.ok(whole.type === 'index');
      assert.deepEqual(
        whole.manifests.map(({ digest }) => digest),
        [amd64.root.digest, arm64.root.digest],
      );
      const one = await manifest(ref, { ...options, platform });
      assert.ok(one.type === 'manifest');
      assert.equal(digestOf(one.bytes), one.descriptor.digest);
      assert.equal(one.layers.length, 2);
      const found = await config(ref, { ...options, platform });
      assert.deepEqual(found.config.Env, ['ARCH=arm64']);
      assert.equal(found.descriptor.digest, one.config.digest);
      await rejectsWith('NotFound', /windows/, manifest(ref, { ...options, platform: 'windows/amd64' }));
      if ('store' in options) assert.deepEqual(registry.log(), [], 'a store that has the image is enough');
      await fetch(ref, { store, platforms: 'all' });
      registry.requests.length = 0;
    }
    assert.deepEqual(await tags(ref), ['v1']);
    assert.deepEqual(await catalog(registry.host), ['a/q']);
    assert.deepEqual((await referrers(ref)).referrers, []);
    assert.deepEqual(
      (await images({ store })).map(({ name }) => name),
      [ref],
    );
    assert.deepEqual(await images({ store, filters: ['name==other'] }), []);
  });
});

test('open: a file and a blob, verified, from a registry and from a store', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/o', 'v1', index);
    const platform = 'linux/arm64';
    const layer = arm64.layers[0]?.digest ?? '';
    for (const options of [{ platform }, { platform, store }]) {
      assert.equal(await text(await open(ref, '/motd', options)), 'hello arm64');
      const bytes = new Uint8Array(await new Response(await open(ref, '/large', options)).arrayBuffer());
      assert.equal(Buffer.compare(bytes, large), 0);
      const blob = new Uint8Array(await new Response(await open(ref, layer, options)).arrayBuffer());
      assert.equal(digestOf(blob), layer);
      await rejectsWith('NotFound', /none/, open(ref, '/none', options));
      await rejectsWith('FailedPrecondition', /directory/, open(ref, '/etc', options));
      await rejectsWith('NotFound', /./, open(ref, digestOf(encode('nowhere')), options));
      const got = registry.log().filter((line) => line.startsWith('GET'));
      if ('store' in options) assert.deepEqual(got, [], 'what the store has is not fetched');
      await fetch(ref, { store, platforms: [platform] });
      registry.requests.length = 0;
    }
  });
});

test('open: wrong bytes end the stream with DataLoss, and what is not wanted is given up', async () => {
  await withBench(async ({ registry }) => {
    const ref = registry.push('a/o', 'v1', amd64);
    const layer = amd64.layers[0]?.digest ?? '';
    const stream = await open(ref, layer);
    const reader = stream.getReader();
    assert.ok((await reader.read()).value);
    await reader.cancel();
    await reader.closed;
    registry.putBlob('a/o', layer, noise(1000, 9));
    await rejectsWith('DataLoss', /./, text(await open(ref, layer, { retry: { tries: 0 } })));
  });
});

const ACCEPTS = async () => ({ accepted: true, by: 'a test', vouchers: [] }) as const;

test('a stream that was opened ends with Canceled, too', async () => {
  await withBench(async ({ registry }) => {
    const ref = registry.push('a/s', 'v1', amd64);
    const layer = amd64.layers[0]?.digest ?? '';
    const stop = new AbortController();
    const { signal } = stop;
    const streams = [await open(ref, '/large', { signal }), await open(ref, layer, { signal })];
    const iteration = files(ref, { signal, path: '/large' });
    const { value: file } = await iteration.next();
    if (file !== undefined) streams.push(file.content());
    assert.equal(streams.length, 3);
    const readers = streams.map((stream) => stream.getReader());
    stop.abort(new TypeError('the user has left'));
    for (const reader of readers)
      await assert.rejects(
        (async () => {
          while (!(await reader.read()).done);
        })(),
        (err) => isKind(err, 'Canceled') && (err as Error).cause instanceof TypeError,
      );
  });
});

test('plan: what a pull would fetch', { skip: needs({ root: true }) }, async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/p', 'v1', amd64);
    const options = { store, snapshotter: 'native' };
    const before = await plan(ref, options);
    assert.ok(before.blobs.length === 4 && before.blobs.every(({ present }) => !present));
    await fetch(ref, { store });
    assert.ok((await plan(ref, options)).blobs.every(({ present }) => present));
  });
});

test('serve: a store is a registry, until it is closed or its signal aborts', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/v', 'v1', amd64);
    await fetch(ref, { store });
    const statuses: number[] = [];
    const stop = new AbortController();
    const server = await serve({
      ...{ store, port: 0, signal: stop.signal },
      onEvent: (event) => {
        if (event.type === 'request') statuses.push(event.status);
      },
    });
    const served = `${new URL(server.url).host}/a/v:v1`;
    assert.equal((await resolve(served)).digest, amd64.root.digest);
    assert.equal(await text(await open(served, '/motd')), 'hello amd64');
    assert.ok(statuses.includes(200));
    stop.abort(new Error('enough'));
    // The abort closes by itself; `close` waits for that.
    await rejectsWith('Unavailable', /./, resolve(served, { retry: { tries: 0 } }));
    await server.close();
    const other = await serve({ store, port: 0 });
    await other[Symbol.asyncDispose]();
    await rejectsWith(
      'Unavailable',
      /./,
      resolve(served.replace(/:\d+/, `:${new URL(other.url).port}`), { retry: { tries: 0 } }),
    );
  });
});

test('serve: what would be open to the network in the clear, or cannot be, is refused', async () => {
  await withBench(async ({ store }) => {
    for (const [options, message] of [
      [{ address: '0.0.0.0' }, /other machines can reach 0\.0\.0\.0/],
      [{ address: '::' }, /other machines/],
      [{ address: '127.evil.example' }, /no IP address/],
      [{ port: 70_000 }, /port is 70000/],
      [{ maxConnections: -1 }, /maxConnections is -1/],
      [{ users: 'admin:plain' }, /users:1: this is no user/],
    ] as const)
      await rejectsWith('InvalidArgument', message, serve({ store, port: 0, ...options }));
  });
});

test('digests are made by functions', () => {
  const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  assert.equal(digestOf(new Uint8Array()), parseDigest(`sha256:${empty}`));
  assert.match(digestOf(encode('a'), 'sha512'), /^sha512:[0-9a-f]{128}$/);
  assert.ok(hawser.isDigest(`sha256:${empty}`) && !hawser.isDigest('sha256:short'));
});

test('no name hides one that programs have without an import, unless the library has it under a second name', () => {
  const exported = new Set(
    [...readFileSync(join(repository, 'src/mod.ts'), 'utf8').matchAll(/export (?:type )?\{([^}]*)\}/g)]
      .flatMap(([, list = '']) => list.split(','))
      .map((item) => item.trim().replace(/^type /, ''))
      .filter((item) => item !== ''),
  );
  const named = [...exported].map((item) => item.split(' as ').at(-1) ?? '');
  assert.ok(named.length > 150);
  const lib = `@typescript/typescript-${process.platform}-${process.arch}/lib/lib.dom.d.ts`;
  const dom = join(repository, 'node_modules', lib);
  const declared = readFileSync(dom, 'utf8').matchAll(
    /^(?:declare )?(?:var|function|interface|type|class) (\w+)/gm,
  );
  const globals = new Set([
    ...Object.getOwnPropertyNames(globalThis),
    ...[...declared].map(([, name]) => name),
  ]);
  assert.ok(globals.has('open') && globals.has('Image') && globals.has('fetch'));
  const hiding = named.filter((name) => globals.has(name));
  assert.ok(hiding.includes('fetch'));
  const alone = hiding.filter((name) => ![...exported].some((item) => item.startsWith(`${name} as `)));
  assert.deepEqual(alone, []);
});

/** What names nobody to ask. */
const NAMELESS: readonly hawser.ApiGateOptions[] = [
  ...[
    { keys: [] },
    { keys: [''] },
    { identity: '' },
    { issuer: '' },
    { trustedRoot: '' },
    { policy: '' },
  ].map((verify) => ({ verify })),
  { verifiers: [] },
  { verifiers: [''] },
  { verify: { policy: 'none' }, verifiers: [] },
  { verify: ACCEPTS, verifiers: [] },
];

test('an option that restricts, is given and names nothing, is an error and not no restriction', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/nobody', 'v1', amd64);
    await fetch(ref, { store });
    const log = registry.log().length;
    const none: readonly string[] = [];
    const refused: [string, Promise<unknown>][] = NAMELESS.flatMap((gate) => {
      const options = { ...gate, store };
      return Object.entries({
        fetch: fetch(ref, options),
        pull: hawser.pull(ref, options),
        repair: hawser.repair(ref, options),
        copy: hawser.copy(ref, `${ref}-2`, gate),
        importImages: hawser.importImages({ ...options, from: '/nowhere.tar' }),
        verifySignatures: hawser.verifySignatures(options),
      }).map(([name, run]): [string, Promise<unknown>] => [`${name} ${JSON.stringify(gate)}`, run]);
    });
    for (const [name, run] of Object.entries({
      fetch: fetch(ref, { store, platforms: none }),
      copy: hawser.copy(ref, `${ref}-2`, { platforms: none }),
      push: hawser.push(ref, { store, platforms: none }),
      unpack: hawser.unpack(ref, { store, platforms: none }),
      exportImages: hawser.exportImages([ref], { store, platforms: none, to: async () => {} }),
      importImages: hawser.importImages({ store, platforms: none, from: '/nowhere.tar' }),
      verifySignatures: hawser.verifySignatures({ store, platforms: none, verify: ACCEPTS }),
      verify: hawser.verify({ store, parts: [] }),
      prune: hawser.prune({ store, filters: none }),
      'prune with an empty filter': hawser.prune({ store, filters: [''] }),
    }))
      refused.push([name, run]);
    const outcomes = await Promise.allSettled(refused.map(([, run]) => run));
    const wrong = outcomes.flatMap((outcome, at) => {
      const isRefused =
        outcome.status === 'rejected' &&
        isKind(outcome.reason, 'InvalidArgument') &&
        /names nothing/.test(String(outcome.reason));
      return isRefused
        ? []
        : [`${refused[at]?.[0]}: ${outcome.status === 'rejected' ? outcome.reason : 'taken'}`];
    });
    assert.deepEqual(wrong, []);
    assert.equal(registry.log().length, log, 'nothing was asked');
    assert.equal((await images({ store })).length, 1);
  });
});

test('verifySignatures: what names nobody to ask is an error, not images without a problem', async () => {
  await withBench(async ({ store, registry }) => {
    await fetch(registry.push('a/nobody', 'v1', amd64), { store });
    for (const gate of [
      {},
      { verify: {} },
      { verify: { policy: 'none' } },
      { verifiers: ['none'] },
      { verify: { policy: 'none' }, verifiers: ['none'], requireSigned: true },
    ])
      await rejectsWith('InvalidArgument', /Nobody is there/, hawser.verifySignatures({ store, ...gate }));
    const [judged] = await hawser.verifySignatures({ store, verify: ACCEPTS });
    assert.equal(judged?.problem, undefined);
  });
});
