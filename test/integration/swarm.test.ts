/** What hawser puts into a containerd is what Spegel announces of the node: another node pulls it from there, with the registry gone. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AnyStore, openContainerd } from '../../src/mod.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { type Containerd, installations, startContainerd } from '../support/containerd.ts';
import { execOk } from '../support/exec.ts';
import { hawser, quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { collectStream } from '../support/stores.ts';
import { type Announced, startSpegel } from '../support/swarm.ts';

const SOURCE = 'containerd.io/distribution.source.';

/** By Spegel's rules: names of images; content whose labels say which registry it is from (without its port, as containerd writes that). */
async function announcedBy(store: AnyStore, registry: string): Promise<Announced> {
  const images = await store.images.list();
  const label = `${SOURCE}${registry.replace(/:\d+$/, '')}`;
  const from = (await store.content.list()).filter(({ labels }) => labels[label] !== undefined);
  const digests = new Set<string>(from.map(({ digest }) => digest));
  const types = new Map(images.map(({ target }) => [target.digest as string, target.mediaType]));
  return {
    tags: new Map(images.map(({ name, target }) => [name, target.digest])),
    content: async (digest) => {
      const info = digests.has(digest) ? await store.content.info(digest as never) : undefined;
      if (info === undefined) return undefined;
      const bytes = await collectStream(await store.content.open(info.digest));
      return { mediaType: types.get(digest) ?? 'application/vnd.oci.image.manifest.v1+json', bytes };
    },
  };
}

/** Ways by which an image comes into the node. */
const WAYS: readonly (readonly [string, (node: Containerd, ref: string, temp: Scratch) => Promise<void>])[] =
  [
    ['pull', (node, ref) => inside(node, 'pull', '--progress', 'none', ref)],
    [
      'bootstrap from a bundle',
      async (node, ref, temp) => {
        const store = hawser(quickest, join(temp.path, 'store'));
        await store.ok('content', 'fetch', '--progress', 'none', ref);
        await store.ok('export', '--for', 'containerd', join(temp.path, 'bundle.tar'), ref);
        await inside(node, 'bootstrap', join(temp.path, 'bundle.tar'));
      },
    ],
  ];

async function inside(node: Containerd, ...args: readonly string[]): Promise<void> {
  const [file, ...before] = quickest.command;
  await execOk(file, [...before, '--address', node.socket, '-n', 'k8s.io', ...args]);
}

for (const installation of installations)
  for (const [way, bring] of WAYS)
    test(`${way} into ${installation.name}: Spegel has all of the image for hawser and ctr on other nodes`, {
      skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
    }, async () => {
      const temp = scratch('hawser-swarm-');
      const registry = await startRegistry();
      const image = await buildImage({
        layers: [
          { entries: [{ name: 'a', data: 'x'.repeat(50_000) }] },
          { entries: [{ name: 'b', data: 'y' }] },
        ],
      });
      const ref = registry.push('a/b', '1', image);
      const node = await startContainerd(undefined, '', installation);
      const store = await openContainerd({ address: node.socket, namespace: 'k8s.io' });
      try {
        await bring(node, ref, temp);
        await registry.close();
        const spegel = await startSpegel(await announcedBy(store, registry.host));
        const dir = join(temp.path, 'certs.d', registry.host);
        mkdirSync(dir, { recursive: true });
        writeFileSync(
          join(dir, 'hosts.toml'),
          `server = 'http://${registry.host}'\n[host.'http://${spegel.host}']\ncapabilities = ['pull', 'resolve']\ndial_timeout = '200ms'\n`,
        );
        const certs = join(temp.path, 'certs.d');
        const other = await startContainerd(undefined, '', installation);
        try {
          await hawser(quickest, join(temp.path, 'other')).ok('content', 'fetch', '--hosts-dir', certs, ref);
          await other.ctr('images', 'pull', '--hosts-dir', certs, ref);
          assert.match((await other.ctr('images', 'ls')).stdout, new RegExp(image.root.digest));
          assert.ok(spegel.requests.every(({ status }) => status < 300));
        } finally {
          await other.close();
          await spegel[Symbol.asyncDispose]();
        }
      } finally {
        await store[Symbol.asyncDispose]();
        await node.close();
        await registry.close();
        await temp[Symbol.asyncDispose]();
      }
    });
