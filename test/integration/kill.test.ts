/**
 * SIGKILL at random moments of a pull, every other one with the portable decoders. The next pull completes, asks for no blob that was complete, continues those that
 * were begun, and leaves the store as if nothing had happened. HAWSER_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { describe as explain } from '../support/exec.ts';
import { eachRuntime, type Flavour, type Hawser, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { chosenSeed } from '../support/seed.ts';
import { type Logged, type SlowProxy, startSlowProxy } from '../support/slow-proxy.ts';
import { smallImage } from '../support/small-image.ts';
import { readState, type StoreState } from '../support/store-state.ts';
import { diffTrees, readTree, type Tree } from '../support/tree.ts';

const TOOLS = ['docker-registry', 'skopeo', 'getfattr'];
/** 8 layers of 1.5 MiB at 8 MiB/s: a second and a half of download, unpacking beside it. */
const SIZE = { layers: 8, bytes: 1_572_864, files: 200 };
const SLOW = 8 << 20;
const KILLS = Number(process.env.HAWSER_KILLS ?? 20);
/** For the other flavours, which share all but the platform's code. */
const FEW = 2;

const seed = chosenSeed();

describe('a pull that was killed', { skip: needs({ root: true, tools: TOOLS }) }, () => {
  let registry: RealRegistry;
  let proxy: SlowProxy;
  let temp: Scratch;
  let image: string;

  before(async () => {
    console.log(`seed: HAWSER_SEED=${seed}`);
    temp = scratch();
    registry = await startDockerRegistry();
    await registry.push(`${await smallImage(temp.path, SIZE)}:small`, 'small:1');
    proxy = await startSlowProxy(registry.host);
    image = `${proxy.host}/small:1`;
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  const look = async (store: Hawser): Promise<{ state: StoreState; tree: Tree }> => {
    const state = await readState(store.ok, 'overlayfs');
    const target = join(temp.path, 'mount');
    mkdirSync(target, { recursive: true });
    await store.ok('images', 'mount', image, target);
    try {
      return { state, tree: await readTree(target) };
    } finally {
      await store.ok('images', 'unmount', '--rm', target);
    }
  };
  /** One pull killed after `delay` milliseconds, then one that must do the rest. Says how many blobs were continued. */
  const killOnce = async (
    which: Flavour,
    { delay, codec }: { readonly delay: number; readonly codec: string },
    undisturbed: Awaited<ReturnType<typeof look>>,
  ) => {
    await using dir = scratch();
    const store = hawser(which, dir.path);
    proxy.rate = SLOW;
    const first = await store.run(['images', 'pull', '--codec', codec, image], {
      started: (child) => killAfter(child, delay),
    });
    assert.ok(first.signal === 'SIGKILL' || first.code === 0, explain(first));
    const [complete, begun] = [completeBlobs(dir.path), begunBlobs(dir.path)];
    proxy.log = [];
    proxy.rate = Number.POSITIVE_INFINITY;
    await store.ok('images', 'pull', image);
    const asked = blobRequests(proxy.log);
    for (const digest of complete) assert.equal(asked.get(digest), undefined, `${digest} was there already`);
    for (const [digest, bytes] of begun) assertContinued(digest, bytes, asked.get(digest) ?? []);
    const { state, tree } = await look(store);
    assert.deepEqual(state, undisturbed.state);
    assert.deepEqual(diffTrees(tree, undisturbed.tree), []);
    return { complete: complete.size, begun: begun.size };
  };

  for (const [index, which] of eachRuntime.entries()) {
    const kills = index === 0 ? KILLS : FEW;
    test(`${which.name}: ${kills} random moments`, { skip: which.skip }, async (t) => {
      const random = mulberry32(seed + index);
      await using dir = scratch();
      const store = hawser(which, dir.path);
      proxy.rate = SLOW;
      const began = performance.now();
      await store.ok('images', 'pull', image);
      const whole = performance.now() - began;
      const undisturbed = await look(store);
      const seen = { complete: 0, begun: 0 };
      for (let n = 0; n < kills; n++) {
        const delay = Math.round(random() * whole);
        const codec = n % 2 === 0 ? 'auto' : 'portable';
        await t.test(`after ${delay} of ${Math.round(whole)} ms, ${codec}`, async () => {
          const result = await killOnce(which, { delay, codec }, undisturbed);
          seen.complete += result.complete;
          seen.begun += result.begun;
        });
      }
      if (kills === KILLS) assert.ok(seen.complete > 0 && seen.begun > 0, 'some kills came in the middle');
    });
  }
});

function killAfter(child: ChildProcess, delay: number): void {
  const timer = setTimeout(() => child.kill('SIGKILL'), delay);
  child.on('exit', () => clearTimeout(timer));
}

/** Digests of the blobs that are in place. */
function completeBlobs(root: string): Set<string> {
  const dir = join(root, 'content/blobs/sha256');
  return new Set(names(dir).map((hex) => `sha256:${hex}`));
}

/** Layers with bytes in an ingest, and how many. */
function begunBlobs(root: string): Map<string, number> {
  const dir = join(root, 'content/ingest');
  const found = new Map<string, number>();
  for (const name of names(dir)) {
    const files = names(join(dir, name));
    if (!files.includes('data') || !files.includes('ref')) continue;
    const digest = /layer-(sha256:[0-9a-f]{64})/.exec(readFileSync(join(dir, name, 'ref'), 'utf8'))?.[1];
    const { size } = statSync(join(dir, name, 'data'));
    if (digest !== undefined && size > 0) found.set(digest, size);
  }
  return found;
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function blobRequests(log: readonly Logged[]): Map<string, Logged[]> {
  const found = new Map<string, Logged[]>();
  for (const one of log) {
    const digest = /\/blobs\/(sha256:[0-9a-f]{64})$/.exec(one.path)?.[1];
    if (digest !== undefined && one.method === 'GET') found.set(digest, [...(found.get(digest) ?? []), one]);
  }
  return found;
}

/** Nothing that was on disk is asked for again; an ingest that was whole but not committed needs no request. */
function assertContinued(digest: string, bytes: number, requests: readonly Logged[]): void {
  for (const { range, status } of requests) {
    const start = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
    assert.ok(start >= bytes, `${digest} had ${bytes} bytes, asked for again from ${start}`);
    assert.equal(status, 206);
  }
}

/** A small seeded generator of numbers from 0 to 1. */
function mulberry32(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
