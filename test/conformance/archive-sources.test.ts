/** Archives of `docker save` and directories of skopeo in the place of a registry: `docker-archive:FILE` and `dir:DIR`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { referenceOf } from '../../src/core/carry/layout-source.ts';
import { hintOf, kindOf, messageOf } from '../../src/core/errors.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, files, importImages, openStore, pull, type Store, unpackRootfs } from '../../src/mod.ts';
import { execOk } from '../support/exec.ts';
import {
  AMD64_DIGEST,
  type ArchiveEntry,
  amd64,
  BASE,
  blobEntry,
  blobs,
  craneArchive,
  documents,
  INDEX_DIGEST,
  index,
  indexOf,
  LAYOUT,
  ROOT,
  skopeoArchive,
  tarOf,
} from '../support/golden-image.ts';
import { needs } from '../support/needs.ts';
import { digestOf } from '../support/stores.ts';
import { member } from '../support/tar-builder.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
const AMD64 = { platforms: ['linux/amd64'], retry: { tries: 0 } };
/** Of the manifest that containerd's importer makes of the golden image with expanded layers. */
const EXPANDED = 'sha256:0763c762f1694db62691ae3e0b1f695962bc871cdfdbaa9089a160acafcd6ea7';

const hexOf = (bytes: Uint8Array): string => digestOf(bytes).slice(7);
const expanded = (layer: Uint8Array): Uint8Array => new Uint8Array(gunzipSync(layer));

interface World {
  readonly store: Store;
  readonly runtime: ReturnType<typeof partsOf>['runtime'];
  readonly dir: string;
  /** Writes a file; returns its path. */
  file(bytes: Uint8Array): string;
  /** Writes a directory as skopeo does with --all; returns its path. */
  skopeoDir(): string;
}

async function withStore(root: string, body: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore({ root });
  try {
    await body(store);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const store = await openStore({ root: join(dir.path, 'root') });
  let count = 0;
  const file: World['file'] = (bytes) => {
    const path = join(dir.path, `f${count++}.tar`);
    writeFileSync(path, bytes);
    return path;
  };
  const skopeoDir: World['skopeoDir'] = () => {
    const path = join(dir.path, `Dir_${count++}`);
    mkdirSync(path);
    writeFileSync(join(path, 'version'), 'Directory Transport Version: 1.1\n');
    writeFileSync(join(path, 'manifest.json'), index);
    const manifests = documents.slice(1, 3).map(([, bytes]) => bytes);
    for (const bytes of blobs((one) => one === index))
      writeFileSync(join(path, `${hexOf(bytes)}${manifests.includes(bytes) ? '.manifest.json' : ''}`), bytes);
    return path;
  };
  try {
    await body({ store, runtime: partsOf(store).runtime, dir: dir.path, file, skopeoDir });
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

test('docker-archive: the digests are those of an import, and each blob is its own', () =>
  withWorld(async ({ dir, file, store }) => {
    const linked = (at: number) =>
      member({
        name: `layer${at}/layer.tar`,
        type: '2',
        linkName: `../${hexOf(expanded(amd64.layers[at] ?? BASE))}.tar`,
      });
    const rows = [
      [skopeoArchive([NAME]), amd64.layers.map(expanded)],
      [skopeoArchive([NAME], linked), amd64.layers.map(expanded)],
      [craneArchive([NAME]), amd64.layers],
    ] as const;
    for (const [at, [bytes, layers]] of rows.entries()) {
      const path = file(bytes);
      await withStore(join(dir, `root-${at}`), async (own) => {
        const { name, target } = await fetch(`docker-archive:${path}`, { store: own, ...AMD64 });
        assert.equal(name, NAME);
        for (const blob of [amd64.config, ...layers]) {
          const { size, labels } = await own.content.info(digestOf(blob));
          assert.equal(size, blob.length);
          // No registry has it.
          assert.ok(!Object.keys(labels).some((key) => key.includes('distribution.source')));
        }
        await withStore(join(dir, `other-${at}`), async (other) => {
          const { images } = await importImages({ store: other, from: path, unpack: false });
          assert.deepEqual(images[0]?.target, target);
        });
      });
    }
    const { target } = await fetch(`docker-archive:${file(skopeoArchive([NAME]))}`, { store, ...AMD64 });
    assert.equal(target.digest, EXPANDED);
  }));

test('docker-archive: what Docker 25 saves is a layout, too, and keeps its digest', () =>
  withWorld(async ({ store, file }) => {
    const layout: ArchiveEntry[] = [
      ['oci-layout', LAYOUT],
      ['index.json', indexOf([{ 'io.containerd.image.name': NAME }])],
      ...blobs().map(blobEntry),
      ['manifest.json', '[]'],
    ];
    const { name, target } = await fetch(`docker-archive:${file(tarOf(layout))}:${NAME}`, {
      store,
      ...AMD64,
    });
    assert.deepEqual([name, target], [NAME, ROOT]);
  }));

test('docker-archive: which image is meant, and what it is called', () =>
  withWorld(async ({ runtime, file }) => {
    const other = JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: [] },
    });
    const image = (tags: readonly string[] | null, own = true) => ({
      Config: own ? 'c.json' : 'other.json',
      RepoTags: tags,
      Layers: own ? ['a.tar', 'b.tar'] : [],
    });
    const archiveOf = (...manifest: object[]) =>
      file(
        tarOf([
          ['c.json', amd64.config],
          ['other.json', other],
          ...amd64.layers.map((layer, at): ArchiveEntry => [at === 0 ? 'a.tar' : 'b.tar', expanded(layer)]),
          ['manifest.json', JSON.stringify(manifest)],
        ]),
      );
    const two = [image([NAME]), image(['alpine:3'], false)];
    const rows: readonly [manifest: object[], rest: string, name: string | RegExp][] = [
      [[image([NAME])], '', NAME],
      [[image([NAME])], ':1', NAME],
      [[image([NAME])], `:${NAME}`, NAME],
      [[image([NAME])], `@${EXPANDED}`, NAME],
      [[image([NAME])], `@${AMD64_DIGEST}`, /no image with the digest sha256:.*; there are "registry/],
      [[image([NAME, 'b:2'])], ':b:2', 'docker.io/library/b:2'],
      [[image([NAME]), image(['b:2'])], '', NAME],
      [[image(['busybox:1'])], '', 'docker.io/library/busybox:1'],
      [[image(null)], '', 'localhost/f-tar:latest'],
      [[image([])], ':@0', 'localhost/f-tar:latest'],
      [[image([NAME]), { ...image(['b:2']), Layers: ['b.tar', 'a.tar'] }], '', /2 images; there/],
      [two, '', /2 images; there are "registry.example\/t\/img:1", "alpine:3"/],
      [two, ':@0', NAME],
      [two, ':@1', 'docker.io/library/alpine:3'],
      [two, ':@2', /no image called "@2"/],
      [two, ':alpine:3', 'docker.io/library/alpine:3'],
      [two, `@${EXPANDED}`, NAME],
      [[image([NAME]), image([NAME], false)], `:${NAME}`, /2 images of this name/],
      [two, ':x', /no image called "x"; there are/],
      [[], '', /no image/],
      [[image(['../../etc/passwd'])], '', /Cannot use the name/],
      [[image(['ev il\n\u001b[31m'])], '', /Cannot use the name/],
      [[image([`sha256:${'a'.repeat(64)}`])], '', /form of an image ID/],
      [[image([`x:1@${AMD64_DIGEST}`])], '', /the image is/],
    ];
    for (const [manifest, rest, expected] of rows) {
      const text = `docker-archive:${archiveOf(...manifest)}${rest}`;
      if (typeof expected === 'string')
        assert.equal(
          (await referenceOf(runtime, text, {})).name.replace(/f\d+-tar/, 'f-tar'),
          expected,
          text,
        );
      else
        await assert.rejects(referenceOf(runtime, text, {}), (err) => {
          assert.match(messageOf(err), expected, text);
          assert.ok(!/there are/.test(messageOf(err)) || /docker-archive:FILE:NAME/.test(hintOf(err) ?? ''));
          return true;
        });
    }
  }));

test('HA12: a hostile archive of docker save records nothing, and is named', () =>
  withWorld(async ({ store, file }) => {
    const [one = BASE, two = BASE] = amd64.layers.map(expanded);
    const flipped = Uint8Array.from(one, (byte, at) => (at === 700 ? byte ^ 1 : byte));
    const entry = (more: object = {}) =>
      JSON.stringify([{ Config: 'c', RepoTags: [NAME], Layers: ['a', 'b'], ...more }]);
    const archive = (...over: ArchiveEntry[]): Uint8Array =>
      tarOf([
        ...over,
        ...(
          [
            ['c', amd64.config],
            ['a', one],
            ['b', two],
            ['manifest.json', entry()],
          ] as const
        ).filter(([name]) => !over.some(([own]) => own === name)),
      ]);
    const link = (linkName: string): Uint8Array =>
      new Uint8Array([
        ...member({ name: 'l', type: '2', linkName }),
        ...archive(['manifest.json', entry({ Layers: ['a', 'l'] })]),
      ]);
    const rows: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
      'a flipped byte of a layer': [archive(['a', flipped]), /sha256:/],
      'two layers in the wrong order': [archive(['manifest.json', entry({ Layers: ['b', 'a'] })]), /sha256:/],
      'a layer too few': [
        archive(['manifest.json', entry({ Layers: ['a'] })]),
        /2 diff IDs, and manifest.json 1/,
      ],
      'an absent layer': [archive(['manifest.json', entry({ Layers: ['a', 'x'] })]), /no file "x"/],
      'a layer outside': [archive(['manifest.json', entry({ Layers: ['a', '../b'] })]), /no file/],
      'an absolute layer': [archive(['manifest.json', entry({ Layers: ['a', '/etc/passwd'] })]), /no file/],
      'a link outside': [link('../../etc/passwd'), /leads nowhere/],
      'a link to itself': [link('l'), /leads nowhere/],
      'a config that is none': [archive(['c', '{}']), /no config of an image/],
      'an absent config': [archive(['manifest.json', entry({ Config: 'y' })]), /no file "y"/],
      'a config of 9 MiB': [archive(['c', new Uint8Array(9 << 20).fill(32)]), /more than/],
      'no JSON': [archive(['manifest.json', '{']), /manifest.json/],
      'no list': [archive(['manifest.json', '{}']), /manifest.json|list/],
      'a manifest.json of 5 MiB': [archive(['manifest.json', entry().padEnd(5 << 20)]), /more than/],
      'manifest.json twice': [
        tarOf([
          ['manifest.json', entry()],
          ['manifest.json', entry()],
          ['c', amd64.config],
          ['a', one],
          ['b', two],
        ]),
        /twice/,
      ],
      'an end in the middle of a file': [archive().subarray(0, 1100), /ends after|truncated/],
      'the form before 1.10': [tarOf([['repositories', '{}']]), /Docker before 1.10/],
      'neither form': [tarOf([['x', 'y']]), /unrecognized image format/],
      'an archive that is compressed': [gzipSync(archive()), /compressed/],
    };
    for (const [what, [bytes, why]] of Object.entries(rows)) {
      const path = file(bytes);
      await assert.rejects(fetch(`docker-archive:${path}`, { store, ...AMD64 }), (err) => {
        assert.match(messageOf(err), why, what);
        assert.ok(messageOf(err).includes(path), `${what}: ${messageOf(err)}`);
        return true;
      });
      assert.deepEqual(await store.images.list(), [], what);
    }
    assert.equal(
      (await fetch(`docker-archive:${file(archive())}`, { store, ...AMD64 })).target.digest,
      EXPANDED,
    );
  }));

test('docker-archive: a compressed layer that is not that of its diff ID is not unpacked', () =>
  withWorld(async ({ store, file }) => {
    const bytes = craneArchive([NAME]);
    const [one = BASE, two = BASE] = amd64.layers;
    const names = [one, two].map((layer) => `${hexOf(layer)}.tar.gz`);
    const swapped = tarOf([
      ['c', amd64.config],
      [names[0] ?? '', two],
      [names[1] ?? '', one],
      ['manifest.json', JSON.stringify([{ Config: 'c', RepoTags: [NAME], Layers: names }])],
    ]);
    const options = { store, snapshotter: 'native', ...AMD64 };
    await assert.rejects(
      pull(`docker-archive:${file(swapped)}`, options),
      (err) => kindOf(err) === 'DataLoss',
    );
    assert.deepEqual(await store.images.list(), []);
    assert.equal((await pull(`docker-archive:${file(bytes)}`, options)).name, NAME);
  }));

test('dir: an image of several platforms, or one of them, is fetched under its digest', () =>
  withWorld(async ({ store, skopeoDir }) => {
    const path = skopeoDir();
    const all = await fetch(`dir:${path}`, { store, platforms: 'all' });
    assert.deepEqual([all.name, all.target], ['localhost/dir-0:latest', ROOT]);
    for (const bytes of blobs()) assert.equal((await store.content.info(digestOf(bytes))).size, bytes.length);
    const one = await fetch(`dir:${path}@${AMD64_DIGEST}`, { store, ...AMD64 });
    assert.deepEqual([one.name, one.target.digest], [`localhost/dir-0@${AMD64_DIGEST}`, AMD64_DIGEST]);
    assert.equal(
      (await fetch(`dir:${path}@${INDEX_DIGEST}`, { store, ...AMD64 })).target.digest,
      INDEX_DIGEST,
    );
    // The whole rest is the path, as in skopeo; and the version may be absent.
    renameSync(path, `${path}:1`);
    rmSync(`${path}:1/version`);
    assert.deepEqual((await fetch(`dir:${path}:1`, { store, ...AMD64 })).target, ROOT);
  }));

test('HA1, HA8, HA9: a hostile directory records nothing, leads nowhere, and is named', () =>
  withWorld(async ({ store, dir, file, skopeoDir }) => {
    const base = hexOf(BASE);
    const secret = file(BASE);
    const noManifest: Readonly<Record<string, (path: string) => void>> = {
      'a manifest.json of docker save': (path) => writeFileSync(join(path, 'manifest.json'), '[]'),
      'no JSON': (path) => writeFileSync(join(path, 'manifest.json'), '{'),
      'a document of another type': (path) =>
        writeFileSync(join(path, 'manifest.json'), '{"mediaType":"application/x"}'),
      'a config for a manifest': (path) => writeFileSync(join(path, 'manifest.json'), amd64.config),
    };
    const damage: Readonly<Record<string, (path: string) => void>> = {
      ...noManifest,
      'an absent manifest of the index': (path) =>
        rmSync(join(path, `${AMD64_DIGEST.slice(7)}.manifest.json`)),
      'a manifest of the index that is another': (path) =>
        writeFileSync(join(path, `${AMD64_DIGEST.slice(7)}.manifest.json`), documents[2]?.[1] ?? ''),
      'a flipped byte': (path) =>
        writeFileSync(
          join(path, base),
          BASE.map((byte, at) => (at === 5 ? byte ^ 1 : byte)),
        ),
      'a shorter blob': (path) => writeFileSync(join(path, base), BASE.subarray(1)),
      'an absent blob': (path) => rmSync(join(path, base)),
      'a blob that is a symlink to its own bytes': (path) => {
        rmSync(join(path, base));
        symlinkSync(secret, join(path, base));
      },
      'a blob that is a pipe': (path) => {
        rmSync(join(path, base));
        execFileSync('mkfifo', [join(path, base)]);
      },
      'a blob that is a directory': (path) => {
        rmSync(join(path, base));
        mkdirSync(join(path, base));
      },
      'no manifest.json': (path) => rmSync(join(path, 'manifest.json')),
      'a manifest.json that is a symlink': (path) => {
        renameSync(join(path, 'manifest.json'), join(path, 'm'));
        symlinkSync('m', join(path, 'manifest.json'));
      },
      'a manifest.json of 9 MiB': (path) => writeFileSync(join(path, 'manifest.json'), '{}'.padEnd(9 << 20)),
      'another version': (path) => writeFileSync(join(path, 'version'), 'Directory Transport Version: 2.0\n'),
      'a version of 1 MiB': (path) => writeFileSync(join(path, 'version'), ' '.repeat(1 << 20)),
    };
    for (const [what, spoil] of Object.entries(damage)) {
      const path = skopeoDir();
      spoil(path);
      // A store of its own: what has come before a failure stays there.
      await withStore(`${path}-root`, async (own) => {
        const fetching = fetch(`dir:${path}`, { store: own, platforms: 'all', retry: { tries: 0 } });
        const named = (err: unknown): boolean =>
          messageOf(err).includes(path) &&
          (!(what in noManifest) || /its manifest.json is no manifest of an image/.test(messageOf(err)));
        await assert.rejects(fetching, named, what);
        assert.deepEqual(await own.images.list(), [], what);
        for (const { digest } of await own.content.list())
          assert.ok(blobs().some((one) => digestOf(one) === digest));
      });
    }
    for (const path of [join(dir, 'absent'), file(skopeoArchive([NAME]))])
      await assert.rejects(fetch(`dir:${path}`, { store }), (err) => messageOf(err).includes(path));
  }));

test('an image of an archive passes the gate under its name, and nobody has signed it', () =>
  withWorld(async ({ store, dir, file, skopeoDir }) => {
    const policy = join(dir, 'policy.json');
    const accept = [{ type: 'insecureAcceptAnything' }];
    const write = (scopes: object) =>
      writeFileSync(
        policy,
        JSON.stringify({ default: [{ type: 'reject' }], transports: { docker: scopes } }),
      );
    const sources = [
      [`docker-archive:${file(skopeoArchive([NAME]))}`, 'registry.example/t'],
      [`dir:${skopeoDir()}`, 'localhost'],
    ] as const;
    for (const [source, scope] of sources) {
      const options = { store, ...AMD64, verify: { policy } };
      write({ 'registry.example/other': accept });
      await assert.rejects(fetch(source, options), (err) => kindOf(err) === 'PermissionDenied');
      write({ [scope]: accept });
      await fetch(source, options);
      await assert.rejects(fetch(source, { ...options, requireSigned: true }), (err) =>
        /nobody vouches/.test(messageOf(err)),
      );
    }
  }));

test(
  'what skopeo copies to docker-archive: and dir: is fetched, read and unpacked',
  {
    skip: needs({ tools: ['skopeo'] }),
  },
  () =>
    withWorld(async ({ store, dir }) => {
      const layout = join(dir, 'layout.tar');
      const index = indexOf([{ 'org.opencontainers.image.ref.name': '1' }]);
      writeFileSync(
        layout,
        tarOf([['oci-layout', LAYOUT], ['index.json', index], ...blobs().map(blobEntry)]),
      );
      const copy = (to: string, ...flags: readonly string[]) =>
        execOk('skopeo', ['--insecure-policy', 'copy', '-q', ...flags, `oci-archive:${layout}:1`, to]);
      const platform = ['--override-arch', 'amd64', '--override-os', 'linux'];
      const [all, one, saved] = ['all', 'one', 'd.tar'].map((name) => join(dir, name));
      await copy(`dir:${all}`, '--all');
      await copy(`dir:${one}`, ...platform);
      await copy(`docker-archive:${saved}:${NAME}`, ...platform);
      const rows = [
        [`dir:${all}`, 'localhost/all:latest', INDEX_DIGEST],
        [`dir:${one}`, 'localhost/one:latest', AMD64_DIGEST],
        [`docker-archive:${saved}`, NAME, EXPANDED],
        [`docker-archive:${saved}:${NAME}`, NAME, EXPANDED],
      ] as const;
      const lists: string[][] = [];
      for (const [at, [source, expected, digest]] of rows.entries()) {
        const { name, target } = await fetch(source, { store, ...AMD64 });
        assert.deepEqual([name, target.digest], [expected, digest], source);
        const paths: string[] = [];
        for await (const { path } of files(source, { platform: 'linux/amd64' })) paths.push(path);
        lists.push(paths);
        const rootfs = join(dir, `rootfs-${at}`);
        await unpackRootfs(name, rootfs, { store, platform: 'linux/amd64' });
        assert.ok(
          paths.every((path) => existsSync(join(rootfs, path))),
          source,
        );
      }
      assert.ok((lists[0]?.length ?? 0) > 0);
      for (const list of lists) assert.deepEqual(list, lists[0]);
      assert.equal(hexOf(readFileSync(join(one ?? '', 'manifest.json'))), AMD64_DIGEST.slice(7));
    }),
);
