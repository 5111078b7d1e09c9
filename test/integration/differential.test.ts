/**
 * The same image pulled by `ctr` into containerd and by hawser into its own store, from the same registry: every blob, label,
 * image record, chain ID and parent equal, and the mounted trees equal in every attribute.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startContainerd } from '../support/containerd.ts';
import { FIXTURE_TOOLS, realImage } from '../support/fixtures.ts';
import { eachRuntime, type Flavour, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { type Client, readState, type StoreState } from '../support/store-state.ts';
import { type Allowed, diffTrees, readTree, type Tree } from '../support/tree.ts';

const TOOLS = ['docker-registry', 'skopeo', 'containerd', 'ctr', 'getfattr', ...FIXTURE_TOOLS];
const SNAPSHOTTERS = ['overlayfs', 'native'] as const;

/** Where containerd departs from the image specification, and we do not. Nothing else may differ. */
const CONTAINERD_DEFECTS: readonly Allowed[] = [
  {
    path: '.',
    attributes: ['mode', 'uid', 'gid', 'mtime', 'xattrs'],
    reason: "containerd skips the layers' entries for the root directory: it is 0755 root, made now",
  },
];

interface Observed {
  readonly state: StoreState;
  readonly tree: Tree;
}

describe('a real image by ctr and by hawser', { skip: needs({ root: true, tools: TOOLS }) }, () => {
  let registry: RealRegistry;
  let temp: Scratch;
  const baselines = new Map<string, Promise<Observed>>();

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    const layout = await realImage();
    for (const name of ['gzip', 'zstd', 'index']) await registry.push(`${layout}:${name}`, `real:${name}`);
    await registry.pushAsDocker(`${layout}:gzip`, 'real:docker');
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  const observe = async (client: Client, variant: string, snapshotter: string): Promise<Observed> => {
    const image = `${registry.host}/real:${variant}`;
    await client('images', 'pull', '--snapshotter', snapshotter, image);
    const state = await readState(client, snapshotter);
    const target = join(temp.path, 'mount');
    mkdirSync(target, { recursive: true });
    await client('images', 'mount', '--snapshotter', snapshotter, image, target);
    try {
      return { state, tree: await readTree(target) };
    } finally {
      await client('images', 'unmount', '--rm', target);
    }
  };
  const byContainerd = (variant: string, snapshotter: string): Promise<Observed> => {
    const key = `${variant} ${snapshotter}`;
    const known = baselines.get(key);
    if (known !== undefined) return known;
    const made = (async () => {
      await using containerd = await startContainerd();
      return await observe(containerd.ctr, variant, snapshotter);
    })();
    baselines.set(key, made);
    return made;
  };
  const compare = async (which: Flavour, variant: string, snapshotter: string) => {
    const theirs = await byContainerd(variant, snapshotter);
    await using store = scratch();
    const ours = await observe(hawser(which, store.path).ok, variant, snapshotter);
    assert.deepEqual(ours.state, theirs.state);
    assert.ok(theirs.tree.size > 8000, `the image is whole: ${theirs.tree.size} entries`);
    assert.deepEqual(diffTrees(ours.tree, theirs.tree, CONTAINERD_DEFECTS), []);
  };

  for (const which of eachRuntime) {
    for (const [n, snapshotter] of SNAPSHOTTERS.entries()) {
      for (const [m, variant] of ['gzip', 'zstd'].entries()) {
        // Of the other runtimes each snapshotter and each variant once.
        if (which !== eachRuntime[0] && n !== m) continue;
        test(`${which.name}, ${variant}, ${snapshotter}`, { skip: which.skip }, () =>
          compare(which, variant, snapshotter),
        );
      }
    }
  }
  const [one] = eachRuntime;
  for (const variant of ['index', 'docker']) {
    if (one === undefined) continue;
    test(`${one.name}, ${variant}, overlayfs`, { skip: one.skip }, () => compare(one, variant, 'overlayfs'));
  }
});
