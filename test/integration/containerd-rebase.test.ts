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
import { type Installation, installations, startContainerd } from '../support/containerd.ts';
import { intercept } from '../support/intercept.ts';
import { layer } from '../support/layer-builder.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';
import { chosenSeed } from '../support/seed.ts';
import { addBlob, bytesOf, digestOf } from '../support/stores.ts';
import { readTree, subtrees } from '../support/tree.ts';
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

for (const installation of installations) {
  const rebases = installation !== installations[0];
  describe(`layers side by side: ${installation.name}`, { skip }, () => inside(installation, rebases));
}

describe('layers side by side: a containerd that skips the parent', { skip }, () => {
  test('C5: each layer is applied over its parent then', async (t) => {
    await using daemon = await startContainerd(undefined, ISOLATED);
    const { found } = await withClaim(() => outcomeOf(daemon.socket, stacksOf(4, t)));
    assert.deepEqual(found, []);
  });
});
