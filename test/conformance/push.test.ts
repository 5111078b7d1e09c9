/** `push` and `copy` as the command line has them, against a registry that misbehaves. A numbers are those of the vectors of archives. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRuntime } from '../../src/entry/library.ts';
import { copy, fetch as fetchImage, openStore, push } from '../../src/mod.ts';
import { makeCerts } from '../registry/certs.ts';
import type { Fault } from '../registry/faults.ts';
import { buildImage, buildIndex, noise, type TestImage } from '../registry/image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { rejectsWith } from '../support/bench.ts';
import { runHere } from '../support/command-line.ts';
import { tempDir } from '../support/tmp.ts';

const MIB = 1 << 20;
const [big, small] = [
  await buildImage({ layers: [{ entries: [{ name: 'big', data: noise(3 * MIB) }] }] }),
  await buildImage({ layers: [{ entries: [{ name: 'small', data: 'x' }] }] }),
];
const LAYER = big.layers[0]?.digest ?? '';
const SIZE = big.layers[0]?.size ?? 0;

interface World {
  /** Has what is fetched. */
  readonly from: TestRegistry;
  /** Takes what is pushed. */
  readonly to: TestRegistry;
  readonly dir: string;
  go(...args: readonly string[]): Promise<{ code: number; out: string; err: string }>;
  /** Fetches the image under a name without the registry's. */
  have(repo: string, image: TestImage, ...flags: readonly string[]): Promise<string>;
}

async function withWorld(
  options: Omit<RegistryOptions, 'faults'> & { readonly faults?: readonly Fault[] },
  body: (world: World) => Promise<void>,
): Promise<void> {
  const dir = tempDir();
  const from = await startRegistry();
  const to = await startRegistry({ uploads: { checks: true }, ...options });
  const runtime = await defaultRuntime();
  const go: World['go'] = (...args) => runHere(runtime, join(dir.path, 'root'), args);
  const have: World['have'] = async (repo, image, ...flags) => {
    const ref = from.push(repo, '1', image);
    const { code, err } = await go('content', 'fetch', '--progress', 'none', ...flags, ref);
    assert.equal(code, 0, err);
    return ref;
  };
  mkdirSync(join(dir.path, 'root'));
  try {
    await body({ from, to, dir: dir.path, go, have });
  } finally {
    await from.close();
    await to.close();
    dir[Symbol.dispose]();
  }
}

/** Pushes `image`; the registry has all of it then, byte for byte, and no upload is left. */
async function pushed(world: World, image: TestImage, ...flags: readonly string[]): Promise<string> {
  const local = await world.have('t/src', image, '--all-platforms');
  const done = await world.go('push', '--progress', 'plain', ...flags, `${world.to.host}/x/app:1`, local);
  assert.equal(done.code, 0, done.err);
  await hasAll(world.to, 'x/app', image, '1');
  assert.equal(world.to.openUploads(), 0);
  return done.out;
}

async function hasAll(to: TestRegistry, repo: string, image: TestImage, tag: string): Promise<void> {
  for (const [digest, bytes] of image.blobs) assert.deepEqual(await to.content(repo, digest), bytes);
  for (const { digest, bytes } of image.manifests) assert.deepEqual(await to.content(repo, digest), bytes);
  assert.deepEqual(await to.content(repo, tag), image.root.bytes);
}

const writes = (to: TestRegistry): string[] =>
  to.requests
    .filter(({ method }) => !['HEAD', 'GET'].includes(method))
    .map(({ method, path }) => `${method} ${path}`);
/** Bytes of blobs that were sent. */
const sent = (to: TestRegistry): number =>
  to.requests
    .filter(({ path }) => path.includes('/uploads/'))
    .reduce((sum, { received }) => sum + received, 0);
const all = (image: TestImage): number =>
  [...image.blobs.values()].reduce((sum, { length }) => sum + length, 0);

test('A40: each blob once, children before their index, the tag last; a second push sends nothing', async () => {
  const other = await buildImage({
    layers: [{ entries: [{ name: 'other', data: 'y' }] }],
    platform: { os: 'linux', architecture: 'arm64' },
  });
  const index = buildIndex([small, other]);
  await withWorld({}, async (world) => {
    const { to } = world;
    await pushed(world, index);
    const log = writes(to);
    assert.equal(log.at(-1), 'PUT /v2/x/app/manifests/1');
    assert.deepEqual(
      log.slice(-3, -1),
      index.manifests.map(({ digest }) => `PUT /v2/x/app/manifests/${digest}`),
    );
    assert.equal(sent(to), all(index));
    to.requests.length = 0;
    const again = await pushed(world, index);
    assert.deepEqual([writes(to), /0 bytes/.test(again)], [[], true]);
    to.requests.length = 0;
    const { code } = await world.go('push', `${to.host}/x/app:2`, `${world.from.host}/t/src:1`);
    assert.deepEqual([code, writes(to)], [0, ['PUT /v2/x/app/manifests/2']]);
  });
});

test('A40: another repository of the registry lends its layers, by the labels of the store and within one run', async () => {
  await withWorld({}, async ({ to, go, have }) => {
    const local = await have('t/src', big);
    await go('push', `${to.host}/x/app:1`, local);
    to.requests.length = 0;
    // What came from this registry says so by its labels.
    await go('images', 'rm', local);
    await go('content', 'fetch', `${to.host}/x/app:1`);
    const done = await go('push', '--progress', 'plain', `${to.host}/x/other:1`, `${to.host}/x/app:1`);
    assert.match(done.out, /layer-sha256:\w+: mounted/);
    await hasAll(to, 'x/other', big, '1');
    assert.equal(sent(to), 0);
  });
});

test('A40: two images of one list that share a layer send it once', async () => {
  await withWorld({}, async ({ to, from, go, have, dir }) => {
    const two = await buildImage({
      layers: [
        { entries: [{ name: 'big', data: noise(3 * MIB) }] },
        { entries: [{ name: 'own', data: 'z' }] },
      ],
    });
    await have('t/one', big);
    await have('t/two', two);
    writeFileSync(join(dir, 'list'), `${from.host}/t/one:1\n${from.host}/t/absent:1\n${from.host}/t/two:1\n`);
    const done = await go('push', '--to', `${to.host}/mirror`, '-f', join(dir, 'list'));
    assert.equal(done.code, 1);
    assert.match(done.err, /t\/absent:1.*not found/);
    assert.match(done.out, /2 of 3 images/);
    await hasAll(to, 'mirror/t/one', big, '1');
    await hasAll(to, 'mirror/t/two', two, '1');
    assert.equal(to.requests.filter(({ received }) => received > MIB).length, 1);
    const same = await go('push', '--to', to.host, `${from.host}/t/one:1`, `127.0.0.1:1/t/one:1`);
    assert.deepEqual([same.code, /would both be pushed as/.test(same.err)], [2, true]);
  });
});

for (const [title, options] of [
  ['a relative Location', { uploads: {} }],
  ['an absolute Location', { uploads: { location: '{origin}{path}' } }],
  ['a mount is answered with an upload', { uploads: { noMount: true } }],
  ['parts of a least length', { uploads: { minChunk: MIB } }],
] as const)
  test(`A40: ${title}`, async () => {
    await withWorld(options, async (world) => {
      await pushed(world, big, '--chunk-size', '100k');
      const parts = world.to.requests.filter(({ method }) => method === 'PATCH');
      const [least] = title.startsWith('parts') ? [MIB] : [100_000];
      for (const { received } of parts.slice(0, -1)) assert.ok(received >= least, `${received}`);
      assert.equal(sent(world.to), all(big));
    });
  });

test('a Location at another origin gets no credentials; one that the registry may not lead to is refused', async () => {
  await withWorld({ uploads: { location: 'http://169.254.169.254{path}' } }, async ({ to, go, have }) => {
    const done = await go('push', `${to.host}/x/app:1`, await have('t/src', small));
    assert.equal(done.code, 1);
    assert.match(done.err, /upload to http:\/\/169\.254\.169\.254\/\S* refused/);
  });
  const storage = await startRegistry({ uploads: {} });
  try {
    const auth = { mode: 'basic', user: 'me', pass: 'secret' } as const;
    const location = `http://localhost:${storage.port}{path}`;
    await withWorld({ auth, uploads: { location } }, async ({ to, go, have }) => {
      await go(
        'push',
        '--retry',
        '0',
        '--user',
        'me:secret',
        `${to.host}/x/app:1`,
        await have('t/src', small),
      );
      const reached = storage.requests.filter(({ method }) => method === 'PUT');
      assert.ok(reached.length > 0, 'the upload went to the other origin');
      for (const { authorization } of reached) assert.equal(authorization, undefined);
    });
  } finally {
    await storage.close();
  }
});

test('no Location is told', async () => {
  await withWorld({ uploads: { location: '' } }, async ({ to, go, have }) => {
    const done = await go('push', `${to.host}/x/app:1`, await have('t/src', small));
    assert.match(done.err, /the answer does not say where to upload/);
  });
});

for (const [title, fault, more] of [
  ['a blob in one request is cut', { method: 'PUT', match: '/uploads/', cutRequest: MIB, times: 1 }, 0],
  ['a part is cut, twice', { method: 'PATCH', cutRequest: 300_000, times: 2 }, 0],
  ['a part is lost', { method: 'PATCH', reset: true, skip: 1, times: 1 }, 512_000],
  ['the answer to a part is lost', { method: 'PATCH', lostAnswer: true, skip: 1, times: 1 }, 0],
  ['a part is refused as misplaced (416)', { method: 'PATCH', status: 416, skip: 1, times: 1 }, 512_000],
  [
    'the answer to the last request is lost',
    { method: 'PUT', match: '/uploads/', lostAnswer: true, times: 1 },
    0,
  ],
  ['503 to a part', { method: 'PATCH', status: 503, times: 2 }, 1_024_000],
  ['500 to the beginning', { method: 'POST', status: 500, times: 2 }, 0],
  ['429 and a wait', { method: 'POST', status: 429, retryAfter: 1, times: 1 }, 0],
  [
    'the bytes are damaged on the way',
    { method: 'PUT', match: '/uploads/', status: 400, body: invalid(), times: 1 },
    SIZE,
  ],
  ['HEAD is refused', { method: 'HEAD', match: '/blobs/', status: 405 }, 0],
] as const satisfies readonly (readonly [string, Fault, number])[])
  test(`A40: ${title}: the push goes on, and sends at most what was lost twice`, async () => {
    const flags = 'method' in fault && fault.method === 'PATCH' ? ['--chunk-size', '500k'] : [];
    await withWorld({ faults: [fault] }, async (world) => {
      await pushed(world, big, ...flags);
      assert.ok(world.to.met(fault) > ('skip' in fault ? fault.skip : 0), 'the fault has struck');
      assert.ok(sent(world.to) <= all(big) + more, `${sent(world.to)} bytes, of ${all(big)}`);
    });
  });

function invalid(): string {
  return JSON.stringify({ errors: [{ code: 'DIGEST_INVALID', message: 'no' }] });
}

test('A40: a registry that forgets what was cut off gets the blob anew, in parts', async () => {
  const large = await buildImage({ layers: [{ entries: [{ name: 'large', data: noise(20 * MIB) }] }] });
  const faults = [{ method: 'PUT', match: '/uploads/', cutRequest: 18 * MIB, times: 1 }];
  await withWorld({ faults, uploads: { forgetsCut: true } }, async (world) => {
    await pushed(world, large);
    assert.ok(world.to.requests.some(({ method }) => method === 'PATCH'));
    assert.ok(sent(world.to) <= all(large) + 18 * MIB);
  });
});

test('tokens: one that may push is asked for at once, with what a mount needs', async () => {
  const auth = { mode: 'bearer', user: 'me', pass: 'secret' } as const;
  await withWorld({ auth }, async (world) => {
    await pushed(world, big, '--user', 'me:secret');
    const scopes = world.to.requests
      .filter(({ path }) => path.startsWith('/token'))
      .map(({ body }) => new URLSearchParams(body).get('scope'));
    assert.deepEqual(
      new Set(scopes),
      new Set([
        'repository:x/app:pull,push',
        // The label of the blob names a repository of 127.0.0.1.
        'repository:t/src:pull repository:x/app:pull,push',
      ]),
    );
  });
});

test('who may not push is told so, with the account', async () => {
  const faults = [{ method: 'POST', status: 403, match: '/uploads/' }];
  const auth = { mode: 'basic', user: 'me', pass: 'secret' } as const;
  await withWorld({ faults, auth }, async ({ to, go, have }) => {
    const done = await go('push', '--user', 'me:secret', `${to.host}/x/app:1`, await have('t/src', small));
    assert.equal(done.code, 1);
    assert.match(done.err, /push access denied/);
    assert.match(done.err, /the user me of --user was refused, or may not push to x\/app/);
  });
});

test('a mount that is refused is no failure', async () => {
  await withWorld({ faults: [{ method: 'POST', match: 'mount=', status: 403 }] }, (world) =>
    pushed(world, big).then(),
  );
});

test('a registry that stores other bytes than were sent is found out', async () => {
  const other = `sha256:${'0'.repeat(64)}`;
  for (const match of ['/uploads/', '/manifests/']) {
    const faults = [{ method: 'PUT', match, headers: { 'Docker-Content-Digest': other } }];
    await withWorld({ faults }, async ({ to, go, have }) => {
      const done = await go('push', `${to.host}/x/app:1`, await have('t/src', small));
      assert.equal(done.code, 1);
      assert.match(done.err, /has stored sha256:000/);
    });
  }
});

const HTML = { status: 200, body: '<html>hello</html>', contentType: 'text/html' };
/** An answer of success in the place of the registry's. */
const raw = (status: string) => `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`;

for (const [title, faults] of [
  ['a web server answers all with 200', [HTML]],
  ['HEAD of all is 200', [{ method: 'HEAD', ...HTML }, HTML]],
  [
    'a part of an upload is answered by a web server',
    [{ method: 'PUT', match: '/uploads/', raw: raw('200 OK') }],
  ],
  [
    'an upload is closed by a web server',
    [{ method: 'PUT', match: '/uploads/', raw: raw('204 No Content') }],
  ],
  ['the beginning of an upload is answered with 200', [{ method: 'POST', ...HTML }]],
  ['a manifest is answered by a web server', [{ method: 'PUT', match: '/manifests/', raw: raw('200 OK') }]],
] as const satisfies readonly (readonly [string, readonly Fault[]])[])
  test(`no registry: ${title}: the push fails, and says so`, async () => {
    await withWorld({ faults }, async ({ to, go, have }) => {
      const local = await have('t/src', small);
      for (const ref of [`${to.host}/x/app:1`, `${to.host}/x/app@${small.root.digest}`]) {
        const done = await go('push', '--retry', '0', ref, local);
        assert.equal(done.code, 1, done.out);
        assert.match(done.err, /This is no registry/);
      }
    });
  });

for (const [title, faults] of [
  ['HEAD of blobs is answered by a web server', [{ method: 'HEAD', match: '/blobs/', raw: raw('200 OK') }]],
  [
    'HEAD of manifests is answered by a web server',
    [{ method: 'HEAD', match: '/manifests/', raw: raw('200 OK') }],
  ],
  ['uploads end with 204', [{ method: 'PUT', match: '/uploads/', tells: 204 }]],
  ['manifests are answered with 200', [{ method: 'PUT', match: '/manifests/', tells: 200 }]],
] as const satisfies readonly (readonly [string, readonly Fault[]])[])
  test(`${title}: all is sent, and is there`, async () => {
    await withWorld({ faults }, async (world) => {
      await pushed(world, small);
    });
  });

test('a mount that is told and was not done: the blob is sent', async () => {
  const faults = [{ method: 'POST', match: 'mount=', raw: raw('201 Created') }];
  await withWorld({ faults }, (world) => pushed(world, big).then());
});

for (const [title, fault] of [
  ['503', { status: 503, times: 3 }],
  ['502', { status: 502, times: 1 }],
  ['429 and a wait', { status: 429, retryAfter: 1, times: 1 }],
] as const)
  test(`after a lost connection the question how far an upload came is answered with ${title}: no part is sent twice`, async () => {
    const lost = { method: 'PATCH', lostAnswer: true, skip: 2, times: 1 };
    const away = { method: 'GET', match: '/uploads/', ...fault };
    await withWorld({ faults: [lost, away] }, async (world) => {
      await pushed(world, big, '--chunk-size', '500k');
      assert.equal(world.to.met(away) > fault.times, true, 'the fault has struck');
      assert.equal(sent(world.to), all(big));
    });
  });

test('a registry that was never reached is tried three times', async () => {
  await withWorld({}, async ({ go, have }) => {
    const started = Date.now();
    const done = await go('push', '127.0.0.1:1/x/app:1', await have('t/src', small));
    assert.equal(done.code, 1);
    assert.match(done.err, /given up after 3 tries/);
    assert.ok(Date.now() - started < 20_000);
  });
});

test('413 names the size, and parts', async () => {
  const faults = [
    { method: 'PUT', status: 413, when: ({ body }: { body: Uint8Array }) => body.length > MIB },
  ];
  await withWorld({ faults }, async (world) => {
    const { to, go, have } = world;
    const done = await go('push', `${to.host}/x/app:1`, await have('t/src', big));
    assert.match(done.err, /of \d+ bytes: .*413[\s\S]*--chunk-size 1M sends/);
    assert.equal(to.openUploads(), 0, 'the uploads were given up');
  });
});

test('a blob that rots is never whole at the registry, and the tag does not move', async () => {
  for (const flags of [[], ['--chunk-size', '1M']])
    await withWorld({}, async ({ to, dir, go, have }) => {
      const local = await have('t/src', big);
      const path = join(dir, 'root/content/blobs/sha256', LAYER.slice(7));
      const bytes = readFileSync(path);
      bytes[1000] = (bytes[1000] ?? 0) ^ 0xff;
      writeFileSync(path, bytes);
      const done = await go('push', ...flags, `${to.host}/x/app:1`, local);
      assert.equal(done.code, 1);
      assert.match(done.err, /digest/);
      assert.equal(await to.content('x/app', LAYER), undefined);
      assert.equal(await to.content('x/app', '1'), undefined);
      assert.equal(to.openUploads(), 0);
      const received = to.requests
        .filter(({ path }) => path.includes('/uploads/'))
        .map((one) => one.received);
      assert.ok(
        received.every((length) => length < SIZE),
        `${received}`,
      );
    });
});

test('an interrupted push gives its uploads up', async () => {
  const faults = [{ method: 'PUT', match: '/uploads/', hang: true }];
  await withWorld({ faults }, async ({ to, go, have }) => {
    const done = await go('--timeout', '2s', 'push', `${to.host}/x/app:1`, await have('t/src', small));
    assert.equal(done.code, 1);
    assert.equal(to.openUploads(), 0);
  });
});

test('platforms: a sparse index is told, and why a registry refuses it; one platform goes without its index', async () => {
  const arm = await buildImage({ layers: [], platform: { os: 'linux', architecture: 'arm64' } });
  const amd = await buildImage({ layers: [], platform: { os: 'linux', architecture: 'amd64' } });
  const index = buildIndex([amd, arm]);
  await withWorld({}, async ({ to, go, have }) => {
    const local = await have('t/src', index, '--platform', 'linux/amd64');
    const sparse = await go('push', `${to.host}/x/app:1`, local);
    assert.equal(sparse.code, 1);
    assert.match(sparse.err, /linux\/arm64 is not here, and the index lists it/);
    assert.match(sparse.err, /does not take an index with absent platforms/);
    const flat = await go('push', '--platform', 'linux/amd64', `${to.host}/x/app:1`, local);
    assert.equal(flat.code, 0, flat.err);
    assert.deepEqual(await to.content('x/app', '1'), amd.root.bytes);
    const rewritten = await go('push', '--index', 'rewrite', `${to.host}/x/app:2`, local);
    assert.equal(rewritten.code, 0, rewritten.err);
    const made = JSON.parse(new TextDecoder().decode(await to.content('x/app', '2')));
    assert.deepEqual(
      made.manifests.map(({ digest }: { digest: string }) => digest),
      [amd.root.digest],
    );
    const all = await go('push', '--all-platforms', `${to.host}/x/app:3`, local);
    assert.match(all.err, /Cannot push .*linux\/arm64 is not here/);
    const absent = await go('push', '--platform', 'linux/arm64', `${to.host}/x/app:3`, local);
    assert.match(absent.err, /Cannot push .*linux\/arm64 is not here/);
  });
});

test('referrers go along, and are listed under a tag where the registry keeps no list', async () => {
  const sbom = await buildImage({
    layers: [{ entries: [{ name: 'sbom', data: '{}' }] }],
    manifest: {
      artifactType: 'application/vnd.example.sbom',
      subject: { mediaType: small.root.mediaType, digest: small.root.digest, size: small.root.bytes.length },
      annotations: { k: 'v' },
    },
  });
  const tag = small.root.digest.replace(':', '-');
  // Somebody else has changed the list meanwhile.
  const moved = { method: 'PUT', match: tag, status: 412, times: 1 };
  for (const subject of [true, false])
    await withWorld({ uploads: { subject }, faults: subject ? [] : [moved] }, async ({ to, go, have }) => {
      const local = await have('t/src', small);
      await have('t/sbom', sbom);
      for (let run = 0; run < 2; run++) {
        const done = await go('push', '--referrers', `${to.host}/x/app:1`, local);
        assert.equal(done.code, 0, done.err);
      }
      assert.deepEqual(await to.content('x/app', sbom.root.digest), sbom.root.bytes);
      const list = await to.content('x/app', tag);
      assert.equal(list === undefined, subject);
      if (list !== undefined) {
        const { manifests } = JSON.parse(new TextDecoder().decode(list));
        assert.deepEqual(manifests, [
          {
            mediaType: sbom.root.mediaType,
            digest: sbom.root.digest,
            size: sbom.root.bytes.length,
            artifactType: 'application/vnd.example.sbom',
            annotations: { k: 'v' },
          },
        ]);
      }
    });
});

test('the list of referrers: a weak ETag is no condition, and where there is no list none may come to be meanwhile', async () => {
  const about = async (name: string) =>
    await buildImage({
      layers: [{ entries: [{ name, data: name }] }],
      manifest: {
        artifactType: `application/vnd.example.${name}`,
        subject: {
          mediaType: small.root.mediaType,
          digest: small.root.digest,
          size: small.root.bytes.length,
        },
      },
    });
  const [first, second] = [await about('first'), await about('second')];
  const tag = small.root.digest.replace(':', '-');
  const faults = [{ method: 'GET', match: `/manifests/${tag}`, headers: { ETag: 'W/"weak"' } }];
  await withWorld({ faults }, async ({ to, go, have }) => {
    const local = await have('t/src', small);
    for (const image of [first, second]) {
      await have('t/about', image);
      const done = await go('push', '--referrers', `${to.host}/x/app:1`, local);
      assert.equal(done.code, 0, done.err);
    }
    const puts = to.requests.filter(({ method, path }) => method === 'PUT' && path.includes(tag));
    const conditions = puts.map(({ headers }) => [
      headers.get('if-none-match') ?? '',
      headers.get('if-match') ?? '',
    ]);
    assert.deepEqual(conditions, [
      ['*', ''],
      ['', ''],
    ]);
    const { manifests } = JSON.parse(new TextDecoder().decode(await to.content('x/app', tag)));
    assert.equal(manifests.length, 2);
  });
});

test('a layout is nothing that push sends: copy is named', async () => {
  await withWorld({}, async ({ to, go, dir }) => {
    writeFileSync(join(dir, 'list'), '');
    for (const args of [
      [`${to.host}/x/app:1`, 'oci:here'],
      ['--to', to.host, 'oci:here'],
      ['--to', to.host, 'oci:here', 'oci-archive:there'],
      ['-f', join(dir, 'list'), 'oci:here'],
    ]) {
      const done = await go('push', ...args);
      assert.deepEqual([done.code, /hawser copy oci:here REMOTE/.test(done.err)], [2, true], done.err);
    }
  });
});

test('layers that are not to be distributed stay here, unless they are wanted there', async () => {
  const foreign = await buildImage({
    layers: [
      { entries: [{ name: 'a', data: 'a' }] },
      {
        entries: [{ name: 'b', data: 'b' }],
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      },
    ],
  });
  const digest = foreign.layers[1]?.digest ?? '';
  await withWorld({ uploads: {} }, async ({ to, go, have }) => {
    const local = await have('t/src', foreign);
    assert.equal((await go('push', `${to.host}/x/app:1`, local)).code, 0);
    assert.equal(await to.content('x/app', digest), undefined);
    assert.equal((await go('push', '--allow-non-distributable-blobs', `${to.host}/x/app:2`, local)).code, 0);
    assert.ok(await to.content('x/app', digest));
  });
});

test('hosts.toml: a mirror that may not take pushes is passed over', async () => {
  await withWorld({}, async ({ to, from, dir, go, have }) => {
    const local = await have('t/src', small);
    mkdirSync(join(dir, 'certs.d/reg.test'), { recursive: true });
    const file = (capabilities: string) =>
      writeFileSync(
        join(dir, 'certs.d/reg.test/hosts.toml'),
        `server = "http://${to.host}"\n[host."http://${from.host}"]\ncapabilities = [${capabilities}]\n`,
      );
    file('"pull", "resolve"');
    const done = await go('push', '--hosts-dir', join(dir, 'certs.d'), 'reg.test/x/app:1', local);
    assert.equal(done.code, 0, done.err);
    await hasAll(to, 'x/app', small, '1');
    writeFileSync(
      join(dir, 'certs.d/reg.test/hosts.toml'),
      `server = "http://${to.host}"\ncapabilities = ["pull"]\n[host."http://${from.host}"]\ncapabilities = ["pull"]\n`,
    );
    const none = await go('push', '--hosts-dir', join(dir, 'certs.d'), 'reg.test/x/app:1', local);
    assert.match(none.err, /no host for reg\.test\/x\/app:1: none in .* has the capability push/);
  });
});

test('progress as JSON tells what was sent, and the name at the end', async () => {
  await withWorld({}, async (world) => {
    const lines = (await pushed(world, big, '--progress', 'json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(lines.at(-1).digest, big.root.digest);
    assert.equal(lines.at(-1).bytes, all(big) + big.root.bytes.length);
    const layer = lines.filter(({ key }) => key === `layer-${LAYER}`).map(({ status }) => status);
    assert.deepEqual([...new Set(layer)], ['waiting', 'uploading', 'done']);
    assert.ok(lines.some(({ type }) => type === 'pushed'));
  });
});

test('nothing of a push stays in the store: no lease, no ingest', async () => {
  await withWorld(
    { faults: [{ method: 'PUT', match: '/manifests/', status: 400 }] },
    async ({ to, go, have, dir }) => {
      const local = await have('t/src', small);
      assert.equal((await go('push', `${to.host}/x/app:1`, local)).code, 1);
      assert.equal((await go('leases', 'ls', '-q')).out.trim(), '');
      assert.deepEqual(readdirSync(join(dir, 'root/content/ingest')), []);
    },
  );
});

/** Copies `image`, and checks that nothing of it went into a store. */
async function copied(world: World, image: TestImage, ...flags: readonly string[]): Promise<string> {
  const src = world.from.push('t/src', '1', image);
  const done = await world.go('copy', '--progress', 'plain', ...flags, src, `${world.to.host}/x/app:1`);
  assert.equal(done.code, 0, done.err);
  await hasAll(world.to, 'x/app', image, '1');
  assert.deepEqual(readdirSync(join(world.dir, 'root')), []);
  return done.out;
}

test('copy: all platforms and digests, through no store; what is there is not asked of the source', async () => {
  const arm = await buildImage({ layers: [], platform: { os: 'linux', architecture: 'arm64' } });
  const index = buildIndex([big, arm]);
  await withWorld({}, async (world) => {
    await copied(world, index);
    world.from.requests.length = 0;
    world.to.requests.length = 0;
    await copied(world, index);
    assert.deepEqual(writes(world.to), []);
    assert.equal(world.from.traffic('/blobs/').requests, 0);
    const flat = await world.go(
      'copy',
      '--platform',
      'linux/arm64',
      `${world.from.host}/t/src:1`,
      `${world.to.host}/x/arm:1`,
    );
    assert.equal(flat.code, 0, flat.err);
    assert.deepEqual(await world.to.content('x/arm', '1'), arm.root.bytes);
  });
});

test('copy: what the source lists and does not give is told before the first byte, and the tag does not move', async () => {
  const of = (os: string, architecture: string) =>
    buildImage({ layers: [{ entries: [{ name: os, data: architecture }] }], platform: { os, architecture } });
  const [amd, arm, attestation] = [
    await of('linux', 'amd64'),
    await of('linux', 'arm64'),
    await of('unknown', 'unknown'),
  ];
  const index = buildIndex([amd, arm, attestation]);
  for (const [lost, name] of [
    [arm, 'linux/arm64'],
    [attestation, 'unknown/unknown'],
  ] as const)
    await withWorld({}, async ({ from, to, go }) => {
      const src = from.push('t/src', '1', index);
      from.faults.push({ match: `/manifests/${lost.root.digest}`, status: 404 });
      const done = await go('copy', src, `${to.host}/x/app:1`);
      assert.deepEqual([done.code, writes(to)], [1, []]);
      assert.match(done.err, new RegExp(`Cannot copy .*${name} is not at the source`));
      assert.match(done.err, /name those that it gives with --platform/);
      await rejectsWith('NotFound', /is not at the source/, copy(src, `${to.host}/x/app:1`));
      const kept = await go(
        'copy',
        '--platform',
        'linux/amd64',
        '--index',
        'keep',
        src,
        `${to.host}/x/app:1`,
      );
      assert.match(kept.err, /linux\/arm64 (?:is not at the source|is left out), and the index lists it/);
      const one = await go('copy', '--platform', 'linux/amd64', src, `${to.host}/x/app:2`);
      assert.equal(one.code, 0, one.err);
    });
});

test('copy: what flags and options say of TLS holds for the target only', async () => {
  const { ca, cert, key } = makeCerts();
  const source = await startRegistry({ tls: { cert, key } });
  try {
    await withWorld({ tls: { cert, key } }, async ({ to, dir, go }) => {
      const src = source.push('t/src', '1', small);
      const certs = join(dir, 'certs.d');
      mkdirSync(join(certs, source.host), { recursive: true });
      const say = (more: string) =>
        writeFileSync(
          join(certs, source.host, 'hosts.toml'),
          `server = "https://${source.host}"\n[host."https://${source.host}"]\n${more}`,
        );
      writeFileSync(join(dir, 'ca.pem'), ca);
      const dst = `${to.host}/x/app:1`;
      const args = ['copy', '--hosts-dir', certs, '--retry', '0'];
      const tls = { skipVerify: true };
      say('');
      for (const flags of [['--skip-verify'], ['--tlscacert', join(dir, 'ca.pem')]]) {
        const done = await go(...args, ...flags, src, dst);
        assert.deepEqual([done.code, writes(to)], [1, []]);
        assert.match(done.err, /certificate/);
        assert.match(done.err, /hint: The registry of the source is asked as hosts\.toml says/);
        assert.doesNotMatch(done.err, /--(?:skip-verify|tls|plain-http|user)/);
      }
      await rejectsWith(
        'Unavailable',
        /certificate/,
        copy(src, dst, { hostsDir: certs, tls, retry: { tries: 0 } }),
      );
      say(`ca = "${join(dir, 'ca.pem')}"\n`);
      const done = await go(...args, '--skip-verify', src, dst);
      assert.equal(done.code, 0, done.err);
      await copy(src, `${to.host}/x/app:2`, { hostsDir: certs, tls });
      assert.equal(
        (await go(...args, src, `${to.host}/x/app:3`)).code,
        1,
        'the target is not trusted by itself',
      );
    });
  } finally {
    await source.close();
  }
});

test('copy: a blob that the source has lost is no upload that the target has forgotten', async () => {
  await withWorld({}, async ({ from, to, go }) => {
    const src = from.push('t/src', '1', big);
    from.faults.push({ match: `/blobs/${LAYER}`, status: 404 });
    const done = await go('copy', src, `${to.host}/x/app:1`);
    assert.equal(done.code, 1);
    assert.match(done.err, /not found|404/);
    assert.equal(from.traffic(`/blobs/${LAYER}`).requests, 1);
  });
});

test('copy: within one registry blobs are mounted', async () => {
  await withWorld({}, async ({ to, go }) => {
    const src = to.push('t/src', '1', big);
    const done = await go('copy', '--progress', 'plain', src, `${to.host}/x/app:1`);
    assert.match(done.out, /layer-sha256:\w+: mounted/);
    await hasAll(to, 'x/app', big, '1');
    assert.equal(sent(to), 0);
    assert.equal(
      to.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')).length,
      0,
    );
  });
});

test('copy: lost connections at both ends, and a source that sends damage', async () => {
  const cut = { method: 'PUT', match: '/uploads/', cutRequest: MIB, times: 1 };
  await withWorld({ faults: [cut] }, async (world) => {
    const fault = { match: `/blobs/${LAYER}`, cutAfter: 2 * MIB, times: 1 };
    world.from.faults.push(fault);
    await copied(world, big);
    assert.ok(world.to.met(cut) > 0 && world.from.met(fault) > 0, 'both faults have struck');
  });
  await withWorld({}, async ({ from, to, go }) => {
    from.faults.push({ match: `/blobs/${LAYER}`, corrupt: 5000 });
    const done = await go('copy', from.push('t/src', '1', big), `${to.host}/x/app:1`);
    assert.equal(done.code, 1);
    assert.match(done.err, /its source sends other bytes/);
    assert.deepEqual(
      [await to.content('x/app', LAYER), await to.content('x/app', '1')],
      [undefined, undefined],
    );
    assert.equal(to.openUploads(), 0);
  });
});

test('copy: out of a layout; and into one is not what it does', async () => {
  await withWorld({}, async ({ from, to, dir, go, have }) => {
    const local = await have('t/src', big);
    assert.equal((await go('export', `${dir}/layout/`, local)).code, 0);
    const done = await go('copy', `oci:${dir}/layout`, `${to.host}/x/app:1`);
    assert.equal(done.code, 0, done.err);
    await hasAll(to, 'x/app', big, '1');
    const of = (architecture: string) =>
      buildImage({
        layers: [{ entries: [{ name: 'f', data: architecture }] }],
        platform: { os: 'linux', architecture },
      });
    const index = buildIndex([await of('amd64'), await of('s390x')]);
    const part = from.push('t/part', '1', index);
    assert.equal((await go('content', 'fetch', '--platform', 'linux/amd64', part)).code, 0);
    assert.equal((await go('export', `${dir}/part.tar`, part)).code, 0);
    const sparse = await go('copy', `oci-archive:${dir}/part.tar`, `${to.host}/x/part:1`);
    assert.match(sparse.err, /linux\/s390x is not at the source, and the index lists it/);
    const written = writes(to).filter((line) => line.includes('/x/part/'));
    assert.ok(
      written.some((line) => line.includes('/manifests/1')),
      'the index went, with its digest',
    );
    const into = await go('copy', local, `oci:${dir}/other`);
    assert.deepEqual([into.code, /hawser content fetch/.test(into.err)], [2, true]);
  });
});

test('copy: referrers, and what refers to them', async () => {
  const about = (image: TestImage, name: string) =>
    buildImage({
      layers: [{ entries: [{ name, data: name }] }],
      manifest: {
        artifactType: `application/vnd.example.${name}`,
        subject: {
          mediaType: image.root.mediaType,
          digest: image.root.digest,
          size: image.root.bytes.length,
        },
      },
    });
  const sbom = await about(small, 'sbom');
  const signature = await about(sbom, 'signature');
  await withWorld({ uploads: { subject: true } }, async (world) => {
    for (const image of [sbom, signature]) {
      world.from.push('t/src', image.root.digest.replace(':', '-x'), image);
    }
    // Under the tags of their subjects, as this registry has no API for them.
    for (const [subject, image] of [
      [small, sbom],
      [sbom, signature],
    ] as const)
      world.from.push(
        't/src',
        subject.root.digest.replace(':', '-'),
        buildIndex([{ ...image, platform: undefined }]),
      );
    await copied(world, small, '--referrers');
    for (const image of [sbom, signature]) {
      assert.deepEqual(await world.to.content('x/app', image.root.digest), image.root.bytes);
      for (const [digest, bytes] of image.blobs)
        assert.deepEqual(await world.to.content('x/app', digest), bytes);
    }
  });
});

test('the library: push and copy', async () => {
  await withWorld({}, async ({ from, to, dir }) => {
    const store = await openStore({ root: join(dir, 'root') });
    const ref = from.push('t/src', '1', big);
    try {
      await fetchImage(ref, { store });
      const { name, target } = await push(ref, { store, to: `${to.host}/x/app:1` });
      assert.deepEqual([name, target.digest], [`${to.host}/x/app:1`, big.root.digest]);
      await hasAll(to, 'x/app', big, '1');
      await rejectsWith('NotFound', /not found/, push(`${ref}0`, { store, to: `${to.host}/x/app:2` }));
    } finally {
      await store[Symbol.asyncDispose]();
    }
    assert.equal((await copy(ref, `${to.host}/x/copied:1`)).target.digest, big.root.digest);
    await hasAll(to, 'x/copied', big, '1');
    for (const wrong of [
      { chunkSize: 0 },
      { chunkSize: 1.5 },
      { chunkSize: Number.NaN },
      { maxConcurrentUploads: -1 },
      { retry: { time: -1 } },
      { timeouts: { connect: Number.NaN } },
    ]) {
      await rejectsWith('InvalidArgument', /^Cannot use /, copy(ref, `${to.host}/x/copied:2`, wrong));
      await rejectsWith('InvalidArgument', /^Cannot use /, push(ref, { store, ...wrong }));
    }
    const aborted = copy(ref, `${to.host}/x/copied:2`, { signal: AbortSignal.abort() });
    await rejectsWith('Canceled', /abort/i, aborted);
  });
});
