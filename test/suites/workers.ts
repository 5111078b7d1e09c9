/** What workers must do: the pool with workers that misbehave, and the real worker over real trees. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { pack } from 'tar-stream';
import { orAborted } from '../../src/core/async/abort.ts';
import { findError, hintOf, isKind, kindOf } from '../../src/core/errors.ts';
import type { ApplyJob, Workers } from '../../src/core/layers/workers.ts';
import { failure } from '../support/failure.ts';
import { isDeno, needs } from '../support/needs.ts';
import { concat, testBytes } from '../support/streams.ts';
import { header } from '../support/tar-builder.ts';
import { tempDir } from '../support/tmp.ts';

type Body = (workers: Workers, dir: string) => Promise<void>;

async function within(make: () => Workers, body: Body): Promise<void> {
  const dir = tempDir();
  const workers = make();
  try {
    await body(workers, dir.path);
  } finally {
    await workers[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

/** `make` opens a pool of two threads over a given worker module (support/odd-worker.ts). */
export function poolSuite(name: string, make: (url: URL, grace: number) => Workers): void {
  const odd = new URL('../support/odd-worker.ts', import.meta.url);
  const check = (title: string, body: Body, grace = 600_000) =>
    test(`workers/${name}: ${title}`, () => within(() => make(odd, grace), body));

  check('a worker is used again, and no more than two are made', async (workers) => {
    const first = await workers.usage('thread');
    const again = await workers.usage('thread');
    assert.deepEqual(again, { size: first.size, inodes: first.inodes + 1 });
    const many = await Promise.all(Array.from({ length: 20 }, () => workers.usage('thread')));
    assert.ok(new Set(many.map((one) => one.size)).size <= 2);
    assert.equal(many.length, 20);
  });
  check(
    'a worker that keeps the memory of a large window ends after its call: the next may have one then',
    async (workers) => {
      const full = await Promise.all(Array.from({ length: 4 }, () => workers.usage('full')));
      assert.equal(new Set(full.map((one) => one.size)).size, 4);
      const next = await workers.usage('thread');
      assert.equal(next.inodes, 1);
      assert.equal((await workers.usage('thread')).size, next.size, 'others stay');
    },
  );
  // Deno writes the reason to standard error itself, and tells only that the worker ended.
  const skip = needs({ runtime: 'node' });
  test(`workers/${name}: a worker whose module is not there says what to do`, { skip }, () => {
    const absent = new URL('../support/no such worker.js', import.meta.url);
    return within(
      () => make(absent, 1000),
      async (workers, dir) => {
        const err = await failure(workers.removeTree(join(dir, 'x')));
        assert.equal(kindOf(err), 'FailedPrecondition', String(err));
        assert.match(err.message, /its module .*no such worker\.js is not there/);
        assert.match(hintOf(err) ?? '', /hawser\/worker/);
      },
    );
  });
  check('one that was started ahead of work is used, and counts', async (workers) => {
    workers.warm();
    workers.warm();
    const many = await Promise.all(Array.from({ length: 20 }, () => workers.usage('thread')));
    assert.ok(new Set(many.map((one) => one.size)).size <= 2);
    await workers[Symbol.asyncDispose]();
    workers.warm();
    await assert.rejects(workers.usage('thread'), (err) => isKind(err, 'FailedPrecondition'));
  });
  check('errors cross with kind, hint and data', async (workers) => {
    await assert.rejects(workers.usage('nothing'), (err) => {
      assert.ok(isKind(err, 'OutOfRange'));
      assert.equal(hintOf(err), 'try thread');
      assert.deepEqual(findError(err)?.reason, { type: 'errno', errno: 'E' });
      return true;
    });
    assert.equal((await workers.usage('thread')).inodes, 2);
  });
  for (const how of ['crash', 'exit']) {
    check(
      `one that fails (${how}) rejects its call with Internal, and a new one takes its place`,
      async (workers) => {
        const failing = await Promise.allSettled(Array.from({ length: 3 }, () => workers.usage(how)));
        for (const one of failing) assert.ok(one.status === 'rejected' && isKind(one.reason, 'Internal'));
        if (how === 'crash') await assert.rejects(workers.usage(how), /it went wrong/);
        assert.equal((await workers.usage('thread')).inodes, 1);
      },
    );
  }
  for (const how of isDeno ? ['spin', 'wait'] : ['spin', 'wait', 'stuck']) {
    check(
      `an abort ends what runs (${how}) before it rejects with the reason`,
      async (workers, dir) => {
        const file = join(dir, 'written');
        const stop = new AbortController();
        const first = await workers.usage('thread');
        const running = workers.usage(`${how}:${file}`, { signal: stop.signal });
        while (how !== 'wait' && !existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 1));
        const reason = new Error('enough');
        stop.abort(reason);
        await assert.rejects(running, (err) => err === reason);
        const sizeOf = () => (how === 'wait' ? 0 : statSync(file).size);
        const size = sizeOf();
        const next = await workers.usage('thread');
        // One that ended its call itself lives on.
        assert.equal(next.size === first.size, how !== 'stuck');
        for (let i = 0; i < 5; i++) await workers.usage('thread');
        assert.equal(sizeOf(), size);
      },
      how === 'stuck' ? 100 : undefined,
    );
  }
  for (const [what, ask] of [
    ['sync', (workers: Workers) => workers.syncfs(['/'])],
    ['removal', (workers: Workers) => workers.removeTree('/nowhere')],
  ] as const) {
    check(`a ${what} waits for no worker`, async (workers) => {
      const running = new AbortController();
      const busy = Promise.allSettled(
        ['wait', 'wait'].map((how) => workers.usage(how, { signal: running.signal })),
      );
      // This worker's answer is an error: that there is one means that a third worker took the call.
      const refused = orAborted(ask(workers), AbortSignal.timeout(10_000));
      await assert.rejects(refused, (err) => isKind(err, 'OutOfRange'));
      running.abort(new Error('enough'));
      for (const one of await busy) assert.equal(one.status, 'rejected');
      const threads = await Promise.all([1, 2, 3].map(() => workers.usage('thread')));
      assert.equal(new Set(threads.map(({ size }) => size)).size, 2, 'the third has ended');
    });
  }
  for (const [title, how, kind] of [
    ['that has done its call', '/nowhere', 'OutOfRange'],
    ['that is lost', 'exit', 'Internal'],
  ] as const) {
    check(`a third worker ${title} is not given to others that wait`, async (workers) => {
      const running = new AbortController();
      const calls = ['wait', 'wait', 'wait'].map((one) => workers.usage(one, { signal: running.signal }));
      const busy = Promise.allSettled(calls);
      for (let i = 0; i < 2; i++) {
        const removal = orAborted(workers.removeTree(how), AbortSignal.timeout(10_000));
        await assert.rejects(removal, (err) => isKind(err, kind));
      }
      running.abort(new Error('enough'));
      for (const one of await busy) assert.equal(one.status, 'rejected');
      const threads = await Promise.all([1, 2, 3].map(() => workers.usage('thread')));
      assert.equal(new Set(threads.map(({ size }) => size)).size, 2);
    });
  }
  check('while a third worker is in use, syncs and removals go before others that wait', async (workers) => {
    const [first, rest] = [new AbortController(), new AbortController()];
    const { signal } = rest;
    const busy = Promise.allSettled([
      workers.usage('wait', { signal: first.signal }),
      workers.usage('wait', { signal }),
      workers.removeTree('wait', { signal }),
      workers.usage('wait', { signal }),
    ]);
    const removal = orAborted(workers.removeTree('/nowhere'), AbortSignal.timeout(10_000));
    first.abort(new Error('enough'));
    await assert.rejects(removal, (err) => isKind(err, 'OutOfRange'));
    rest.abort(new Error('enough'));
    for (const one of await busy) assert.equal(one.status, 'rejected');
  });
  check('an abort while waiting for a worker leaves the line', async (workers) => {
    const running = new AbortController();
    const busy = Promise.allSettled(
      ['wait', 'wait'].map((how) => workers.usage(how, { signal: running.signal })),
    );
    const stop = new AbortController();
    const waiting = workers.usage('thread', { signal: stop.signal });
    const next = workers.usage('thread');
    const reason = new Error('no more');
    stop.abort(reason);
    await assert.rejects(waiting, (err) => err === reason);
    running.abort(reason);
    for (const one of await busy) assert.ok(one.status === 'rejected' && one.reason === reason);
    assert.equal((await next).inodes, 2);
    await assert.rejects(
      workers.usage('thread', { signal: AbortSignal.abort(reason) }),
      (err) => err === reason,
    );
  });
  check('progress is told; what a listener throws ends the call', async (workers) => {
    const seen: number[] = [];
    const job = jobOf({ blob: 'progress' });
    await workers.apply(job, { onProgress: (bytes) => seen.push(bytes) });
    assert.deepEqual(seen, [1, 2, 3]);
    const broken = new Error('listener');
    const throwing = () => {
      throw broken;
    };
    await assert.rejects(workers.apply(job, { onProgress: throwing }), (err) => err === broken);
  });
  check(
    'closing ends what runs and what waits, and refuses more',
    async (workers) => {
      const calls = ['wait', 'never', 'thread'].map((how) => workers.usage(how));
      const settled = Promise.allSettled(calls);
      await workers[Symbol.asyncDispose]();
      for (const one of await settled)
        assert.ok(one.status === 'rejected' && isKind(one.reason, 'FailedPrecondition'));
      await assert.rejects(workers.usage('thread'), (err) => isKind(err, 'FailedPrecondition'));
    },
    100,
  );
  test(`workers/${name}: idle ones keep no process alive`, () => {
    const probe = fileURLToPath(new URL('../support/worker-probe.ts', import.meta.url));
    const args = isDeno ? ['run', '-A', '--no-check', probe] : [probe];
    const done = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(done.stdout, 'calls 1\n', done.stderr);
    assert.equal(done.status, 0);
  });
}

function jobOf(job: Partial<ApplyJob>): ApplyJob {
  return {
    blob: '',
    blobSize: 0,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    codec: 'auto',
    root: '',
    lowers: [],
    mode: 'overlay',
    growing: null,
    maxBytes: 1e9,
    maxRatio: 1000,
    ...job,
  };
}

async function tarOf(files: Readonly<Record<string, Uint8Array>>): Promise<Uint8Array> {
  const tar = pack();
  for (const [name, data] of Object.entries(files)) {
    const uid = process.getuid?.() ?? 0;
    tar.entry(
      { name, mode: 0o640, uid, gid: process.getgid?.() ?? 0, mtime: new Date(1e12) },
      Buffer.from(data),
    );
  }
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return concat(...chunks);
}

/** A layer of one file of zeros, which takes seconds to unpack: in each compression. */
function longLayers(): Readonly<Record<string, Uint8Array>> {
  const size = 4 << 20;
  const count = 200;
  const zeros = new Uint8Array(size);
  const whole = (compress: (bytes: Uint8Array) => Uint8Array): Uint8Array =>
    concat(compress(header({ size: size * count })), ...Array(count).fill(compress(zeros)));
  return { gzip: whole(zlib.gzipSync), zstd: whole(zlib.zstdCompressSync) };
}

/** Milliseconds until the call ends when it is aborted in the middle: the least of several, as other programs may have the processors. */
async function soonestAbort(workers: Workers, job: Partial<ApplyJob>, root: string): Promise<number> {
  let soonest = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 10 && soonest >= 50; tries++) {
    mkdirSync(root);
    const stop = new AbortController();
    const applying = workers.apply(jobOf({ ...job, root }), { signal: stop.signal });
    const file = join(root, 'file');
    while (!existsSync(file) || statSync(file).size < 3 << 20)
      await new Promise((done) => setTimeout(done, 1));
    const began = performance.now();
    stop.abort(new Error('stop'));
    await assert.rejects(applying, /stop/);
    soonest = Math.min(soonest, performance.now() - began);
    rmSync(root, { recursive: true });
  }
  return soonest;
}

/** The worker that ships (src/entry/worker.ts), through `make`. */
export function workersSuite(name: string, make: () => Workers): void {
  const check = (title: string, body: Body, skip: string | false = false) =>
    test(`workers/${name}: ${title}`, { skip }, () => within(make, body));

  check(
    'a layer is applied, of each compression and codec',
    async (workers, dir) => {
      const big = testBytes('random', 3_000_000);
      const tar = await tarOf({ 'etc/hello': new TextEncoder().encode('hello'), 'usr/big': big });
      const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
      const blobs = { gzip: zlib.gzipSync(tar), zstd: zlib.zstdCompressSync(tar), identity: tar };
      for (const [compression, bytes] of Object.entries(blobs)) {
        for (const codec of ['auto', 'portable'] as const) {
          const root = join(dir, `${compression}-${codec}`);
          mkdirSync(root);
          writeFileSync(`${root}.blob`, bytes);
          const progress: number[] = [];
          const job = jobOf({ blob: `${root}.blob`, blobSize: bytes.length, root, codec });
          const result = await workers.apply(job, { onProgress: (at) => progress.push(at) });
          assert.equal(result.diffId, diffId);
          assert.equal(result.size, tar.length);
          assert.deepEqual(result.warnings, []);
          assert.equal(readFileSync(join(root, 'etc/hello'), 'utf8'), 'hello');
          assert.equal(Buffer.compare(readFileSync(join(root, 'usr/big')), big), 0);
          assert.equal(statSync(join(root, 'usr/big')).mode & 0o777, 0o640);
          assert.deepEqual(
            progress.toSorted((a, b) => a - b),
            progress,
          );
          assert.equal(progress.at(-1), bytes.length);
        }
      }
    },
    needs({ root: true }),
  );
  check('a damaged layer is DataLoss, an absent blob NotFound, a symlink refused', async (workers, dir) => {
    const root = join(dir, 'root');
    mkdirSync(root);
    const packed = zlib.gzipSync(await tarOf({ file: testBytes('random', 100_000) }));
    writeFileSync(join(dir, 'cut'), packed.subarray(0, packed.length - 100));
    symlinkSync('cut', join(dir, 'link'));
    for (const [blob, kind] of [
      ['cut', 'DataLoss'],
      ['absent', 'NotFound'],
      ['link', 'FailedPrecondition'],
      ['root', 'FailedPrecondition'],
    ] as const)
      await assert.rejects(workers.apply(jobOf({ blob: join(dir, blob), root })), (err) => {
        assert.ok(isKind(err, kind), `${blob}: ${String(err)}`);
        return true;
      });
  });
  check('an abort in the middle of a layer stops it', async (workers, dir) => {
    const root = join(dir, 'root');
    mkdirSync(root);
    const files = Array.from(
      { length: 2000 },
      (_, i) => [`f${i}`, testBytes('random', 20_000, i + 1)] as const,
    );
    writeFileSync(join(dir, 'blob'), zlib.gzipSync(await tarOf(Object.fromEntries(files)), { level: 1 }));
    const stop = new AbortController();
    const applying = workers.apply(jobOf({ blob: join(dir, 'blob'), root }), { signal: stop.signal });
    while (!existsSync(join(root, 'f5'))) await new Promise((resolve) => setTimeout(resolve, 1));
    const reason = new Error('stop');
    stop.abort(reason);
    await assert.rejects(applying, (err) => err === reason);
    const { size, inodes } = await workers.usage(root);
    assert.ok(inodes < 2001);
    assert.deepEqual(await workers.usage(root), { size, inodes });
  });
  check(
    'an abort is seen within 50 ms, of each compression and codec',
    async (workers, dir) => {
      for (const [name, blob] of Object.entries(longLayers())) {
        writeFileSync(join(dir, name), blob);
        for (const codec of ['auto', 'portable'] as const) {
          const job = { blob: join(dir, name), blobSize: blob.length, codec };
          const soonest = await soonestAbort(workers, job, join(dir, `${name}-${codec}`));
          assert.ok(soonest < 50, `${name}, ${codec}: ${soonest} ms`);
        }
      }
    },
    needs({ root: true }),
  );
  check('usage counts inodes once, copyTree copies, removeTree removes', async (workers, dir) => {
    const root = join(dir, 'from');
    mkdirSync(join(root, 'sub'), { recursive: true });
    writeFileSync(join(root, 'sub/file'), testBytes('random', 10_000));
    linkSync(join(root, 'sub/file'), join(root, 'hard'));
    symlinkSync('/etc/passwd', join(root, 'soft'));
    const usage = await workers.usage(root);
    assert.equal(usage.inodes, 4);
    assert.ok(usage.size >= 10_000);
    const to = join(dir, 'to');
    mkdirSync(to);
    await workers.copyTree({ from: root, to });
    assert.equal(statSync(join(to, 'hard')).ino, statSync(join(to, 'sub/file')).ino);
    assert.equal((await workers.usage(to)).inodes, 4);
    const held = openSync(root, 'r');
    await workers.syncfs([root, { path: to, fd: held }]);
    closeSync(held);
    await workers.removeTree(to);
    assert.ok(!existsSync(to) && existsSync('/etc/passwd'));
    await workers.removeTree(to);
    await assert.rejects(workers.usage(to), (err) => isKind(err, 'NotFound'));
    await assert.rejects(workers.syncfs([to]), (err) => isKind(err, 'NotFound'));
  });
}
