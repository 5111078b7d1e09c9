/** Workers that are not asked for what costs less than asking. */

import type { LayerRecord } from '../../core/archive/layer-record.ts';
import { Limiter } from '../../core/async/limiter.ts';
import { SMALL_LAYER } from '../../core/layers/small-layer.ts';
import type { ApplyJob, RebaseJob, Workers } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import type { Runtime } from '../../core/runtime.ts';

/** Directories, names and guesses of a record that is settled here. */
const SMALL_RECORD = 64;

type Deps = Pick<Runtime, 'fs' | 'syscalls' | 'hashers' | 'codecs' | 'workers'>;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** `deps.workers`, whose small layers are applied and rebased on this thread, one at a time. Needs FFI: tools are slow. */
export function withSmallJobs(deps: Deps): Workers {
  const { workers, hashers, codecs, fs } = deps;
  const one = new Limiter(1);
  const here = async <T>(
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
    apply: (job, call) =>
      here(
        isSmallLayer(job),
        call,
        async (syscalls) => {
          const { applyLayer } = await import('../../core/layers/apply-layer.ts');
          const bytes = await readBlobFile(fs, job, call);
          const openBlob = () => new Blob([bytes]).stream();
          return await applyLayer(job, { syscalls, hashers, codecs, openBlob, turn, ...call }, call);
        },
        () => workers.apply(job, call),
      ),
    rebase: (job, call) =>
      here(
        isSmallRebase(job),
        call,
        async (syscalls) => {
          const { rebaseLayer } = await import('../../core/layers/rebase-layer.ts');
          return rebaseLayer(syscalls, job, call) ?? null;
        },
        () => workers.rebase(job, call),
      ),
  };
}

/** A blob that still arrives would have to be waited for. A copy of the parent's tree is not small. */
function isSmallLayer({ blobSize, growing, mode }: ApplyJob): boolean {
  return growing === null && blobSize <= SMALL_LAYER && mode !== 'flat';
}

/** An opaque directory is settled by listing those below it, which may be large. */
function isSmallRebase({ mode, record }: RebaseJob): boolean {
  return mode === 'overlay' && sizeOf(record) <= SMALL_RECORD && !record.nodes.some((node) => node.opaque);
}

function sizeOf({ nodes, guesses }: LayerRecord): number {
  return nodes.reduce((sum, node) => sum + 1 + node.cuts.length, guesses.length);
}

/** One byte more than it should have shows one that is longer. */
async function readBlobFile(
  fs: Deps['fs'],
  { blob, blobSize }: ApplyJob,
  call?: Call,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await fs.open(blob, 'read', undefined, call);
  try {
    const bytes = new Uint8Array(blobSize + 1);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}
