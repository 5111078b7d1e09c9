/** `serve --pull-through` without sockets of its own: what its clients get, what the registry is asked, what stays in the store. */
import assert from 'node:assert/strict';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalBackend } from '../../src/backends/local/open.ts';
import type { Backend } from '../../src/core/backend.ts';
import { sourceLabelKey } from '../../src/core/images/gc-labels.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import type { Digest } from '../../src/core/oci/digest.ts';
import type { RequestHandler, ServerResponse } from '../../src/core/ports/http-server.ts';
import type { RegistryOptions } from '../../src/core/registry/open.ts';
import { registryHandler, type ServeOptions } from '../../src/core/serve/handler.ts';
import { viaLayer } from '../../src/core/serve/upstream.ts';
import { standingGate } from '../../src/core/verbs/gate.ts';
import { PullThrough, type PullThroughOptions } from '../../src/core/verbs/pull-through.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { asStore } from '../../src/entry/stores.ts';
import { fetch, tag } from '../../src/mod.ts';
import type { AuthMode } from '../registry/auth.ts';
import { withClient } from '../registry/client.ts';
import type { Fault } from '../registry/faults.ts';
import { buildImage, buildIndex, noise, type TestImage } from '../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { runHere } from '../support/command-line.ts';
import { addBlob, collectStream, type TestStore, withStore } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const MIB = 1 << 20;
const ID = 'hawser-test';
const image: TestImage = await buildImage({
  layers: [{ entries: [{ name: 'big', data: noise(2 * MIB) }] }, { entries: [{ name: 'small', data: 'x' }] }],
});
const index: TestImage = buildIndex([
  image,
  await buildImage({ layers: [], platform: { os: 'linux', architecture: 'arm64' } }),
]);
const LAYER = image.layers[0]?.digest ?? '';
const SIZE = image.layers[0]?.size ?? 0;

interface World {
  readonly registry: TestRegistry;
  readonly store: TestStore;
  readonly backend: LocalBackend;
  readonly events: string[];
  /** A request as a client that names the registry sends it. */
  ask(target: string, options?: AskOptions): Promise<ServerResponse>;
  /** How another server of the same store is asked, whose judge is this one. */
  again(backend: (local: LocalBackend) => Backend): World['ask'];
  /** Its body, whole. */
  read(target: string, options?: AskOptions): Promise<Uint8Array>;
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Default: the registry. */
  readonly ns?: string | undefined;
}

interface WorldOptions {
  readonly faults?: readonly Fault[];
  readonly auth?: AuthMode;
  readonly serve?: Partial<ServeOptions>;
  readonly through?: Partial<PullThroughOptions>;
  readonly client?: RegistryOptions;
  readonly backend?: (backend: LocalBackend) => Backend;
}

async function withWorld(options: WorldOptions, body: (world: World) => Promise<void>): Promise<void> {
  const registry = await startRegistry({
    faults: options.faults ?? [],
    auth: options.auth ?? { mode: 'none' },
    lists: { referrers: { filters: true } },
  });
  registry.push('a/b', '1', image);
  registry.push('a/many', '1', index);
  const client = { retry: { tries: 0 }, around: viaLayer(ID), ...options.client };
  try {
    await withStore(async (store) => {
      const { clock } = store.runtime;
      const backend = options.backend?.(store.backend) ?? store.backend;
      const events: string[] = [];
      const warn = (message: string) => void events.push(message);
      await withClient({ clock, ...client }, async (opened) => {
        const given = { hosts: new Set([registry.host]), id: ID, keep: 60_000, warn, retry: { tries: 0 } };
        const servers: PullThrough[] = [];
        const serve = (served: Backend): World['ask'] => {
          const parts = { backend: served, registry: opened, clock };
          const upstream = new PullThrough(parts, { ...given, ...options.through });
          servers.push(upstream);
          const handler = registryHandler(served, store.runtime, {
            tell: (event) => void (event.type === 'failure' && events.push(event.message)),
            upstream,
            ...options.serve,
          });
          return asking(handler, registry.host);
        };
        const ask = serve(backend);
        const again: World['again'] = (other) => serve(other(store.backend));
        const read: World['read'] = async (...args) => await bodyOf(await ask(...args));
        try {
          await body({ registry, store, backend: store.backend, events, ask, again, read });
        } finally {
          for (const one of servers) await one[Symbol.asyncDispose]();
        }
      });
    });
  } finally {
    await registry.close();
  }
}

function asking(handler: RequestHandler, host: string): World['ask'] {
  return async (target, { method = 'GET', headers = {}, signal, ...rest } = {}) => {
    const ns = 'ns' in rest ? rest.ns : host;
    return await handler({
      method,
      target: ns === undefined ? target : `${target}?ns=${encodeURIComponent(ns)}`,
      headers: { get: (name) => headers[name] ?? null },
      peer: '',
      signal: signal ?? new AbortController().signal,
    });
  };
}

async function bodyOf({ body }: ServerResponse): Promise<Uint8Array> {
  if (body === undefined || body instanceof Uint8Array) return body ?? new Uint8Array();
  return await collectStream(body);
}

const blobs = ({ registry }: World) => registry.log().filter((line) => /^GET .*\/blobs\//.test(line));

test('pull-through: an image comes from the registry once, verified, and then from the store', async () => {
  await withWorld({}, async (world) => {
    const { ask, read, registry } = world;
    const head = await ask('/v2/a/many/manifests/1', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.headers['docker-content-digest'], index.root.digest);
    assert.equal(head.headers['oci-namespace'], registry.host);
    for (const round of [1, 2]) {
      for (const { digest, bytes } of [index.root, ...index.manifests])
        assert.deepEqual(await read(`/v2/a/many/manifests/${digest}`), bytes, `${round}`);
      for (const [digest, bytes] of image.blobs)
        assert.equal(sha256(await read(`/v2/a/many/blobs/${digest}`)), sha256(bytes));
    }
    assert.equal(blobs(world).length, image.blobs.size);
    const gets = registry.log().filter((line) => /^GET .*\/manifests\//.test(line));
    assert.equal(gets.length, 1 + index.manifests.length, gets.join('\n'));
    assert.deepEqual(await ask('/v2/a/many/tags/list').then(bodyOf).then(text), {
      name: 'a/many',
      tags: ['1'],
    });
  });
});

function text(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

test('pull-through: HEAD of a blob fetches nothing', async () => {
  await withWorld({}, async (world) => {
    const head = await world.ask(`/v2/a/b/blobs/${LAYER}`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length']], [200, String(SIZE)]);
    assert.deepEqual(blobs(world), []);
  });
});

test('pull-through: fifty clients at once, one fetch', async () => {
  await withWorld({ faults: [{ match: LAYER, rate: 8 * MIB }] }, async (world) => {
    const got = await Promise.all(
      Array.from({ length: 50 }, async () => sha256(await world.read(`/v2/a/b/blobs/${LAYER}`))),
    );
    assert.ok(got.every((digest) => digest === LAYER));
    assert.ok(world.registry.traffic(LAYER).bytes <= SIZE + 1000, `${world.registry.traffic(LAYER).bytes}`);
  });
});

test('pull-through: bytes go on as they come; who leaves stops nobody, and nothing stops when all have left', async () => {
  await withWorld({ faults: [{ match: LAYER, method: 'GET', rate: 1.5 * MIB }] }, async (world) => {
    const { ask, read, registry, backend } = world;
    const leaving = new AbortController();
    const first = await ask(`/v2/a/b/blobs/${LAYER}`, { signal: leaving.signal });
    const second = read(`/v2/a/b/blobs/${LAYER}`);
    const reader = (first.body as ReadableStream<Uint8Array>).getReader();
    assert.ok(((await reader.read()).value?.length ?? 0) > 0);
    assert.ok(registry.traffic(LAYER).bytes < SIZE, 'the registry has not sent all yet');
    leaving.abort();
    await reader.cancel().catch(() => {});
    assert.equal(sha256(await second), LAYER);
    const other = image.layers[1]?.digest ?? '';
    registry.faults.push({ match: other, method: 'GET', delay: 300 });
    const gone = new AbortController();
    const asked = await ask(`/v2/a/b/blobs/${other}`, { signal: gone.signal });
    gone.abort();
    await assert.rejects(bodyOf(asked));
    const there = async () => (await backend.content.list()).some(({ digest }) => digest === other);
    for (let tries = 0; tries < 100 && !(await there()); tries++) await sleep(50);
    assert.ok(await there());
  });
});

test('pull-through: wrong bytes are never sent whole, and never stored', async () => {
  const faults = [{ match: LAYER, method: 'GET', corrupt: 1000 }];
  await withWorld({ faults }, async (world) => {
    const { ask, backend } = world;
    let sent = 0;
    const response = await ask(`/v2/a/b/blobs/${LAYER}`);
    if (response.status === 200) {
      await assert.rejects(async () => {
        for await (const bytes of response.body as ReadableStream<Uint8Array>) sent += bytes.length;
      });
      assert.ok(sent < SIZE, `${sent} of ${SIZE}`);
    } else assert.equal(response.status, 502);
    assert.ok((await backend.content.list()).every(({ digest }) => digest !== LAYER));
    world.registry.faults.length = 0;
    for (let tries = 0; ; tries++) {
      const again = await world.read(`/v2/a/b/blobs/${LAYER}`).catch(() => new Uint8Array());
      if (sha256(again) === LAYER) break;
      assert.ok(tries < 50, 'the fetch of wrong bytes never ended');
      await sleep(100);
    }
  });
});

test('pull-through: no registry is asked but those that are named, and none by way of the server itself', async () => {
  const other = await startRegistry();
  try {
    other.push('a/b', '1', image);
    await withWorld({}, async ({ ask, registry }) => {
      const encoded = other.host.replace(':', '_');
      for (const [target, ns] of [
        ['/v2/a/b/manifests/1', other.host],
        [`/v2/a/b/manifests/${image.root.digest}`, other.host],
        [`/v2/a/b/blobs/${LAYER}`, other.host],
        ['/v2/a/b/tags/list', other.host],
        [`/v2/${encoded}/a/b/manifests/1`, undefined],
        [`/v2/${encoded}/a/b/blobs/${LAYER}`, undefined],
        ['/v2/a/b/manifests/1', `${registry.host}@${other.host}`],
        ['/v2/a/b/manifests/1', `${other.host}/${registry.host}`],
        ['/v2/a/b/manifests/1', `${registry.host}#`],
      ] as const)
        assert.equal((await ask(target, { ns })).status, 404, `${target} ${ns}`);
      assert.deepEqual([other.log(), registry.log()], [[], []]);
      const via = { via: `1.1 proxy.example, 1.1 ${ID}` };
      assert.equal((await ask('/v2/a/b/manifests/1', { headers: via })).status, 404);
      assert.deepEqual(registry.log(), []);
      // The only registry that is named is meant by a bare name, too.
      assert.equal((await ask('/v2/a/b/manifests/1', { ns: undefined })).status, 200);
      const own = `/v2/${registry.host.replace(':', '_')}/a/b/blobs/${LAYER}`;
      assert.equal((await ask(own, { ns: undefined, method: 'HEAD' })).status, 200);
      assert.ok(registry.requests.every(({ headers }) => headers.get('via') === `1.1 ${ID}`));
    });
  } finally {
    await other.close();
  }
});

/** Faults of the registry, and what a client is then told of a tag and of a blob. */
const FAILURES: readonly (readonly [title: string, fault: Fault, status: number, code: RegExp])[] = [
  ['does not answer', { hang: true }, 504, /UNKNOWN.*does not answer in time/],
  ['breaks off', { reset: true }, 502, /UNKNOWN.*cannot be reached/],
  ['is broken', { status: 500 }, 502, /UNKNOWN.*cannot be reached/],
  ['is overloaded', { status: 429, retryAfter: 7 }, 429, /TOOMANYREQUESTS/],
  ['wants a login', { status: 401 }, 403, /DENIED/],
  ['denies', { status: 403 }, 403, /DENIED/],
  ['lacks the content', { status: 404 }, 404, /(?:MANIFEST|BLOB)_UNKNOWN/],
  ['leads to another protocol', { redirect: 'http://169.254.169.254/{target}' }, 502, /UNKNOWN/],
];

for (const [title, fault, status, code] of FAILURES)
  test(`pull-through: a registry that ${title} is ${status}, in words of the registry's protocol`, async () => {
    const client = { limits: { headers: 300 }, retry: { tries: 0, time: 1000 } };
    await withWorld({ faults: [fault], client }, async ({ ask, registry }) => {
      for (const target of ['manifests/1', `manifests/${image.root.digest}`, `blobs/${LAYER}`]) {
        const answer = await ask(`/v2/a/b/${target}`);
        assert.equal(answer.status, status, target);
        assert.match(new TextDecoder().decode(await bodyOf(answer)), code);
        if (status === 429) assert.equal(answer.headers['retry-after'], '7');
      }
      assert.ok(registry.requests.length > 0);
    });
  });

test('pull-through: a tag that was asked for before is told without the registry, and that it may be old; another one is 502', async () => {
  await withWorld({}, async ({ ask, read, registry }) => {
    await read('/v2/a/b/manifests/1');
    registry.faults.push({ reset: true });
    const stale = await ask('/v2/a/b/manifests/1');
    assert.equal(stale.headers['docker-content-digest'], image.root.digest);
    assert.match(stale.headers.warning ?? '', /^299 - "/);
    assert.deepEqual(await bodyOf(stale), image.root.bytes);
    assert.equal((await ask('/v2/a/many/manifests/1')).status, 502);
    registry.faults.length = 0;
    const other = await buildImage({ layers: [] });
    registry.push('a/b', '1', other);
    const moved = await ask('/v2/a/b/manifests/1');
    assert.deepEqual(
      [moved.headers['docker-content-digest'], moved.headers.warning],
      [other.root.digest, undefined],
    );
  });
});

test('pull-through: a collection leaves what was asked for lately, and takes what was not', async () => {
  await withWorld({ through: { keep: 3000 } }, async ({ read, backend }) => {
    const tag = async () => await read('/v2/a/b/manifests/1');
    await tag();
    await read(`/v2/a/b/blobs/${LAYER}`);
    await backend.collect();
    const here = async () => (await backend.content.list()).map(({ digest }) => digest);
    assert.deepEqual((await here()).sort(), [image.root.digest, LAYER].sort());
    // The manifest's labels keep its layers, too.
    for (let n = 0; n < 3; n++) {
      await sleep(1200);
      await read(`/v2/a/b/manifests/${image.root.digest}`);
    }
    await backend.collect();
    assert.equal((await here()).length, 2);
    await sleep(3500);
    await backend.collect();
    assert.deepEqual(await here(), []);
  });
});

test('pull-through: a lease that somebody deletes is made anew', async () => {
  await withWorld({}, async ({ read, backend }) => {
    await read('/v2/a/b/manifests/1');
    for (const { id } of await backend.leases.list()) await backend.leases.delete(id);
    assert.equal(sha256(await read(`/v2/a/b/blobs/${LAYER}`)), LAYER);
    assert.equal((await backend.leases.list()).length, 1);
  });
});

test('pull-through: what was asked for before a lease is deleted is fetched again, too', async () => {
  await withWorld({}, async ({ ask, read, backend }) => {
    const drop = async () => {
      for (const { id } of await backend.leases.list()) await backend.leases.delete(id);
      await backend.collect();
    };
    for (const target of [`blobs/${LAYER}`, `manifests/${image.root.digest}`, 'manifests/1']) {
      await read(`/v2/a/b/${target}`);
      await drop();
      assert.equal((await ask(`/v2/a/b/${target}`)).status, 200, target);
      assert.equal((await backend.leases.list()).length, 1);
    }
  });
});

test('pull-through: with users, content of one repository is given in another only where the registry has it there', async () => {
  const auth = { check: async () => 'known' as const };
  await withWorld({ serve: { auth: auth as never } }, async ({ ask, read, registry }) => {
    await read('/v2/a/b/manifests/1');
    assert.equal(sha256(await read(`/v2/a/b/blobs/${LAYER}`)), LAYER);
    registry.push('c/d', '1', await buildImage({ layers: [] }));
    assert.equal((await ask(`/v2/c/d/blobs/${LAYER}`)).status, 404);
    assert.equal((await ask(`/v2/c/d/manifests/${image.root.digest}`)).status, 404);
    const asked = registry.requests.length;
    assert.equal(sha256(await read(`/v2/a/b/blobs/${LAYER}`)), LAYER);
    assert.equal(registry.requests.length, asked, 'the labels say where it is from');
    assert.equal(sha256(await read(`/v2/a/many/blobs/${LAYER}`)), LAYER);
    assert.equal((await ask('/v2/a/b/manifests/1')).status, 200);
  });
});

test('pull-through: a blob that rots is fetched anew', async () => {
  await withWorld({}, async ({ ask, read, store, registry }) => {
    await read(`/v2/a/b/blobs/${LAYER}`);
    const path = join(store.root, 'content/blobs/sha256', LAYER.slice(7));
    const wrong = new Uint8Array(statSync(path).size);
    writeFileSync(path, wrong, { flag: 'r+' });
    await assert.rejects(bodyOf(await ask(`/v2/a/b/blobs/${LAYER}`)));
    assert.equal(sha256(await read(`/v2/a/b/blobs/${LAYER}`)), LAYER);
    assert.equal(sha256(await read(`/v2/a/b/blobs/${LAYER}`)), LAYER);
    assert.ok(registry.traffic(LAYER).bytes <= 2 * SIZE + 1000);
  });
});

test('pull-through: the policy is asked for images, not for what they list; what it refuses is not fetched', async () => {
  const asked: string[] = [];
  const judge: Backend['judge'] = {
    judge: async ({ reference, root }) => {
      asked.push(root.digest);
      if (reference.name.includes('a/b')) return { accepted: false, by: 'policy', reason: 'by policy' };
      return { accepted: true, by: 'policy', vouchers: [] };
    },
  };
  const backend = (local: LocalBackend): Backend =>
    new Proxy(local, {
      get: (target, key) => {
        if (key === 'judge') return judge;
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  await withWorld({ backend }, async ({ ask, registry, events }) => {
    assert.equal((await ask('/v2/a/b/manifests/1')).status, 403);
    assert.equal((await ask(`/v2/a/b/manifests/${image.root.digest}`)).status, 403);
    assert.ok(events.every((line) => /by policy/.test(line)));
    assert.equal(
      registry.log().filter((line) => line.startsWith('GET') && line.includes('/manifests/1')).length,
      0,
    );
    assert.equal((await ask('/v2/a/many/manifests/1')).status, 200);
    assert.equal((await ask(`/v2/a/many/manifests/${image.root.digest}`)).status, 200);
    assert.deepEqual(asked, [image.root.digest, image.root.digest, index.root.digest]);
  });
});

/** A backend whose judge answers by the repository. */
function judgedBy(refuses: (name: string) => boolean): (local: LocalBackend) => Backend {
  const judge: Backend['judge'] = {
    judge: async ({ reference: { name } }) =>
      refuses(name)
        ? { accepted: false, by: 'policy', reason: 'by policy' }
        : { accepted: true, by: 'policy', vouchers: [] },
  };
  return (local) =>
    new Proxy(local, {
      get: (target, key) => {
        if (key === 'judge') return judge;
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
}

/** Ways by which a manifest that the policy refuses in `a/b` might get into the store first. */
const WAYS: readonly (readonly [string, (world: World) => Promise<unknown>])[] = [
  ['as a blob of its repository', ({ ask }) => ask(`/v2/a/b/blobs/${image.root.digest}`).then(bodyOf)],
  ['as its size', ({ ask }) => ask(`/v2/a/b/blobs/${image.root.digest}`, { method: 'HEAD' })],
  ['by a repository that is let in', ({ read }) => read(`/v2/a/many/manifests/${image.root.digest}`)],
  ['as the tag of one that is let in', ({ read }) => read('/v2/c/lax/manifests/1')],
];
for (const [way, first] of WAYS)
  test(`pull-through: a manifest that the policy refuses is not given after it was asked for ${way}`, async () => {
    await withWorld({ backend: judgedBy((name) => name.includes('a/b')) }, async (world) => {
      const { ask, registry, backend } = world;
      registry.push('c/lax', '1', image);
      await first(world);
      const strict = await ask(`/v2/a/b/manifests/${image.root.digest}`);
      assert.equal(strict.status, 403);
      assert.notEqual((await ask(`/v2/a/b/blobs/${image.root.digest}`, { ns: undefined })).status, 500);
      const { digest, labels } = (await backend.content.list()).find(
        (one) => one.digest === image.root.digest,
      ) ?? { digest: image.root.digest, labels: {} };
      assert.doesNotMatch(JSON.stringify(labels), /a\/b/, `${digest} bears the label of a/b`);
      // Nor by a repository that nobody may ask for.
      assert.equal((await ask(`/v2/a/b/manifests/${digest}`, { ns: 'elsewhere.example' })).status, 404);
    });
  });

test('pull-through: in repositories of other registries a digest is enough, as without it, and what is listed is given', async () => {
  await withWorld({}, async ({ ask, read, registry, backend }) => {
    const put = async (content: object) => {
      const bytes = new TextEncoder().encode(JSON.stringify(content));
      const digest = await addBlob(backend, bytes, {
        labels: { 'containerd.io/gc.ref.content.0': image.root.digest },
      });
      return { mediaType: MANIFEST, digest, size: bytes.length };
    };
    const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
    const config = { mediaType: 'application/x.sig', digest: LAYER, size: 1 };
    const base = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [] };
    const own = await put(base);
    const { digest } = own;
    const signature = await put({ ...base, subject: own });
    const list = async (name: string, ns: string) => {
      const found = text(await read(`/v2/${name}/referrers/${digest}`, { ns })) as {
        manifests: Descriptor[];
      };
      return found.manifests.map((one) => one.digest as string);
    };
    const given = async (name: string, ns: string) => {
      const asked = [digest, signature.digest].map((one) => ask(`/v2/${name}/manifests/${one}`, { ns }));
      const [main, other] = (await Promise.all(asked)).map(({ status }) => status);
      assert.equal(
        (await list(name, ns)).includes(signature.digest),
        other === 200,
        `${name} ${ns}: one rule`,
      );
      return [main, other];
    };
    assert.deepEqual(await given('old/name', 'other.example'), [200, 200], 'of a record that was renamed');
    await backend.images.put('other.example/new/name:1', own, {});
    assert.deepEqual(await given('new/name', 'other.example'), [200, 200]);
    // What has come from a registry that is pulled through: where a record names a repository, and by no name that is only said.
    for (const one of [digest, signature.digest])
      await backend.content.label(one, { [sourceLabelKey(registry.host)]: 'a/b' });
    assert.deepEqual(await given('new/name', 'other.example'), [200, 200]);
    assert.deepEqual(await given('old/name', 'other.example'), [404, 404]);
    assert.deepEqual(await given('c/d', registry.host), [404, 404], 'where the registry is asked');
    const via = { via: `1.1 ${ID}` };
    assert.equal(
      (await ask(`/v2/c/d/manifests/${digest}`, { headers: via })).status,
      404,
      'and by way of the server',
    );
  });
});

test('pull-through: a manifest is no blob; a label that says where it is from lets none in', async () => {
  await withWorld(
    { backend: judgedBy((name) => name.includes('a/b')) },
    async ({ ask, read, registry, backend }) => {
      for (const method of ['GET', 'HEAD'])
        assert.equal((await ask(`/v2/a/many/blobs/${index.root.digest}`, { method })).status, 404, method);
      registry.push('c/lax', '1', image);
      await read('/v2/c/lax/manifests/1');
      const key = sourceLabelKey(registry.host);
      const info = await backend.content.info(image.root.digest as Digest);
      await backend.content.label(info.digest, { [key]: 'a/b,c/lax' });
      assert.equal((await ask(`/v2/a/b/manifests/${image.root.digest}`)).status, 403);
      assert.equal((await ask(`/v2/c/lax/manifests/${image.root.digest}`)).status, 200);
    },
  );
});

test('pull-through: what an index of the store lists, and nobody let in with it, is judged, also when it came as a blob', async () => {
  const evil = await buildImage({
    layers: [{ entries: [{ name: 'f', data: 'evil' }] }],
    platform: { os: 'linux', architecture: 'arm64' },
  });
  const evilDigest = evil.root.digest;
  const backend = judgedBy((name) => name.includes('a/mixed'));
  await withWorld({ backend }, async ({ ask, read, registry, store }) => {
    const name = registry.push('a/mixed', '1', buildIndex([image, evil]));
    // A stranger's artifact lists them as plain blobs.
    for (const [digest, bytes] of [[evilDigest, evil.root.bytes] as const, ...evil.blobs])
      registry.putBlob('a/mixed', digest, bytes);
    const entries = [image.root.digest];
    const vouchers = [{ by: 'key', signer: 'a test', digest: image.root.digest }];
    const verify = async () => ({ accepted: true, by: 'a test', vouchers, entries }) as never;
    await fetch(name, {
      store: asStore(store.backend, await defaultRuntime()),
      verify,
      platforms: ['linux/amd64'],
    });
    assert.equal((await ask(`/v2/a/mixed/manifests/${image.root.digest}`)).status, 200);
    for (const digest of [evilDigest, ...evil.blobs.keys()])
      assert.equal(sha256(await read(`/v2/a/mixed/blobs/${digest}`)), digest, 'bytes are bytes');
    assert.equal((await ask(`/v2/a/mixed/manifests/${evilDigest}`)).status, 403);
    assert.equal((await ask('/v2/a/mixed/manifests/1')).status, 403);
  });
});

/** The index of both is here by two names: of `a/app` one entry is let in, of `b/app` all. */
const BY_TWO_NAMES: readonly (readonly [string, readonly ('some' | 'all' | 'asked' | 'tagged')[]])[] = [
  ['some of it first', ['some', 'all']],
  ['all of it first', ['all', 'some']],
  ['all of it asked for by clients', ['some', 'asked']],
  ['with another tag', ['some', 'tagged', 'all']],
];

for (const [how, steps] of BY_TWO_NAMES)
  test(`pull-through: what one name let in of an index, another name’s clients get only by a judge: ${how}`, async () => {
    const platform = { os: 'linux', architecture: 'arm64' };
    const evil = await buildImage({ layers: [{ entries: [{ name: 'f', data: 'evil' }] }], platform });
    const [good, bad] = [image.root.digest, evil.root.digest];
    // One is listed by an index in the index.
    const inner = buildIndex([evil]);
    const mixed = buildIndex([image, inner]);
    const backend = judgedBy((name) => name.includes('a/app'));
    await withWorld({ backend }, async ({ ask, registry, store }) => {
      const here = asStore(store.backend, await defaultRuntime());
      const strict = `${registry.host}/a/app`;
      for (const repository of ['a/app', 'b/app']) registry.push(repository, '1', mixed);
      const some = (...entries: readonly string[]) => {
        const vouchers = [{ by: 'key', signer: 'a test', digest: good }];
        const verify = async () => ({ accepted: true, by: 'a test', vouchers, entries }) as never;
        return fetch(`${strict}@${mixed.root.digest}`, { store: here, verify, platforms: 'all' });
      };
      const bring = {
        some: () => some(good),
        all: () => fetch(`${registry.host}/b/app:1`, { store: here, platforms: 'all' }),
        tagged: () => tag(`${strict}@${mixed.root.digest}`, `${strict}:new`, { store: here }),
        asked: async () => {
          for (const what of ['1', inner.root.digest, bad])
            assert.equal((await ask(`/v2/b/app/manifests/${what}`)).status, 200);
        },
      };
      for (const step of steps) await bring[step]();
      const status = async (repository: string) =>
        await Promise.all(
          [good, bad].map(async (one) => (await ask(`/v2/${repository}/manifests/${one}`)).status),
        );
      assert.deepEqual(await status('b/app'), [200, 200]);
      assert.deepEqual(await status('a/app'), [200, 403]);
      // A later judge lets in the other one: the first one stays.
      await some(bad);
      assert.deepEqual(await status('a/app'), [200, 200]);
    });
  });

test('pull-through: a server that starts anew judges what the store has again, and needs no registry where nobody wants a proof', async () => {
  const backend = judgedBy(() => false);
  await withWorld({ backend }, async (world) => {
    const { read, registry } = world;
    await read('/v2/a/many/manifests/1');
    await read(`/v2/a/many/manifests/${image.root.digest}`);
    registry.faults.push({ reset: true });
    const strict = world.again(judgedBy((name) => name.includes(index.root.digest)));
    assert.equal((await strict(`/v2/a/many/manifests/${index.root.digest}`)).status, 403);
    // Only the index has been let in: what it lists comes with it.
    const lax = world.again(judgedBy((name) => name.includes(image.root.digest)));
    assert.equal((await lax(`/v2/a/many/manifests/${image.root.digest}`)).status, 403);
    assert.equal((await lax(`/v2/a/many/manifests/${index.root.digest}`)).status, 200);
    assert.equal((await lax(`/v2/a/many/manifests/${image.root.digest}`)).status, 200);
  });
});

test('pull-through: each image is judged by the policy of now, and what a policy before it let in is judged again', async () => {
  const dir = tempDir();
  const [policy, key] = [join(dir.path, 'policy.json'), join(dir.path, 'cosign.pub')];
  const ALL = [{ type: 'insecureAcceptAnything' }];
  const write = (fallback: readonly object[]) => writeFileSync(policy, JSON.stringify({ default: fallback }));
  try {
    const runtime = await defaultRuntime();
    write(ALL);
    const through = async () => await standingGate(runtime, { policy, verifiers: ['none'] });
    const first = await through();
    write([{ type: 'reject' }]);
    await withWorld({ through: first }, async ({ ask }) => {
      assert.equal((await ask('/v2/a/b/manifests/1')).status, 403, 'not the policy of the start');
    });
    const CHANGES: readonly (readonly [string, number, () => void])[] = [
      ['nothing', 200, () => {}],
      ['the policy', 403, () => write([{ type: 'reject' }])],
      ['the policy is gone', 502, () => rmSync(policy)],
      [
        'a key of the policy is gone',
        502,
        () => write([{ type: 'sigstoreSigned', keyPath: join(dir.path, 'none.pub') }]),
      ],
      ['the policy is none', 502, () => writeFileSync(policy, '{')],
    ];
    for (const [what, status, change] of CHANGES) {
      write(ALL);
      await withWorld({ through: await through() }, async ({ ask, registry }) => {
        const paths = ['1', index.root.digest, image.root.digest].map((one) => `/v2/a/many/manifests/${one}`);
        for (const path of paths) assert.equal((await ask(path)).status, 200, path);
        change();
        for (const path of paths) assert.equal((await ask(path)).status, status, `${what}: ${path}`);
        registry.faults.push({ reset: true });
        const away = status === 200 ? 200 : 502;
        assert.equal((await ask('/v2/a/many/manifests/1')).status, away, `${what}, the registry away`);
      });
    }
    const rules = async () => await first.rules?.({});
    writeFileSync(key, 'one');
    write([{ type: 'sigstoreSigned', keyPath: key, signedIdentity: { type: 'matchRepository' } }]);
    const before = await rules();
    assert.equal(await rules(), before);
    writeFileSync(key, 'two');
    assert.notEqual(await rules(), before, 'another key in the same file');
  } finally {
    dir[Symbol.dispose]();
  }
});

test('pull-through: what refers to an image is listed by the registry and the store together', async () => {
  await withWorld({}, async ({ read, registry }) => {
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const document = { schemaVersion: 2, mediaType, artifactType: 'application/x.sig' };
    const config = { mediaType: 'application/x.sig', digest: `sha256:${'1'.repeat(64)}`, size: 1 };
    const subject = {
      mediaType: document.mediaType,
      digest: image.root.digest,
      size: image.root.bytes.length,
    };
    const bytes = new TextEncoder().encode(JSON.stringify({ ...document, config, layers: [], subject }));
    const digest = registry.putManifest('a/b', sha256(bytes), document.mediaType, bytes);
    const list = async (repo: string) =>
      (text(await read(`/v2/${repo}/referrers/${image.root.digest}`)) as { manifests: object[] }).manifests;
    assert.deepEqual(await list('a/b'), [
      { mediaType: document.mediaType, digest, size: bytes.length, artifactType: 'application/x.sig' },
    ]);
    registry.faults.push({ match: '/referrers/', status: 500 });
    assert.equal(
      await read(`/v2/a/b/referrers/${image.root.digest}`)
        .then(text)
        .then((one) => 'errors' in (one as object)),
      true,
    );
  });
});

test('pull-through: the registry gets the credentials of this machine; clients need none, and see none', async () => {
  const auth = { mode: 'basic', user: 'me', pass: 'secret' } as const;
  for (const [pass, status] of [
    ['secret', 200],
    ['wrong', 403],
  ] as const) {
    const credentials = async () => ({ username: 'me', secret: pass });
    await withWorld({ auth, client: { credentials } }, async ({ ask, events }) => {
      for (const target of ['manifests/1', `blobs/${LAYER}`]) {
        const answer = await ask(`/v2/a/b/${target}`);
        assert.equal(answer.status, status, target);
        const body = new TextDecoder('latin1').decode(await bodyOf(answer));
        if (status === 403) assert.match(body, /DENIED/);
        assert.doesNotMatch(JSON.stringify([answer.headers, events]), /secret|wrong|www-authenticate/);
      }
    });
  }
});

test('pull-through: a flood of questions for what the registry is slow to give is told to wait', async () => {
  await withWorld({ faults: [{ hang: true }] }, async ({ ask, registry }) => {
    const stop = new AbortController();
    const digest = (n: number) => `sha256:${String(n).padStart(64, '0')}`;
    const ask1 = (n: number) => ask(`/v2/a/b/blobs/${digest(n)}`, { signal: stop.signal });
    const waiting = Array.from({ length: 128 }, (_, n) => ask1(n).catch(() => undefined));
    await sleep(50);
    const late = await ask1(500);
    assert.equal(late.status, 429);
    assert.ok(Number(late.headers['retry-after']) > 0);
    assert.ok(registry.requests.length <= 6, 'no more are asked for at once');
    stop.abort();
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set([undefined]));
  });
});

test('pull-through: blobs side by side share the room that is free, and leave some', async () => {
  const small = image.layers[1]?.digest ?? '';
  const reserve = 64 * MIB;
  let free = reserve + SIZE - 1;
  const backend = (local: LocalBackend): Backend =>
    new Proxy(local, {
      get: (target, key) => {
        if (key === 'space') return async () => ({ free });
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const during = (stall: number, body: (status: (digest: string) => Promise<number>) => Promise<void>) =>
    withWorld({ backend, faults: [{ match: LAYER, method: 'GET', stall }] }, ({ ask }) =>
      body(async (digest) => (await ask(`/v2/a/b/blobs/${digest}`)).status),
    );
  await during(0, async (status) => {
    assert.equal(await status(LAYER), 503);
    free = reserve + SIZE;
    assert.equal(await status(LAYER), 200);
    assert.equal(await status(small), 503, 'the other blob has that room');
  });
  await during(MIB, async (status) => {
    assert.equal(await status(LAYER), 200);
    await sleep(500);
    free = reserve + SIZE - MIB / 2;
    assert.equal(await status(small), 200, 'what has come of the other blob is not counted again');
  });
});

for (const [what, targetOf, match] of [
  ['tags', (n: number) => `/v2/r/${n}/manifests/1`, '/manifests/'],
  ['documents', (n: number) => `/v2/a/b/manifests/sha256:${String(n).padStart(64, '0')}`, '/manifests/'],
  ['lists of tags', (n: number) => `/v2/r/${n}/tags/list`, '/tags/list'],
  ['referrers', (n: number) => `/v2/a/b/referrers/sha256:${String(n).padStart(64, '0')}`, '/a/b/'],
  ['sizes of blobs', (n: number) => `/v2/r/${n}/blobs/${LAYER}`, '/blobs/'],
] as const)
  test(`pull-through: of ${what} few are asked for at once, each once, and a flood is told to wait`, async () => {
    await withWorld({ faults: [{ hang: true }] }, async ({ ask, registry }) => {
      const stop = new AbortController();
      const method = what === 'sizes of blobs' ? 'HEAD' : 'GET';
      const ask1 = (n: number) => ask(targetOf(n), { method, signal: stop.signal });
      const asked = () => registry.requests.filter(({ path }) => path.includes(match)).length;
      const waiting = Array.from({ length: 3 }, () => ask1(0).catch(() => undefined));
      for (let tries = 0; tries < 50 && asked() === 0; tries++) await sleep(20);
      assert.equal(asked(), 1);
      for (let n = 1; n < 128; n++) waiting.push(ask1(n).catch(() => undefined));
      await sleep(100);
      assert.ok(asked() <= 8, `${asked()} at once`);
      assert.equal((await ask1(500)).status, 429);
      stop.abort();
      assert.deepEqual(new Set(await Promise.all(waiting)), new Set([undefined]));
    });
  });

test('serve --pull-through: what is no registry, and flags without it, are wrong usage', async () => {
  const dir = tempDir();
  const runtime = await defaultRuntime();
  try {
    for (const [flags, message] of [
      [['--pull-through', 'a b'], /it is no registry/],
      [['--pull-through', 'ghcr.io/org'], /it is no registry/],
      [['--pull-through', 'https://ghcr.io'], /it is no registry/],
      [['--pull-through', '*'], /it is no registry/],
      [['--pull-through', ''], /it is no registry/],
      [['--keep-pulled', '1h'], /--keep-pulled needs --pull-through/],
      [['--hosts-dir', '/x'], /--hosts-dir needs --pull-through/],
      [['--verifier', '/x'], /--verifier needs --pull-through/],
    ] as const) {
      const { code, err } = await runHere(runtime, join(dir.path, 'root'), [
        'serve',
        '--listen',
        '127.0.0.1:0',
        ...flags,
      ]);
      assert.equal(code, 2, `${flags}: ${err}`);
      assert.match(err, message);
    }
  } finally {
    dir[Symbol.dispose]();
  }
});
