/** Snapshotters of a containerd that are not overlayfs: erofs of containerd 2, which mounts by its mount manager, and those that fetch. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Connection } from '../../src/backends/containerd/connection.ts';
import type { SnapshotInfo } from '../../src/core/snapshots/snapshotter.ts';
import { openContainerd, pull } from '../../src/mod.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { smallImage } from '../support/small-image.ts';
import { type Allowed, diffTrees, readTree, type Tree } from '../support/tree.ts';

const TOOLS = ['docker-registry', 'skopeo', 'containerd', 'ctr'];
/** Directories that a layer does not list get the time of the unpacking. */
const NEWER: readonly Allowed[] = ['.', 'layer0', 'layer1'].map((path) => ({
  path,
  attributes: ['mtime'],
  reason: 'containerd applies the layers, and its walking differ lists no times',
}));

for (const installation of installations) {
  const title = `other snapshotters of ${installation.name}`;
  const isSecond = installation !== installations[0];
  describe(title, { skip: needs({ root: true, tools: TOOLS }) }, () => within(installation, isSecond));
}

interface Documents {
  readonly manifest: string;
  readonly layers: readonly string[];
  readonly diffIds: readonly string[];
}

function documentsOf(layout: string): Documents {
  const read = (digest: string) =>
    JSON.parse(readFileSync(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
  const [{ digest: manifest }] = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests;
  const { config, layers } = read(manifest);
  const digests = layers.map(({ digest }: { digest: string }) => digest);
  return { manifest, layers: digests, diffIds: read(config.digest).rootfs.diff_ids };
}

function within(installation: Installation, isSecond: boolean): void {
  let registry: RealRegistry;
  let temp: Scratch;
  let image: string;
  let documents: Documents;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    const layout = await smallImage(temp.path, { layers: 3, bytes: 3000, files: 4 });
    await registry.push(`${layout}:small`, 'small:1');
    documents = documentsOf(layout);
    image = `${registry.host}/small:1`;
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  const run = (daemon: Containerd, ...args: string[]): Promise<ExecResult> => {
    const [file, ...first] = quickest.command;
    return exec(file, [...first, '--address', daemon.socket, ...args]);
  };
  const ok = async (daemon: Containerd, ...args: string[]): Promise<ExecResult> => {
    const result = await run(daemon, ...args);
    assert.equal(result.code, 0, explain(result));
    return result;
  };
  const treeBy = async (daemon: Containerd, snapshotter: string): Promise<Tree> => {
    const target = join(temp.path, `mount-${snapshotter}`);
    mkdirSync(target);
    await daemon.ctr('images', 'mount', '--snapshotter', snapshotter, image, target);
    try {
      return await readTree(target);
    } finally {
      await execOk('umount', [target]);
    }
  };
  const noErofs = !isSecond
    ? 'containerd 1.6 has no erofs snapshotter'
    : needs({ root: true, tools: ['mkfs.erofs'] });

  test('C4: erofs: a pull makes the tree; a mount that takes the mount manager is refused, with the way', {
    skip: noErofs,
  }, async (t) => {
    await using daemon = await startContainerd(undefined, '', installation);
    if (!(await hasErofs(daemon)))
      return t.skip('the kernel, or mkfs.erofs, is none that containerd can use');
    await ok(daemon, '-n', 'default', 'pull', image);
    await ok(daemon, '-n', 'default', 'unpack', '--snapshotter', 'erofs', image);
    const [ours, theirs] = [await treeBy(daemon, 'erofs'), await treeBy(daemon, 'overlayfs')];
    assert.deepEqual(diffTrees(ours, theirs, NEWER), []);
    const target = join(temp.path, 'refused');
    mkdirSync(target);
    const refused = await run(daemon, 'images', 'mount', '--snapshotter', 'erofs', image, target);
    assert.equal(refused.code, 1, explain(refused));
    assert.match(
      refused.stderr,
      /a loop device or containerd's mount manager\nhint: Mount with "ctr images mount/,
    );
  });

  test('C4: erofs: a layer out of containerd’s own cache is no layer that was verified: refused', {
    skip: noErofs,
  }, async (t) => {
    const cache = join(temp.path, 'cache');
    const [, diffId = ''] = documents.diffIds;
    const hex = diffId.slice('sha256:'.length);
    const cached = join(cache, 'sha256', hex.slice(0, 2), `${hex}.erofs`);
    const content = join(temp.path, 'other');
    for (const dir of [dirname(cached), content]) mkdirSync(dir, { recursive: true });
    writeFileSync(join(content, 'unknown'), '');
    await execOk('mkfs.erofs', [cached, content]);
    const more = `[plugins."io.containerd.snapshotter.v1.erofs"]\n  layer_content_caches = [${JSON.stringify(cache)}]\n`;
    await using daemon = await startContainerd(undefined, more, installation);
    if (!(await hasErofs(daemon)))
      return t.skip('the kernel, or mkfs.erofs, is none that containerd can use');
    const refused = await run(daemon, 'pull', '--snapshotter', 'erofs', image);
    assert.equal(refused.code, 1, explain(refused));
    assert.match(
      refused.stderr,
      /"erofs" takes the layer from its own cache, and not from the blob .*\nhint: Unpack with ctr/,
    );
    const { stdout } = await daemon.ctr('snapshots', '--snapshotter', 'erofs', 'ls');
    assert.doesNotMatch(stdout, /extract-/);
    assert.match(stdout.trim(), /^KEY.*\n.*Committed$/);
  });

  test('C1: a snapshotter that may fetch by itself is told of the image, as CRI and ctr tell it; others are not', async () => {
    await using daemon = await startContainerd(undefined, '', installation);
    for (const [exported, told] of [
      [{ enable_remote_snapshot_annotations: 'true' }, true],
      [{ address: '/run/other.sock' }, true],
      [{}, false],
    ] as const) {
      const namespace = `n${Object.keys(exported).join()}`;
      await exporting(exported, async () => {
        const store = await openContainerd({ address: daemon.socket, namespace });
        try {
          await pull(image, { store, snapshotter: 'native' });
          const found = await store.snapshotter('native').list();
          for (const [at, layer] of documents.layers.entries()) {
            const { labels = {} } = found.find(({ name }) => depthOf(found, name) === at) ?? {};
            const shown = Object.entries(labels).filter(([key]) =>
              key.startsWith('containerd.io/snapshot/cri.'),
            );
            const expected = {
              'containerd.io/snapshot/cri.image-ref': image,
              'containerd.io/snapshot/cri.layer-digest': layer,
              'containerd.io/snapshot/cri.manifest-digest': documents.manifest,
              'containerd.io/snapshot/cri.image-layers': documents.layers.slice(at).join(','),
            };
            assert.deepEqual(Object.fromEntries(shown), told ? expected : {});
          }
        } finally {
          await store[Symbol.asyncDispose]();
        }
      });
    }
  });
}

/** How many snapshots are below one. */
function depthOf(all: readonly SnapshotInfo[], name: string): number {
  const parent = all.find((one) => one.name === name)?.parent ?? '';
  return parent === '' ? 0 : depthOf(all, parent) + 1;
}

/** Has each Introspection say that every plugin exports this, too. */
async function exporting(more: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> {
  const { call } = Connection.prototype;
  Connection.prototype.call = async function (name, ...rest) {
    const answer = await call.call(this, name, ...rest);
    if (!('plugins' in answer)) return answer as never;
    const plugins = answer.plugins.map((one) => ({ ...one, exports: { ...one.exports, ...more } }));
    return { plugins } as never;
  };
  try {
    await work();
  } finally {
    Connection.prototype.call = call;
  }
}

async function hasErofs(daemon: Containerd): Promise<boolean> {
  const { stdout } = await daemon.ctr('plugins', 'ls', 'id==erofs,type==io.containerd.snapshotter.v1');
  return / ok\s*$/m.test(stdout);
}
