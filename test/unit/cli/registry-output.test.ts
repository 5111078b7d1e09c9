/** `content fetch-object` and `content fetch-blob`: what is asked of whom, and what comes to standard output. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../../src/cli/run.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { HawserError } from '../../../src/core/errors.ts';
import type { Output } from '../../../src/core/ports/host.ts';
import { ALL_CAPABILITIES, type Capability } from '../../../src/core/registry/hosts.ts';
import { openRegistry, type RegistryOptions } from '../../../src/core/registry/open.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { fakeClock, transports } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { concat } from '../../registry/http-server.ts';
import { noise } from '../../registry/image.ts';
import {
  type RegistryOptions as ServerOptions,
  sha256,
  startRegistry,
  type TestRegistry,
} from '../../registry/registry.ts';
import { fakeRuntime } from './fake-runtime.ts';

const BLOB = noise(200_000, 21);
const DIGEST = sha256(BLOB);
const OTHER = noise(1000, 22);
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const MANIFEST = new TextEncoder().encode(`{"schemaVersion":2,"mediaType":"${MANIFEST_TYPE}"}\n`);
const CUT = 70_000;

interface Ran {
  readonly code: number;
  readonly out: Uint8Array;
  readonly err: string;
}

/** A server of the list; the last one is the registry that references name. */
interface Server extends ServerOptions {
  readonly capabilities?: readonly Capability[];
  /** It has nothing. */
  readonly empty?: boolean;
}

interface Scene {
  readonly registries: readonly TestRegistry[];
  readonly ref: string;
  /** `1 HEAD blobs`: which server was asked what, in order. */
  readonly asked: string[];
  /** `slow`: no sleep ends; else all end at once. */
  go(args: readonly string[], stdout?: (bytes: Uint8Array) => Promise<void>, slow?: 'slow'): Promise<Ran>;
  interrupt(): void;
}

function scene(title: string, servers: readonly Server[], body: (scene: Scene) => Promise<void>): void {
  test(`registry output: ${title}`, async () => {
    const asked: string[] = [];
    const registries = await Promise.all(
      servers.map((options, at) =>
        startRegistry({
          onAnswer: ({ method, path }) => asked.push(`${at} ${method} ${path.split('/').at(-2)}`),
          ...options,
        }),
      ),
    );
    const hosts = registries.map(({ host, url }, at) => {
      const { capabilities = ALL_CAPABILITIES } = servers[at] ?? {};
      return { name: host, base: new URL(`${url}/v2`), capabilities };
    });
    const fake = fakeRuntime();
    const clock = fakeClock();
    const open = (_: unknown, options: RegistryOptions) =>
      openRegistry(
        { transports: transports(), clock },
        { ...options, hosts: async () => ({ source: 'test', hosts }) },
      );
    try {
      registries.forEach((registry, at) => {
        if (servers[at]?.empty !== true) fill(registry);
      });
      await body({
        registries,
        ref: `${registries.at(-1)?.host}/t/a:x`,
        asked,
        go: async (args, stdout, slow) => {
          const chunks: Uint8Array[] = [];
          const write = stdout ?? (async (bytes: Uint8Array) => void chunks.push(bytes.slice()));
          const output = { isTerminal: false, columns: () => undefined, write } as unknown as Output;
          const host = { ...fake.runtime.host, stdout: output };
          const time = slow === undefined ? clock : fake.runtime.clock;
          const runtime = { ...fake.runtime, host, clock: time, hashers: createHashers() } as Runtime;
          // No other service: a store could not be opened.
          const code = await run(runtime, ['content', ...args], {
            openRegistry: open,
          } as unknown as Services);
          return { code, out: concat(chunks), err: fake.err() };
        },
        interrupt: () => fake.interrupt('SIGINT'),
      });
    } finally {
      for (const registry of registries) await registry.close();
    }
  });
}

function fill(registry: TestRegistry): void {
  for (const bytes of [BLOB, OTHER]) registry.putBlob('t/a', sha256(bytes), bytes);
  registry.putManifest('t/a', 'x', MANIFEST_TYPE, MANIFEST);
}

const isOut = (bytes: Uint8Array, { code, out, err }: Ran, told: RegExp = /^$/) => {
  assert.equal(code, 0, err);
  assert.deepEqual(out, bytes);
  assert.match(err, told);
};

scene('fetch-object: the document as it is, by tag and by digest', [{}], async ({ go, ref, asked }) => {
  isOut(MANIFEST, await go(['fetch-object', ref]));
  assert.deepEqual(asked.splice(0), ['0 HEAD manifests', '0 GET manifests']);
  isOut(MANIFEST, await go(['fetch-object', ref.replace(':x', `@${sha256(MANIFEST)}`)]));
  isOut(BLOB, await go(['fetch-object', ref.replace(':x', `@${DIGEST}`)]));
});

scene(
  'fetch-object: what had to be read to resolve is not asked for again',
  [{ faults: [{ noDigestHeader: true }] }],
  async ({ go, ref, asked }) => {
    isOut(MANIFEST, await go(['fetch-object', ref]));
    assert.deepEqual(asked, ['0 HEAD manifests', '0 GET manifests']);
  },
);

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/schema1', name)));
for (const [title, what] of [
  ['fetch-object', (ref: string) => ['fetch-object', ref.replace(':x', ':old')]],
  ['fetch-blob', (ref: string) => ['fetch-blob', ref, sha256(golden('payload.json'))]],
] as const) {
  scene(`${title}: of signed schema 1 what its digest is of`, [{}], async ({ go, ref, registries }) => {
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    const payload = golden('payload.json');
    registries[0]?.putManifest('t/a', 'old', type, golden('served.json'), sha256(payload));
    isOut(payload, await go(what(ref)));
  });
}

scene(
  'fetch-object: no such tag, and damage',
  [{ faults: [{ method: 'GET', match: '/manifests/', corrupt: 3 }] }],
  async ({ go, ref }) => {
    const absent = await go(['fetch-object', ref.replace(':x', ':y')]);
    assert.deepEqual([absent.code, absent.out.length], [1, 0]);
    assert.match(absent.err, /^hawser: failed to resolve reference ".*t\/a:y": .*not found\nhint: /);
    const { code, err } = await go(['fetch-object', ref]);
    assert.equal(code, 1);
    assert.match(err, /content is sha256:[0-9a-f]{64}, want sha256:/);
  },
);

const BOTH: readonly Server[] = [{ empty: true }, { capabilities: ['push', 'resolve'] }, {}];
scene(
  'fetch-blob: hosts that may be pulled from, in order; GET where it is',
  BOTH,
  async ({ go, ref, asked }) => {
    isOut(BLOB, await go(['fetch-blob', ref, DIGEST]));
    assert.deepEqual(asked, ['0 HEAD blobs', '2 HEAD blobs', '2 GET blobs']);
  },
);

scene('fetch-blob: manifests once no host has it as a blob', BOTH, async ({ go, ref, asked }) => {
  isOut(MANIFEST, await go(['fetch-blob', ref, sha256(MANIFEST)]));
  const heads = ['0 HEAD blobs', '2 HEAD blobs', '0 HEAD manifests', '2 HEAD manifests'];
  assert.deepEqual(asked, [...heads, '2 GET manifests']);
});

scene(
  'fetch-blob: a mirror that fails hides no manifest of another host',
  [{ faults: [{ status: 503 }] }, {}],
  async ({ go, ref, asked }) => {
    isOut(MANIFEST, await go(['fetch-blob', ref, sha256(MANIFEST)]));
    assert.equal(asked.at(-1), '1 GET manifests');
  },
);

scene(
  'fetch-blob: what fails everywhere and may pass is asked again',
  [{ faults: [{ status: 503, times: 2 }] }],
  async ({ go, ref }) => {
    isOut(BLOB, await go(['fetch-blob', ref, DIGEST]), /^waiting \d+ (?:ms|s): .*503.*\n$/);
  },
);

scene(
  'fetch-blob: Accept is anything, or the media type before it; of manifests their types, too',
  [{}],
  async ({ go, ref, registries }) => {
    const accepts = () => registries[0]?.requests.splice(0).map(({ headers }) => headers.get('accept'));
    isOut(OTHER, await go(['fetch-blob', ref, sha256(OTHER)]));
    assert.deepEqual(accepts(), ['*/*', '*/*']);
    // As a blob, though its type is a manifest's.
    isOut(OTHER, await go(['fetch-blob', '--media-type', MANIFEST_TYPE, ref, sha256(OTHER)]));
    assert.deepEqual(accepts(), [`${MANIFEST_TYPE}, */*`, `${MANIFEST_TYPE}, */*`]);
    isOut(MANIFEST, await go(['fetch-blob', '--media-type', 'text/x', ref, sha256(MANIFEST)]));
    const [asBlob, ...asManifest] = new Set(accepts());
    assert.equal(asBlob, 'text/x, */*');
    assert.deepEqual(
      asManifest.map((accept) => accept?.replace(/application\/vnd\.(?:docker|oci)\.[a-z0-9.+]+/g, 'type')),
      ['text/x, type, type, type, type, */*'],
    );
  },
);

scene('fetch-blob: several digests in the order given, one of them twice', [{}], async ({ go, ref }) => {
  const digests = [DIGEST, sha256(OTHER), sha256(MANIFEST), DIGEST];
  isOut(concat([BLOB, OTHER, MANIFEST, BLOB]), await go(['fetch-blob', ref, ...digests]));
});

scene('fetch-blob: an empty blob', [{}], async ({ go, ref, registries }) => {
  const empty = new Uint8Array();
  registries[0]?.putBlob('t/a', sha256(empty), empty);
  isOut(empty, await go(['fetch-blob', ref, sha256(empty)]));
});

const UNTOLD: Readonly<Record<string, Fault>> = {
  'is refused': { method: 'HEAD', status: 405 },
  'is denied': { method: 'HEAD', status: 403 },
  'does not tell the size': { method: 'HEAD', headers: { 'Content-Length': '' }, chunked: true },
  'says 0 bytes': { method: 'HEAD', headers: { 'Content-Length': '0' } },
  'and GET do not tell the size': { chunked: true },
  'and GET are encoded': { contentEncoding: 'gzip' },
};
for (const [title, fault] of Object.entries(UNTOLD)) {
  scene(`fetch-blob: HEAD ${title}`, [{ faults: [fault] }], async ({ go, ref, asked }) => {
    isOut(BLOB, await go(['fetch-blob', ref, DIGEST]));
    assert.deepEqual(asked, ['0 HEAD blobs', '0 GET blobs', '0 GET blobs']);
  });
}

test('registry output: redirects are followed without credentials', async () => {
  const storage = await startRegistry();
  fill(storage);
  const faults = [{ match: '/blobs/', redirect: `${storage.url}{target}`, when: authorized }];
  const auth = { mode: 'bearer', user: 'u', pass: 'p' } as const;
  const registry = await startRegistry({ auth, faults });
  const fake = fakeRuntime();
  const chunks: Uint8Array[] = [];
  const write = async (bytes: Uint8Array) => void chunks.push(bytes.slice());
  const host = { ...fake.runtime.host, stdout: { ...fake.runtime.host.stdout, write } };
  const deps = { host, clock: fakeClock(), hashers: createHashers(), transports: transports() };
  const args = ['content', 'fetch-blob', '-u', 'u:p', `${registry.host}/t/a:x`, DIGEST];
  try {
    const code = await run({ ...fake.runtime, ...deps } as Runtime, args, {
      openRegistry,
    } as unknown as Services);
    assert.equal(code, 0, fake.err());
    assert.deepEqual(concat(chunks), BLOB);
    assert.deepEqual(storage.log(), [`HEAD /t/a/blobs/${DIGEST}`, `GET /t/a/blobs/${DIGEST}`]);
    assert.ok(storage.requests.every(({ authorization }) => authorization === undefined));
  } finally {
    await registry.close();
    await storage.close();
  }
});

function authorized({ headers }: { headers: ReadonlyMap<string, string> }): boolean {
  return headers.has('authorization');
}

scene(
  'fetch-blob: a body that is cut goes on where it was, at another host if need be',
  [{ faults: [{ method: 'GET', cutAfter: CUT, times: 1 }] }, {}],
  async ({ go, ref, registries }) => {
    isOut(BLOB, await go(['fetch-blob', ref, DIGEST]), /^sha256:[0-9a-f]{64}: retry at 68\.4 KiB: .*\n$/);
    assert.deepEqual(
      registries[0]?.requests.map(({ range }) => range),
      [undefined, undefined, `bytes=${CUT}-`],
    );
  },
);

scene(
  'fetch-blob: what is cut for good is an error, and what was written is told',
  [{ faults: [{ method: 'GET', cutAfter: CUT }] }],
  async ({ go, ref }) => {
    const { code, out, err } = await go(['fetch-blob', '--retry', '0', ref, DIGEST]);
    assert.equal(code, 1);
    assert.deepEqual(out, BLOB.subarray(0, CUT));
    assert.match(err, new RegExp(`^hawser: Cannot fetch ${DIGEST}: .*\nhint: Throw away the ${CUT} bytes`));
  },
);

scene(
  'fetch-blob: a wrong digest is an error after the fact, with both',
  [{ faults: [{ method: 'GET', corrupt: 5 }] }],
  async ({ go, ref, asked }) => {
    const { code, out, err } = await go(['fetch-blob', ref, DIGEST, sha256(OTHER)]);
    assert.equal(code, 1);
    assert.equal(out.length, BLOB.length);
    const said = `hawser: Cannot fetch ${DIGEST}: content is ${sha256(out)}, want ${DIGEST}\n`;
    assert.ok(
      err.startsWith(`${said}hint: Throw away the ${BLOB.length} bytes of it that were written. The bytes`),
      err,
    );
    assert.equal(asked.length, 2);
  },
);

scene(
  'fetch-blob: nothing beyond the size is written',
  [{ faults: [{ method: 'GET', overlong: 50_000 }] }],
  async ({ go, ref }) => {
    const { code, out, err } = await go(['fetch-blob', ref, DIGEST]);
    assert.equal(code, 1);
    assert.match(err, /: more than the 200000 bytes that it was said to have\n/);
    assert.deepEqual(out, BLOB.subarray(0, out.length));
  },
);

scene(
  'fetch-blob: a digest that no host has names it and the hosts',
  [{ empty: true }, {}],
  async (ground) => {
    const { go, ref, registries, asked } = ground;
    const digest = sha256(noise(10, 5));
    const { code, out, err } = await go(['fetch-blob', ref, digest]);
    assert.deepEqual([code, out.length], [1, 0]);
    const [mirror, own] = registries.map(({ url }) => `${url}/v2`);
    const line = `Cannot find ${digest} in ${registries[1]?.host}/t/a: not found at ${own} (also tried: ${mirror}: `;
    assert.ok(err.startsWith(`hawser: ${line}`), err);
    assert.match(err, /\nhint: Check the digest and the repository/);
    assert.equal(asked.filter((one) => one.includes('HEAD')).length, 4);
  },
);

scene(
  'fetch-blob: digests, media types and arguments are checked before anything is asked',
  [{}],
  async (ground) => {
    const { go, ref, asked } = ground;
    for (const [args, want, told] of [
      [[ref, DIGEST, 'sha256:abc'], 1, /"sha256:abc": invalid checksum digest length/],
      [[ref, 'md5:0123'], 1, /unsupported digest algorithm/],
      [[ref, DIGEST, '--media-type', 'a/b\r\nX: y'], 2, /--media-type: want a media type/],
      [[ref], 2, /argument <digest> is missing/],
      [[], 2, /argument <ref> is missing/],
    ] as const) {
      const { code, out, err } = await go(['fetch-blob', ...args]);
      assert.deepEqual([code, out.length], [want, 0], err);
      assert.match(err, told);
    }
    assert.equal((await go(['fetch-object', ref, 'more'])).code, 2);
    assert.deepEqual(asked, []);
  },
);

scene('fetch-blob: a reader that goes away ends it without a word', [{}], async ({ go, ref }) => {
  let writes = 0;
  const { code, err } = await go(['fetch-blob', ref, DIGEST, DIGEST], async () => {
    writes++;
    throw new HawserError('Aborted', 'write EPIPE');
  });
  assert.deepEqual([code, err, writes], [141, '', 1]);
});

scene('fetch-blob: no more is fetched than is read, and an interrupt ends it', [{}], async (ground) => {
  const { go, ref, registries, interrupt } = ground;
  const [registry] = registries as [TestRegistry];
  const size = 256 << 20;
  const piece = new Uint8Array(1 << 16);
  registry.putBlob('t/a', DIGEST, {
    size,
    async *read(start, end) {
      for (let at = start; at < end; at += piece.length)
        yield piece.subarray(0, Math.min(piece.length, end - at));
    },
  });
  let seen = -1;
  const stuck = async () => {
    const sent = () => registry.traffic('/blobs/').bytes;
    // Until nothing comes any more: sockets and streams have their buffers.
    while (seen !== sent()) {
      seen = sent();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    interrupt();
  };
  const { code, err } = await go(['fetch-blob', ref, DIGEST], stuck, 'slow');
  assert.ok(seen < size / 4, `${seen} bytes were sent before one was taken`);
  assert.equal(code, 130);
  assert.equal(err, 'hawser: interrupted\n');
});
