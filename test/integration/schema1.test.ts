/** Docker schema 1 images converted by ctr 1.6 and by hawser, from the same registry: the same digests. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { buildTar } from '../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type Containerd, startContainerd } from '../support/containerd.ts';
import { anyFlavour, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';

type Entry = Readonly<Record<string, unknown>>;

/** Newest first: a layer and its `v1Compatibility`. */
type History = readonly (readonly [Uint8Array, Entry])[];

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value, undefined, 3));
const tar = (name: string): Promise<Uint8Array> => buildTar([{ name, data: name.repeat(300) }]);
const gzip = async (name: string): Promise<Uint8Array> => new Uint8Array(gzipSync(await tar(name)));
const EMPTY = new Uint8Array(gzipSync(new Uint8Array(1024)));
const created = '2015-10-31T22:22:55.120Z';
const ran = (...Cmd: string[]) => ({ container_config: { Cmd } });
const top = { created, architecture: 'amd64', os: 'linux' };

const IMAGES: Readonly<Record<string, () => Promise<History>>> = {
  'what is said of a layer': async () => [
    [
      await gzip('c'),
      { ...top, ...ran('/bin/sh', '-c', 'c'), author: 'me <a@b>', comment: 'a & b', throwaway: false },
    ],
    [EMPTY, { created, throwaway: true }],
    [await gzip('a'), { created, ...ran('ADD a'), Size: 3, id: 'a' }],
  ],
  'emptiness that only the bytes tell': async () => [
    [EMPTY, { ...top, ...ran('ENV') }],
    [await gzip('a'), { created }],
  ],
  'a layer twice, and one that is not compressed': async () => [
    [await gzip('a'), { ...top }],
    [await tar('b'), { created }],
    [await gzip('a'), { created }],
  ],
  'nothing but layers': async () => [
    [await gzip('b'), {}],
    [await gzip('a'), { created: null, container_config: { Cmd: null } }],
  ],
  'a config with everything': async () => [
    [
      await gzip('a'),
      {
        ...top,
        created: '2016-02-29T01:02:03.000000009+02:00',
        variant: 'v1',
        docker_version: '1.9',
        config: {
          Hostname: 'h',
          User: 'u:g',
          Env: ['A=1', 'B=<2>\u2028'],
          Cmd: null,
          Entrypoint: ['/e', '-x'],
          ExposedPorts: { '80/tcp': {}, '22/tcp': {} },
          Volumes: { '/z': {}, '/y': {} },
          WorkingDir: '/w',
          Labels: { z: '1', a: '2' },
          StopSignal: '9',
          OnBuild: [],
        },
      },
    ],
  ],
};

function push(registry: TestRegistry, repo: string, history: History, signed: boolean): string {
  for (const [layer] of history) registry.putBlob(repo, sha256(layer), layer);
  const payload = encode({
    schemaVersion: 1,
    name: repo,
    tag: 'v1',
    architecture: 'amd64',
    fsLayers: history.map(([layer]) => ({ blobSum: sha256(layer) })),
    history: history.map(([, entry]) => ({ v1Compatibility: JSON.stringify(entry) })),
  });
  const url = (text: string) => btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  const formatLength = payload.length - 2;
  const header = url(JSON.stringify({ formatLength, formatTail: url('\n}'), time: created }));
  const signatures = [{ header: { alg: 'ES256' }, signature: 'eHh4', protected: header }];
  const text = new TextDecoder().decode(payload.subarray(0, formatLength));
  const served = `${text},\n   "signatures": ${JSON.stringify(signatures)}\n}`;
  const type = `application/vnd.docker.distribution.manifest.v1+${signed ? 'prettyjws' : 'json'}`;
  registry.putManifest(repo, 'v1', type, new TextEncoder().encode(served), sha256(payload));
  return `${registry.host}/${repo}:v1`;
}

describe('schema 1 by ctr and by hawser', {
  skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
}, () => {
  let registry: TestRegistry;
  let containerd: Containerd;
  before(async () => {
    registry = await startRegistry();
    containerd = await startContainerd();
  });
  after(async () => {
    await containerd.close();
    await registry.close();
  });

  for (const [title, make] of Object.entries(IMAGES)) {
    test(title, { skip: anyFlavour.skip }, async () => {
      const ref = push(registry, `t/${sha256(encode(title)).slice(7, 15)}`, await make(), true);
      await using store = scratch();
      const ours = hawser(anyFlavour, store.path);
      await containerd.ctr('content', 'fetch', '--plain-http', ref);
      await ours.ok('content', 'fetch', ref);
      const target = (text: string) =>
        text
          .split('\n')
          .find((line) => line.startsWith(ref))
          ?.split(/\s+/)
          .slice(1, 3);
      const theirs = target((await containerd.ctr('images', 'ls')).stdout);
      assert.match(theirs?.[1] ?? '', /^sha256:/);
      const own = target((await ours.ok('images', 'ls')).stdout);
      if (own?.[1] !== theirs?.[1])
        assert.equal(await explain(ours, own?.[1]), await explain({ ok: containerd.ctr }, theirs?.[1]));
      assert.deepEqual(own, theirs);
      const labels = ({ stdout }: { stdout: string }) =>
        stdout
          .split('\n')
          .find((line) => line.startsWith(theirs?.[1] ?? ''))
          ?.split('\t')
          .at(-1)
          ?.split(',')
          .sort();
      const held = labels(await ours.ok('content', 'ls'));
      assert.match(held?.[0] ?? '', /gc\.ref\.content\.0=/);
      assert.deepEqual(held, labels(await containerd.ctr('content', 'ls')));
    });
  }
});

/** A manifest and its config as text: what differs is told. */
async function explain(
  client: { ok(...args: string[]): Promise<{ stdout: string }> },
  digest: string | undefined,
): Promise<string> {
  const { stdout } = await client.ok('content', 'get', digest ?? '');
  const config = await client.ok('content', 'get', JSON.parse(stdout).config.digest);
  return `${stdout}\n${config.stdout}`;
}
