/**
 * Layers side by side inside a running containerd (row C5): what comes out is what the reference model says, as when each layer is
 * applied over its parent; and so it is where the daemon only seems to be able to rebase.
 */
import assert from 'node:assert/strict';
import { mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { Connection } from '../../src/backends/containerd/connection.ts';
import { openContainerdBackend } from '../../src/backends/containerd/open.ts';
import { reached } from '../../src/core/async/milestone.ts';
import type { Backend } from '../../src/core/backend.ts';
import { ifFound, messageOf } from '../../src/core/errors.ts';
import { planUnpack } from '../../src/core/layers/layer-steps.ts';
import { unpackLayers } from '../../src/core/layers/unpacker.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { openContainerd } from '../../src/mod.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { type ExecOptions, type ExecResult, exec, describe as explain } from '../support/exec.ts';
import { quickest } from '../support/hawser.ts';
import { intercept } from '../support/intercept.ts';
import { layer } from '../support/layer-builder.ts';
import { needs } from '../support/needs.ts';
import { startDockerRegistry } from '../support/real-registry.ts';
import { scratch } from '../support/scratch.ts';
import { chosenSeed } from '../support/seed.ts';
import { smallImage } from '../support/small-image.ts';
import { type Client, readState, type StoreState } from '../support/store-state.ts';
import { addBlob, bytesOf, digestOf } from '../support/stores.ts';
import { type Allowed, diffTrees, readTree, subtrees, type Tree } from '../support/tree.ts';
import { differs } from '../unit/archive/oracle.ts';
import { randomStack, type Stack } from '../unit/archive/random-layers.ts';

const skip = needs({ root: true, tools: ['containerd', 'mount', 'umount', 'getfattr'] });
/** HAWSER_STACKS sets the number. */
const COUNT = Number(process.env.HAWSER_STACKS ?? 12);
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
/** Each namespace is given all bytes. */
const ISOLATED = '[plugins."io.containerd.metadata.v1.bolt"]\n  content_sharing_policy = "isolated"\n';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

type Failure = { readonly layer: number; readonly error: unknown } | undefined;

/** Unpacks a stack as an image's layers, all at once; the top chain ID. */
async function unpackStack(runtime: Runtime, backend: Backend, stack: Stack, lease: string): Promise<string> {
  const call = { lease };
  const layers: Descriptor[] = [];
  for (const entries of stack) layers.push(await blobOf(backend, LAYER, layer(...entries), call));
  const config = await blobOf(backend, CONFIG, bytesOf(`config of ${lease}`), call);
  const diffIds = layers.map(({ digest }) => digest);
  const steps = planUnpack({ ...config, mediaType: MANIFEST }, [config, ...layers], diffIds, runtime.hashers);
  const { content, leases, applier } = backend;
  const { clock } = runtime;
  const job = {
    ...{ content, leases, applier, clock, lease, cpus: 2, snapshotter: backend.snapshotter() },
    settings: { jobs: stack.length },
    report: () => {},
    signal: new AbortController().signal,
    blob: () => ({ started: reached(), verified: reached() }),
  };
  return await unpackLayers(job, config, steps);
}

async function blobOf(
  backend: Backend,
  mediaType: string,
  bytes: Uint8Array,
  call: { lease: string },
): Promise<Descriptor> {
  const digest = digestOf(bytes);
  // Two layers may be equal.
  if ((await ifFound(backend.content.info(digest))) === undefined) await addBlob(backend, bytes, call);
  return { mediaType, digest, size: bytes.length };
}

function failureOf(error: unknown): Failure {
  const [, number] = /Cannot extract layer (\d+) /.exec(messageOf(error)) ?? [];
  return { layer: Number(number) - 1, error };
}

interface Outcome {
  readonly rebased: number;
  readonly found: readonly string[];
}

/** Each stack in a namespace of its own, so that no layer is there before. */
async function outcomeOf(socket: string, stacks: readonly Stack[]): Promise<Outcome> {
  const runtime = await defaultRuntime();
  const mounter = await runtime.mounter();
  await using dir = scratch();
  const views = join(dir.path, 'views');
  mkdirSync(views);
  await mounter.mount([{ type: 'bind', source: views, options: ['rbind'] }], views);
  const failures: Failure[] = [];
  let rebased = 0;
  try {
    for (const [i, stack] of stacks.entries()) {
      await using backend = await openContainerdBackend(runtime, { address: socket, namespace: `of-${i}` });
      const snapshotter = backend.snapshotter();
      const counted = intercept(snapshotter, (call) => {
        if (call === 'rebase') rebased++;
      });
      const { id: lease } = await backend.leases.create({});
      mkdirSync(join(views, `${i}`));
      utimesSync(join(views, `${i}`), 0, 0);
      try {
        const top = await unpackStack(runtime, { ...backend, snapshotter: () => counted }, stack, lease);
        const { mounts = [] } = await snapshotter.view('view', top, { lease });
        await mounter.mount(mounts, join(views, `${i}`));
        failures.push(undefined);
      } catch (err) {
        failures.push(failureOf(err));
      }
    }
    const trees = subtrees(await readTree(views), 1);
    const found = stacks.flatMap((stack, i) => {
      const seen = { tree: trees.get(`${i}`) ?? new Map(), failure: failures[i], warnings: [], rebased: 0 };
      return differs(stack, { way: 'overlay', links: 'overlay', ...seen });
    });
    return { found, rebased };
  } finally {
    await mounter.unmount(views, { lazy: true });
    await runtime.workers[Symbol.asyncDispose]();
  }
}

/** Has each Introspection say that every plugin can rebase. */
async function withClaim<T>(work: () => Promise<T>): Promise<T> {
  const { call } = Connection.prototype;
  Connection.prototype.call = async function (name, ...rest) {
    const answer = await call.call(this, name, ...rest);
    if (!('plugins' in answer)) return answer as never;
    const plugins = answer.plugins.map((plugin) => ({ ...plugin, capabilities: ['rebase'] }));
    return { plugins } as never;
  };
  try {
    return await work();
  } finally {
    Connection.prototype.call = call;
  }
}

function stacksOf(count: number, t: { diagnostic(message: string): void }): Stack[] {
  const seed = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${seed} HAWSER_STACKS=${count}`);
  return Array.from({ length: count }, (_, i) => randomStack(seed + i));
}

function inside(installation: Installation, rebases: boolean): void {
  test('C5: random stacks become what the reference model says', async (t) => {
    await using daemon = await startContainerd(undefined, ISOLATED, installation);
    const { found, rebased } = await outcomeOf(daemon.socket, stacksOf(COUNT, t));
    assert.deepEqual(found, []);
    t.diagnostic(`${rebased} layers were rebased`);
    assert.ok(rebases ? rebased > COUNT / 2 : rebased === 0, `${rebased} layers were rebased`);
  });
}

const PULLED = { layers: 6, bytes: 300_000, files: 40 };
/** A pull reports so many steps of its layers, at the least; it is killed at these. */
const KILLED_AT = [2, 6, 9, 12];
/** containerd gives a directory that a layer only writes below, and the root, the time of the unpacking. */
const NEWER: readonly Allowed[] = ['.', ...Array.from({ length: PULLED.layers }, (_, i) => `layer${i}`)].map(
  (path) => ({
    path,
    attributes: ['mtime'],
    reason: 'a directory that the layer does not list looks as it did below',
  }),
);

/** Pulls that are killed, and pulls beside others: what is committed is what ctr commits, at every moment. */
function killed(installation: Installation): void {
  test('C5: killed pulls, pulls beside others and collections leave what ctr leaves, and nothing that is not whole', async (t) => {
    await using temp = scratch();
    await using daemon = await startContainerd(undefined, ISOLATED, installation);
    const registry = await startDockerRegistry();
    try {
      const layout = await smallImage(temp.path, PULLED);
      await registry.push(`${layout}:small`, 'small:1');
      const image = `${registry.host}/small:1`;
      const here = new Namespaces(daemon, image, temp.path);
      const theirs = await here.byCtr('theirs');
      for (const at of KILLED_AT) {
        await here.killAt('killed', at);
        const { snapshots } = await here.state('killed');
        const whole = snapshots.filter(isCommitted);
        const active = snapshots.filter((row) => !isCommitted(row));
        for (const row of active) assert.match(row, /^(?:extract|hawser-probe)-/);
        t.diagnostic(`killed at step ${at}: ${whole.length} layers are committed`);
        assert.deepEqual(
          whole.filter((row) => !theirs.state.snapshots.includes(row)),
          [],
          `killed at step ${at}`,
        );
      }
      await here.pullBesideCollections('killed');
      assert.deepEqual(await here.state('killed', 'without'), theirs.state);
      assert.deepEqual(diffTrees(await here.tree('killed'), theirs.tree, NEWER), []);
      await here.removeAll('killed');
      assert.deepEqual(await here.state('killed'), { blobs: {}, images: [], snapshots: [] });

      const [, ...codes] = await Promise.all([
        daemon.ctr('-n', 'beside', 'images', 'pull', '--plain-http', image),
        here.pull('beside'),
        here.pull('beside'),
      ]);
      for (const one of codes) assert.equal(one.code, 0, explain(one));
      assert.deepEqual((await here.state('beside')).snapshots, theirs.state.snapshots);
      assert.deepEqual(diffTrees(await here.tree('beside'), theirs.tree, NEWER), []);
    } finally {
      await registry.close();
    }
  });
}

function isCommitted(row: string): boolean {
  return row.endsWith(' Committed');
}

/** Namespaces of a containerd into which one image is pulled. */
class Namespaces {
  readonly #daemon: Containerd;
  readonly #image: string;
  readonly #temp: string;

  constructor(daemon: Containerd, image: string, temp: string) {
    this.#daemon = daemon;
    this.#image = image;
    this.#temp = temp;
  }

  #ctr(namespace: string): Client {
    return (...args) => this.#daemon.ctr('-n', namespace, ...args);
  }

  async byCtr(namespace: string): Promise<{ state: StoreState; tree: Tree }> {
    await this.#ctr(namespace)('images', 'pull', '--plain-http', this.#image);
    return { state: await this.state(namespace), tree: await this.tree(namespace) };
  }

  /** `without`: the active snapshots of pulls that were killed, which their leases keep. */
  async state(namespace: string, leftovers?: 'without'): Promise<StoreState> {
    const state = await readState(this.#ctr(namespace), 'overlayfs');
    const snapshots = state.snapshots.filter((row) => leftovers === undefined || isCommitted(row));
    return { ...state, snapshots };
  }

  async tree(namespace: string): Promise<Tree> {
    const target = join(this.#temp, `mount-${namespace}`);
    mkdirSync(target, { recursive: true });
    await this.#ctr(namespace)('images', 'mount', this.#image, target);
    try {
      return await readTree(target);
    } finally {
      await this.#ctr(namespace)('images', 'unmount', '--rm', target);
    }
  }

  pull(namespace: string, opts?: ExecOptions): Promise<ExecResult> {
    const [file, ...first] = quickest.command;
    const args = [
      '--address',
      this.#daemon.socket,
      '-n',
      namespace,
      'pull',
      '--progress',
      'json',
      this.#image,
    ];
    return exec(file, [...first, ...args], opts);
  }

  async killAt(namespace: string, step: number): Promise<void> {
    let seen = 0;
    await this.pull(namespace, {
      started: (child) =>
        child.stdout?.on('data', (data: Buffer) => {
          seen += data.toString().match(/"type":"layer"/g)?.length ?? 0;
          if (seen >= step) child.kill('SIGKILL');
        }),
    });
  }

  /** containerd collects what no lease and no image holds, over and over, until the pull has ended. */
  async pullBesideCollections(namespace: string): Promise<void> {
    const store = await openContainerd({ address: this.#daemon.socket, namespace });
    try {
      let ended = false;
      const pulling = this.pull(namespace).finally(() => {
        ended = true;
      });
      while (!ended) await store.collect();
      const result = await pulling;
      assert.equal(result.code, 0, explain(result));
    } finally {
      await store[Symbol.asyncDispose]();
    }
  }

  /** The image and all leases. */
  async removeAll(namespace: string): Promise<void> {
    const ctr = this.#ctr(namespace);
    const leases = (await ctr('leases', 'ls', '-q')).stdout.split('\n').filter((id) => id !== '');
    for (const id of leases) await ctr('leases', 'rm', id);
    await ctr('images', 'rm', '--sync', this.#image);
  }
}

for (const installation of installations) {
  const rebases = installation !== installations[0];
  describe(`layers side by side: ${installation.name}`, { skip }, () => inside(installation, rebases));
  if (!rebases) continue;
  const more = needs({ root: true, tools: ['containerd', 'ctr', 'docker-registry', 'skopeo', 'getfattr'] });
  describe(`killed, and beside others: ${installation.name}`, { skip: more }, () => killed(installation));
}

describe('layers side by side: a containerd that skips the parent', { skip }, () => {
  test('C5: each layer is applied over its parent then', async (t) => {
    await using daemon = await startContainerd(undefined, ISOLATED);
    const { found } = await withClaim(() => outcomeOf(daemon.socket, stacksOf(4, t)));
    assert.deepEqual(found, []);
  });
});
