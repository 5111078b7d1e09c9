/**
 * Archives there and back: the tree that another tool, or hawser of what another tool wrote, unpacks is that of the original, in every
 * attribute. Digests: carry.test.ts, carry-peers.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startRegistry } from '../registry/registry.ts';
import {
  departures,
  importedTree,
  openTreeWorld,
  TREE_NAME,
  type TreeWorld,
  treeMounted,
  umociTree,
} from '../support/carry-trees.ts';
import { type Installation, installations, startContainerd } from '../support/containerd.ts';
import { exec, execOk } from '../support/exec.ts';
import { findTool, needs, requirePeer } from '../support/needs.ts';
import { readTree, type Tree } from '../support/tree.ts';

/** A file or directory that a peer made of hawser's export, and what an import needs to know of it. */
interface Written {
  readonly name: string;
  readonly flags?: readonly string[];
  /** Of a layout: what umoci calls the image. */
  readonly umoci?: string;
}

interface Passage {
  readonly written: readonly Written[];
  /** What the peer itself unpacks. */
  readonly tree?: Tree;
}

interface Row {
  readonly peer: string;
  readonly skip: string | false;
  /** The peer takes hawser's export, unpacks it where it can, and writes it in every form it has. */
  pass(world: TreeWorld): Promise<Passage>;
}

/** For what comes with a tag only. */
const BASE = ['--base-name', 'registry.example/t/tree'];
const NAMED = ['--name', TREE_NAME];
const isRoot = needs({ root: true }) === false;

const rows: readonly Row[] = [
  ...installations.map((which) => ({
    peer: which.name,
    skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
    pass: (world: TreeWorld) => throughContainerd(world, which),
  })),
  { peer: 'podman', skip: needs({ root: true, tools: ['podman'] }), pass: throughPodman },
  { peer: 'skopeo', skip: needs({ root: true, tools: ['skopeo', 'umoci'] }), pass: throughSkopeo },
  { peer: 'umoci', skip: needs({ root: true, tools: ['umoci'] }), pass: throughUmoci },
  { peer: 'oras', skip: peerMade('oras'), pass: throughOras },
  { peer: 'regctl', skip: peerMade('regctl'), pass: throughRegctl },
  { peer: 'crane', skip: peerMade('crane'), pass: throughCrane },
];

let world: TreeWorld;
before(async () => {
  if (isRoot) world = await openTreeWorld();
});
after(async () => {
  if (isRoot) await world[Symbol.asyncDispose]();
});

for (const { peer, skip, pass } of rows)
  test(`${peer}: of an export, and of what it writes in turn, the tree is that of the original`, {
    skip,
  }, async () => {
    const { written, tree } = await pass(world);
    if (tree !== undefined) assert.deepEqual(departures(world, tree), [], peer);
    for (const { name, flags, umoci } of written) {
      assert.deepEqual(departures(world, await importedTree(world, name, flags)), [], name);
      if (umoci === undefined) continue;
      assert.deepEqual(departures(world, await umociTree(world, umoci, `bundle-${name}`)), [], umoci);
    }
  });

/** What scripts/ci-peers.sh makes. */
function peerMade(name: string): string | false {
  if (findTool(name) !== undefined) return needs({ root: true, tools: ['umoci'] });
  requirePeer(name);
  return `needs ${name}`;
}

async function throughContainerd({ path, exported }: TreeWorld, which: Installation): Promise<Passage> {
  await using daemon = await startContainerd(undefined, '', which);
  await daemon.ctr('images', 'import', exported);
  const name = `${which.name.replace(' ', '-')}.tar`;
  const tree = await treeMounted((...args) => daemon.ctr('images', ...args), path(`from-${name}`));
  await daemon.ctr('images', 'export', path(name), TREE_NAME);
  return { tree, written: [{ name }] };
}

async function throughPodman({ path, exported }: TreeWorld): Promise<Passage> {
  const own = ['--root', path('pr'), '--runroot', path('pn'), '--storage-driver', 'vfs'];
  const podman = (...args: readonly string[]) => execOk('podman', [...own, ...args]);
  try {
    await podman('load', '-q', '-i', exported);
    const { stdout } = await podman('image', 'mount', TREE_NAME);
    const tree = await readTree(stdout.trim());
    const forms = ['oci-archive', 'docker-archive'];
    for (const format of forms) await podman('save', '-q', '--format', format, '-o', path(format), TREE_NAME);
    return { tree, written: forms.map((name) => ({ name })) };
  } finally {
    await exec('podman', [...own, 'system', 'reset', '-f']);
  }
}

async function throughSkopeo({ path, exported }: TreeWorld): Promise<Passage> {
  const to = {
    's.tar': `oci-archive:${path('s.tar')}:${TREE_NAME}`,
    s: `oci:${path('s')}:1`,
    'd.tar': `docker-archive:${path('d.tar')}:${TREE_NAME}`,
  };
  for (const place of Object.values(to))
    await execOk('skopeo', ['copy', '-q', `oci-archive:${exported}:1`, place]);
  return { written: [{ name: 's.tar' }, { name: 's', flags: BASE, umoci: 's:1' }, { name: 'd.tar' }] };
}

/** umoci's own layer has the tree that umoci has unpacked. */
async function throughUmoci(world: TreeWorld): Promise<Passage> {
  const { path, full } = world;
  await full.ok('export', `${path('layout')}/`, TREE_NAME);
  const tree = await umociTree(world, 'layout:1', 'unpacked');
  const image = ['--image', `${path('u')}:1`];
  await execOk('umoci', ['init', '--layout', path('u')]);
  await execOk('umoci', ['new', ...image]);
  await execOk('umoci', ['unpack', ...image, path('repacked')]);
  await execOk('cp', ['-a', `${path('unpacked/rootfs')}/.`, path('repacked/rootfs')]);
  await execOk('umoci', ['repack', ...image, path('repacked')]);
  return { tree, written: [{ name: 'u', flags: BASE }] };
}

async function throughOras({ path, exported }: TreeWorld): Promise<Passage> {
  const to = ['--to-oci-layout', `${path('o')}:1`];
  await execOk('oras', ['copy', '--from-oci-layout', `${exported}:1`, ...to]);
  return { written: [{ name: 'o', flags: BASE, umoci: 'o:1' }] };
}

async function throughRegctl({ path, exported }: TreeWorld): Promise<Passage> {
  const layout = `ocidir://${path('r')}:1`;
  await execOk('regctl', ['image', 'import', layout, exported]);
  await execOk('regctl', ['image', 'export', layout, path('r.tar')]);
  return {
    written: [
      { name: 'r', flags: BASE, umoci: 'r:1' },
      { name: 'r.tar', flags: NAMED },
    ],
  };
}

async function throughCrane({ path, exported }: TreeWorld): Promise<Passage> {
  await using registry = await startRegistry({ uploads: {} });
  const ref = `${registry.host}/t/tree:1`;
  await execOk('crane', ['push', '--insecure', exported, ref]);
  for (const format of ['oci', 'tarball'])
    await execOk('crane', ['pull', '--insecure', '--format', format, ref, path(format)]);
  return { written: ['oci', 'tarball'].map((name) => ({ name, flags: NAMED })) };
}
