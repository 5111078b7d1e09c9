import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { ImageBudget } from '../../../../src/core/layers/image-budget.ts';
import {
  LAYER_OF_SMALL_IMAGE,
  SMALL_EXPANDED,
  SMALL_LAYER,
} from '../../../../src/core/layers/small-layer.ts';
import type { ApplyJob, ApplyResult, RebaseJob, Workers } from '../../../../src/core/layers/workers.ts';
import type { Syscalls } from '../../../../src/core/ports/syscalls.ts';
import { lazyCodecs } from '../../../../src/platform/process/lazy.ts';
import { withSmallJobs } from '../../../../src/platform/threads/small-jobs.ts';
import { bareRuntime } from '../../../support/bare-runtime.ts';
import { file, layer } from '../../../support/layer-builder.ts';
import { tempDir } from '../../../support/tmp.ts';

const NODE = { name: '', parent: 0, made: { by: 'no' }, opaque: false, cuts: [] } as const;
const EMPTY_TAR = new Uint8Array(1024);

const image = (compressed: number): ImageBudget => ({
  ...{ compressed, most: 1 << 30, limit: '', flag: '' },
  spent: new SharedArrayBuffer(8),
});

const withDir = (work: (path: string) => Promise<void>) => async (): Promise<void> => {
  const dir = tempDir();
  try {
    await work(dir.path);
  } finally {
    dir[Symbol.dispose]();
  }
};

function setUp(root: string) {
  const asked: string[] = [];
  const bare = bareRuntime();
  const workers: Workers = {
    ...bare.workers,
    apply: async () => {
      asked.push('apply');
      return {} as ApplyResult;
    },
    rebase: async () => {
      asked.push('rebase');
      return null;
    },
    syncfs: async () => void asked.push('syncfs'),
  };
  const blob = join(root, 'blob');
  writeFileSync(blob, EMPTY_TAR);
  const job: ApplyJob = {
    blob,
    growing: null,
    blobSize: EMPTY_TAR.length,
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    codec: 'auto',
    root,
    lowers: [],
    mode: 'overlay',
    maxBytes: 1 << 20,
    maxRatio: 0,
  };
  const small = withSmallJobs({ ...bare, codecs: lazyCodecs(), workers });
  return { asked, bare, job, small, workers, provider: async () => (await bare.syscalls()).provider };
}

test(
  'a small layer is applied and rebased here, where system calls are quick',
  withDir(async (path) => {
    const { asked, job, small, provider } = setUp(path);
    const { size } = await small.apply(job);
    await small.apply({ ...job, blobSize: LAYER_OF_SMALL_IMAGE, image: image(LAYER_OF_SMALL_IMAGE) });
    await small.rebase({ root: path, lowers: [], mode: 'overlay', record: { nodes: [NODE], guesses: [] } });
    if ((await provider()) === 'ffi') assert.equal(size, EMPTY_TAR.length);
    assert.deepEqual(asked, (await provider()) === 'ffi' ? [] : ['apply', 'apply', 'rebase']);
  }),
);

test(
  'what is large, still arrives or copies a tree is a worker’s',
  withDir(async (path) => {
    const { asked, job, small } = setUp(path);
    const growing = { path: job.blob, gauge: new SharedArrayBuffer(8) };
    await small.apply({ ...job, blobSize: SMALL_LAYER + 1 });
    await small.apply({ ...job, blobSize: LAYER_OF_SMALL_IMAGE, image: image(64 << 20) });
    await small.apply({ ...job, blobSize: LAYER_OF_SMALL_IMAGE + 1, image: image(LAYER_OF_SMALL_IMAGE + 1) });
    await small.apply({ ...job, growing });
    await small.apply({ ...job, mode: 'flat' });
    const rebase: RebaseJob = {
      root: path,
      lowers: [],
      mode: 'overlay',
      record: { nodes: [], guesses: [] },
    };
    await small.rebase({ ...rebase, mode: 'flat' });
    await small.rebase({ ...rebase, record: { nodes: [{ ...NODE, opaque: true }], guesses: [] } });
    await small.rebase({ ...rebase, record: { nodes: [], guesses: Array(1000).fill('a') } });
    assert.deepEqual(asked, [...Array(5).fill('apply'), ...Array(3).fill('rebase')]);
  }),
);

/** A layer of one file, of so many bytes in all. */
function archiveOf(bytes: number): Uint8Array {
  const tar = new Uint8Array(bytes);
  tar.set(layer(file('f', 'x')));
  return tar;
}

for (const [format, compress] of Object.entries({ gzip: gzipSync, zstd: zstdCompressSync })) {
  for (const codec of ['auto', 'portable'] as const) {
    test(
      `${format}, ${codec}: what a few bytes expand to decides, before a byte is applied (H60)`,
      withDir(async (path) => {
        const { asked, job, small, provider } = setUp(path);
        if ((await provider()) !== 'ffi') return;
        for (const [bytes, by] of [
          [SMALL_EXPANDED, []],
          [SMALL_EXPANDED + 1, ['apply']],
          [32 << 20, ['apply']],
        ] as const) {
          const blob = compress(archiveOf(bytes));
          assert.ok(blob.length < LAYER_OF_SMALL_IMAGE);
          const root = join(path, `${bytes}`);
          mkdirSync(root);
          writeFileSync(`${root}.blob`, blob);
          const budget = image(blob.length);
          asked.length = 0;
          let turns = 0;
          const timer = setInterval(() => turns++, 0);
          const { size } = await small.apply({
            ...{ ...job, codec, maxBytes: 1 << 30, root, image: budget },
            ...{ blob: `${root}.blob`, blobSize: blob.length },
          });
          clearInterval(timer);
          assert.deepEqual(asked, by, `${bytes} bytes`);
          assert.ok(turns > 0, 'other work went on meanwhile');
          if (by.length > 0) {
            assert.deepEqual(readdirSync(root), []);
            assert.equal(new BigInt64Array(budget.spent)[0], 0n, 'nothing of the budget is spent');
          } else assert.equal(size, bytes);
        }
      }),
    );
  }
}

test(
  'a blob that is longer than it should be, or an aborted call, is no result',
  withDir(async (path) => {
    const { job, small, provider } = setUp(path);
    if ((await provider()) !== 'ffi') return;
    await assert.rejects(small.apply({ ...job, blobSize: 512 }), /truncated tar after 513 bytes/);
    await assert.rejects(small.apply(job, { signal: AbortSignal.abort(new Error('stop')) }), /stop/);
  }),
);

test(
  'a sync waits on this thread for no disk',
  withDir(async (path) => {
    const { asked, workers, bare } = setUp(path);
    const inMemory = new Set(['/memory']);
    const isVolatile = async (at: string) => {
      if (at === '/gone') throw new Error('no such directory');
      return inMemory.has(at);
    };
    const here: string[] = [];
    const syscalls = async () =>
      ({
        provider: 'ffi',
        syncfs: ({ fd }: { fd: number }) => void here.push(`here ${fd}`),
      }) as unknown as Syscalls;
    const syncing = withSmallJobs({
      ...bare,
      workers,
      fs: { ...bare.fs, isVolatile },
      syscalls,
      codecs: lazyCodecs(),
    });
    const held = (path: string) => ({ path, fd: 7 });
    for (const dirs of [['/memory'], ['/memory', '/disk'], ['/disk'], ['/gone']])
      await syncing.syncfs(dirs.map(held));
    assert.deepEqual(here, ['here 7']);
    assert.deepEqual(asked, ['syncfs', 'syncfs', 'syncfs']);
  }),
);
