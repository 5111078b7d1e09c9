/** hawser as a client of Spegel and of Dragonfly, by the hosts.toml files that these write. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRuntime } from '../../src/entry/library.ts';
import { buildImage, buildIndex, noise, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { runHere } from '../support/command-line.ts';
import { type Announced, type Engine, startDragonfly, startSpegel } from '../support/swarm.ts';
import { tempDir } from '../support/tmp.ts';

const image: TestImage = await buildImage({
  layers: [{ entries: [{ name: 'big', data: noise(1 << 20) }] }, { entries: [{ name: 'small', data: 'x' }] }],
});
const index: TestImage = buildIndex([
  image,
  await buildImage({ layers: [], platform: { os: 'linux', architecture: 'arm64' } }),
]);
const LAYER = image.layers[0]?.digest ?? '';

interface World {
  readonly origin: TestRegistry;
  /** Writes the hosts.toml of `host` (default: the origin's). */
  say(lines: readonly string[], host?: string): void;
  fetch(...flags: readonly string[]): Promise<{ code: number; err: string }>;
  /** Blobs that the origin has sent. */
  blobs(): string[];
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const origin = await startRegistry();
  const runtime = await defaultRuntime();
  origin.push('a/b', '1', index);
  let stores = 0;
  try {
    await body({
      origin,
      say: (lines, host = origin.host) => {
        mkdirSync(join(dir.path, 'certs.d', host), { recursive: true });
        writeFileSync(join(dir.path, 'certs.d', host, 'hosts.toml'), `${lines.join('\n')}\n`);
      },
      fetch: (...flags) =>
        runHere(runtime, join(dir.path, `store-${++stores}`), [
          'content',
          'fetch',
          '--progress',
          'none',
          '--hosts-dir',
          join(dir.path, 'certs.d'),
          ...flags,
          `${origin.host}/a/b:1`,
        ]),
      blobs: () => origin.log().filter((line) => /^GET .*\/blobs\//.test(line)),
    });
  } finally {
    await origin.close();
    dir[Symbol.dispose]();
  }
}

/** With a file for the registry, and with one for all of them. */
async function eachPlace(
  body: (world: World, place: '_default' | undefined) => Promise<void>,
): Promise<void> {
  for (const place of [undefined, '_default'] as const) await withWorld((world) => body(world, place));
}

/** A node that has pulled the image, or a part of it. */
function node(host: string, has: (digest: string) => boolean = () => true): Announced {
  const documents = new Map([index.root, ...index.manifests].map((one) => [one.digest, one]));
  return {
    tags: new Map([[`${host}/a/b:1`, index.root.digest]]),
    content: async (digest) => {
      if (!has(digest)) return undefined;
      const document = documents.get(digest);
      if (document !== undefined) return document;
      const bytes = image.blobs.get(digest);
      return bytes === undefined ? undefined : { mediaType: 'application/octet-stream', bytes };
    },
  };
}

/** What Spegel writes for a registry (`server` not for `_default`). */
function spegelLines(engine: Engine, server: string | undefined, authorization?: string): string[] {
  return [
    ...(server === undefined ? [] : [`server = 'http://${server}'`]),
    `[host.'http://${engine.host}']`,
    `capabilities = ['pull', 'resolve']`,
    `dial_timeout = '200ms'`,
    ...(authorization === undefined
      ? []
      : [`[host.'http://${engine.host}'.header]`, `Authorization = '${authorization}'`]),
  ];
}

async function withEngine(made: Promise<Engine>, body: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await made;
  try {
    await body(engine);
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}

test('Spegel: what another node has comes from there, by ns, and the registry is not asked; for all registries too', () =>
  eachPlace(({ origin, say, fetch }, place) =>
    withEngine(startSpegel(node(origin.host)), async (engine) => {
      say(spegelLines(engine, place === undefined ? origin.host : undefined), place);
      const { code, err } = await fetch();
      assert.equal(code, 0, err);
      assert.deepEqual(origin.log(), []);
      for (const { path } of engine.requests)
        assert.ok(path.includes(`ns=${encodeURIComponent(origin.host)}`), path);
    }),
  ));

test('Spegel: what no node has comes from the registry, each blob on its own', () =>
  withWorld(async ({ origin, say, fetch, blobs }) => {
    await withEngine(startSpegel(node(origin.host, (digest) => digest !== LAYER)), async (engine) => {
      say(spegelLines(engine, origin.host));
      const { code, err } = await fetch();
      assert.equal(code, 0, err);
      assert.deepEqual([...new Set(blobs())], [`GET /a/b/blobs/${LAYER}`]);
    });
    await withEngine(startSpegel(node(origin.host, () => false)), async (engine) => {
      say(spegelLines(engine, origin.host));
      assert.equal((await fetch()).code, 0);
      assert.ok(engine.requests.length > 0);
    });
  }));

test('Spegel: nodes that leave, in the middle or at once, cost no pull; nor does one that is not there', () =>
  withWorld(async ({ origin, say, fetch }) => {
    for (const fault of ['cut', 500, 503] as const)
      await withEngine(startSpegel(node(origin.host)), async (engine) => {
        engine.fault = (path) => (path.includes('/blobs/') ? fault : undefined);
        say(spegelLines(engine, origin.host));
        const began = performance.now();
        const { code, err } = await fetch();
        assert.equal(code, 0, `${fault}: ${err}`);
        // A node that gives half of the rest each time is left after a few.
        assert.ok(performance.now() - began < 15_000, String(fault));
      });
    const gone = await startSpegel(node(origin.host));
    await gone[Symbol.asyncDispose]();
    say(spegelLines(gone, origin.host));
    const began = performance.now();
    assert.equal((await fetch()).code, 0);
    assert.ok(performance.now() - began < 5000);
  }));

test('Spegel: a node that sends other bytes under a digest: the registry’s are taken', () =>
  withWorld(async ({ origin, say, fetch, blobs }) => {
    const honest = node(origin.host);
    const lying: Announced = {
      tags: honest.tags,
      content: async (digest) => {
        const found = await honest.content(digest);
        if (found === undefined || digest !== LAYER) return found;
        return { ...found, bytes: found.bytes.map((byte, at) => (at === 5000 ? byte ^ 1 : byte)) };
      },
    };
    await withEngine(startSpegel(lying), async (engine) => {
      say(spegelLines(engine, origin.host));
      const { code, err } = await fetch();
      assert.equal(code, 0, err);
      assert.ok(blobs().includes(`GET /a/b/blobs/${LAYER}`));
    });
  }));

test('Spegel: its password goes to it alone', () =>
  withWorld(async ({ origin, say, fetch }) => {
    const authorization = `Basic ${btoa('spegel:secret')}`;
    const announced = node(origin.host, (digest) => digest !== LAYER);
    await withEngine(startSpegel(announced, authorization), async (engine) => {
      say(spegelLines(engine, origin.host, authorization));
      const { code, err } = await fetch();
      assert.equal(code, 0, err);
      assert.ok(engine.requests.every(({ status }) => status !== 401));
      assert.ok(origin.requests.length > 0);
      for (const request of origin.requests) assert.equal(request.authorization, undefined);
    });
  }));

test('Dragonfly: its header tells its daemon the registry; for all registries ns does', () =>
  eachPlace(({ origin, say, fetch }, place) =>
    withEngine(startDragonfly(), async (engine) => {
      const registry = `http://${origin.host}`;
      const own = [`[host."http://${engine.host}".header]`, `X-Dragonfly-Registry = "${registry}"`];
      say(
        [
          ...(place === undefined ? [`server = "${registry}"`] : []),
          `[host."http://${engine.host}"]`,
          'capabilities = ["pull", "resolve"]',
          'skip_verify = true',
          ...(place === undefined ? own : []),
        ],
        place,
      );
      const { code, err } = await fetch();
      assert.equal(code, 0, err);
      assert.equal(origin.requests.length, engine.requests.length, 'every request went by the daemon');
      for (const { path, headers } of engine.requests) {
        assert.ok(path.includes('ns='), path);
        assert.equal(headers['x-dragonfly-registry'], place === undefined ? registry : undefined);
      }
    }),
  ));
