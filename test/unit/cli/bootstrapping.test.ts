/** `bootstrap`: what cannot be read is a failure of its own, and no name goes back to what it named before. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type BootstrapContext, fillNode, nodeContent } from '../../../src/cli/session/bootstrapping.ts';
import { IMAGE_DIRECTORIES } from '../../../src/core/carry/node-sources.ts';
import { HawserError, kindOf } from '../../../src/core/errors.ts';
import type { FileSystem } from '../../../src/core/ports/file-system.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { markImages } from '../../../src/core/verbs/bundle-marks.ts';
import { partsOf } from '../../../src/entry/stores.ts';
import { openStore } from '../../../src/mod.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { putEmptyImage } from '../../support/golden-image.ts';
import { tempDir } from '../../support/tmp.ts';
import { fakeRuntime } from './fake-runtime.ts';

/** `flags`: those that are given besides. */
function contextOf(
  fs: Partial<FileSystem>,
  args: readonly string[],
  flags: Readonly<Record<string, unknown>> = {},
): BootstrapContext {
  const { runtime } = fakeRuntime();
  const get = ({ name }: { name: string }) =>
    flags[name] ?? (['platform', 'label', 'verifier', 'verify-key'].includes(name) ? [] : undefined);
  // Without --for-cri a containerd is asked for.
  const has = ({ name }: { name: string }) => name === 'for-cri' || name in flags;
  const find = (flag: { name: string }) => (has(flag) ? { texts: ['true'], from: '' } : undefined);
  const rank = ({ name }: { name: string }) => (name in flags ? 0 : Number.POSITIVE_INFINITY);
  const input = { args, get, has, find, rank };
  const context = { runtime: { ...runtime, fs }, input, signal: new AbortController().signal };
  return { ...context, stderr: runtime.host.stderr } as unknown as unknown as BootstrapContext;
}

const lockOf = (digit: string): string =>
  JSON.stringify({ v: 1, images: [{ ref: 'h.io/x:1', digest: `sha256:${digit.repeat(64)}` }] });

test('a broken list, one that is too long, and a second digest: each is told, and the other images are wanted', async () => {
  const temp = tempDir();
  try {
    const dir = join(temp.path, 'images');
    mkdirSync(dir);
    for (const [name, text] of [
      ['a.lock', lockOf('a')],
      ['b.lock', lockOf('b')],
      ['c.yaml', 'images: ['],
      ['d.txt', '# '.padEnd((16 << 20) + 1, 'x')],
      ['e.txt', 'h.io/e:1\n'],
    ] as const)
      writeFileSync(join(dir, name), text);
    const { list } = await nodeContent(contextOf(createFileSystem(), [dir]));
    assert.deepEqual(
      list.images.map(({ reference, at }) => [reference.name, at.replace(`${dir}/`, '')]),
      [
        ['h.io/x:1', 'a.lock, image 1'],
        ['h.io/e:1', 'e.txt:1'],
      ],
    );
    assert.deepEqual(list.errors.map(({ kind }) => kind).sort(), [
      'InvalidArgument',
      'InvalidArgument',
      'ResourceExhausted',
    ]);
    assert.match(
      list.errors.join('\n'),
      /h\.io\/x:1 has two digests \(.*a\.lock, image 1, .*b\.lock, image 1\)/,
    );
  } finally {
    temp[Symbol.dispose]();
  }
});

test('without arguments: a usual directory that cannot be looked at is no reason to leave the others', async () => {
  const [first = '', second = ''] = IMAGE_DIRECTORIES;
  const denied = (path: string) => {
    const reason = { type: 'errno', errno: 'EACCES' } as const;
    return new HawserError('PermissionDenied', `looking at ${path}`, { reason });
  };
  const fs: Partial<FileSystem> = {
    stat: async (path) => {
      if (path === first) throw denied(path);
      return path === second ? { type: 'directory', size: 0, mode: 0o755, uid: 0, mtime: 0 } : undefined;
    },
    list: async () => [{ name: 'oci-layout', type: 'file' }],
  };
  const { archives } = await nodeContent(contextOf(fs, []));
  assert.deepEqual(
    archives.map(({ path }) => path),
    [first, second],
  );
});

test('a name that moves between the look at it and its record stays where it is, and that is told', async () => {
  const temp = tempDir();
  const store = await openStore({ root: join(temp.path, 'root') });
  try {
    const [name, other] = ['h.io/a:1', 'h.io/b:1'];
    for (const one of [name, other]) await putEmptyImage(store, one);
    const { backend, runtime } = partsOf(store);
    const archive = { type: 'archive', path: '/images/a.tar.zst', version: '100-5' } as const;
    const machine = { hostPlatform: { os: 'linux', architecture: 'amd64' }, cpus: 1 };
    const image = await store.images.get(name);
    await markImages({ ...runtime, ...machine, backend }, archive, [image], {});
    const moved = (await store.images.get(other)).target;
    const fill = async (images: typeof backend.images) => {
      const context = contextOf({}, []);
      const { hashers, codecs } = runtime;
      const own = { ...context, runtime: { ...context.runtime, hashers, codecs } };
      const content = { archives: [archive], list: { images: [], errors: [], warnings: [] } };
      const node = { address: '', backend: { ...backend, images } };
      const [end] = await fillNode(own, node, content, () => {});
      return end;
    };
    assert.equal((await fill(backend.images))?.result?.state, 'present');
    const moving = new Proxy(backend.images, {
      get: (images, key) => {
        if (key === 'list') return () => images.list();
        if (key === 'put') return images.put.bind(images);
        return async (wanted: string) => {
          const found = await images.get(wanted);
          await images.put(name, moved, {});
          return found;
        };
      },
    });
    const error = (await fill(moving))?.error;
    assert.equal(kindOf(error), 'AlreadyExists', String(error));
    assert.equal((await store.images.get(name)).target.digest, moved.digest);
  } finally {
    await store[Symbol.asyncDispose]();
    temp[Symbol.dispose]();
  }
});

/** A word of the user about who decides. */
const GATES: readonly Readonly<Record<string, unknown>>[] = [
  { policy: '/p.json' },
  { 'verify-key': ['/k.pub'] },
  { 'require-signed': true },
];
for (const flags of GATES)
  test(`what is here is judged once more where the user asks for that: --${Object.keys(flags)}`, async () => {
    const temp = tempDir();
    const store = await openStore({ root: join(temp.path, 'root') });
    try {
      const name = 'h.io/a:1';
      await putEmptyImage(store, name);
      const { backend, runtime } = partsOf(store);
      const archive = { type: 'archive', path: '/images/a.tar.zst', version: '100-5' } as const;
      const hostPlatform = { os: 'linux', architecture: 'amd64' };
      const image = await store.images.get(name);
      await markImages({ ...runtime, hostPlatform, cpus: 1, backend }, archive, [image], {});
      const fs: Partial<FileSystem> = {
        readFile: async (path) => {
          if (path === '/p.json') return new TextEncoder().encode('{"default":[{"type":"reject"}]}');
          throw new HawserError('NotFound', path);
        },
      };
      const listed = parseReference(name);
      const content = {
        list: { images: [{ reference: listed, at: '' }], errors: [], warnings: [] },
        archives: [archive],
      };
      for (const [given, isRefused] of [
        [{}, false],
        // Nobody is named: the archive is not read again, and here it could not be.
        [{ policy: 'none' }, false],
        [{ verifier: ['none'] }, false],
        [{ policy: 'none', verifier: ['none'] }, false],
        [flags, true],
      ] as const) {
        const context = contextOf(fs, [], given);
        const { hashers, codecs, clock, signatures } = runtime;
        const registry = { evidence: () => ({}), [Symbol.asyncDispose]: async () => {} };
        const own = {
          ...context,
          platform: hostPlatform,
          services: { openRegistry: () => registry },
          runtime: { ...context.runtime, hashers, codecs, clock, signatures },
        };
        const ends = await fillNode(
          own as unknown as BootstrapContext,
          { address: '', backend },
          content as never,
          () => {},
        );
        assert.equal(ends.length, 2);
        for (const { error, result } of ends)
          assert.equal(result?.state, isRefused ? undefined : 'present', String(error));
        if (isRefused) assert.match(String(ends[1]?.error), /policy rejects|k\.pub|vouches/);
      }
    } finally {
      await store[Symbol.asyncDispose]();
      temp[Symbol.dispose]();
    }
  });
