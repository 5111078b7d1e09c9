/** Workers whose small jobs (core/layers/small-layer.ts, a sync that waits for no disk) are done on this thread. */
import { KnownStore } from '../../core/archive/known-layers.ts';
import { streamOf } from '../../core/async/byte-stream.ts';
import { withOpen } from '../../core/async/cleanup.ts';
import { Limiter } from '../../core/async/limiter.ts';
import { AheadCodecs } from '../../core/layers/decoded-ahead.ts';
import { isSmallLayer, isSmallRebase, SMALL_EXPANDED } from '../../core/layers/small-layer.ts';
import { syncFileSystem } from '../../core/layers/sync-file-system.ts';
import type { ApplyJob, ApplyResult, HeldDir, Workers } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import type { Runtime } from '../../core/runtime.ts';

type Deps = Pick<Runtime, 'fs' | 'syscalls' | 'hashers' | 'codecs' | 'clock' | 'workers'>;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** `deps.workers`, whose small jobs are done here, one at a time, where system calls go through FFI: tools are slow. */
export function withSmallJobs(deps: Deps): Workers {
  const { workers, fs } = deps;
  const one = new Limiter(1);
  const known = new KnownStore();
  const onThisThread = async <T>(
    small: boolean,
    call: Call | undefined,
    work: (syscalls: Syscalls) => Promise<T>,
    otherwise: () => Promise<T>,
  ): Promise<T> => {
    const syscalls = small ? await deps.syscalls() : undefined;
    if (syscalls?.provider !== 'ffi') return await otherwise();
    return await one.run(call?.signal, () => work(syscalls));
  };
  return {
    ...workers,
    apply: async (job, call) => {
      const applied = await onThisThread(
        isSmallLayer(job),
        call,
        (syscalls) => applyHere({ ...deps, syscalls }, job, call),
        async () => undefined,
      );
      return applied ?? (await workers.apply(job, call));
    },
    rebase: (job, call) =>
      onThisThread(
        isSmallRebase(job),
        call,
        async (syscalls) => {
          const { rebaseLayer } = await import('../../core/layers/rebase-layer.ts');
          return rebaseLayer(syscalls, job, call, known.layers(job.store)) ?? null;
        },
        () => workers.rebase(job, call),
      ),
    // A file system in memory has nothing to wait for.
    syncfs: async (dirs, call) => {
      await onThisThread(
        await areVolatile(fs, dirs, call),
        call,
        async (syscalls) => {
          for (const dir of dirs) syncFileSystem(syscalls, dir);
        },
        () => workers.syncfs(dirs, call),
      );
    },
  };
}

/** Undefined, with nothing applied, when the layer expands to more than a small one may. */
async function applyHere(
  { fs, ...deps }: Omit<Deps, 'syscalls'> & { readonly syscalls: Syscalls },
  job: ApplyJob,
  call?: Parameters<Workers['apply']>[1],
): Promise<ApplyResult | undefined> {
  const { applyLayer } = await import('../../core/layers/apply-layer.ts');
  const bytes = await readBlobFile(fs, job, call);
  const codecs = new AheadCodecs(deps.codecs, SMALL_EXPANDED, turn);
  try {
    // Without progress: whoever applies the layer instead would begin anew.
    const signal = call?.signal;
    return await applyLayer(job, { ...deps, codecs, openBlob: () => streamOf(bytes), turn }, { signal });
  } catch (err) {
    if (codecs.exceeded) return undefined;
    throw err;
  }
}

async function areVolatile(
  fs: Deps['fs'],
  dirs: readonly (string | HeldDir)[],
  call?: Call,
): Promise<boolean> {
  for (const dir of dirs) {
    const path = typeof dir === 'string' ? dir : dir.path;
    if (!(await fs.isVolatile(path, call).catch(() => false))) return false;
  }
  return true;
}

/** Reads one byte more than the blob should have, which shows a longer blob. */
async function readBlobFile(
  fs: Deps['fs'],
  { blob, blobSize }: ApplyJob,
  call?: Call,
): Promise<Uint8Array<ArrayBuffer>> {
  return await withOpen(fs.open(blob, 'read', undefined, call), async (file) => {
    const bytes = new Uint8Array(blobSize + 1);
    return bytes.subarray(0, await file.read(bytes, 0));
  });
}
