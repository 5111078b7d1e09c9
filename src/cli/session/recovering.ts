import type { Recovered } from '../views/recovered.ts';
import { type Context, localRoot, recoveringLocalBackend, warn } from './context.ts';
import { storeDeps } from './transfer.ts';

/** Makes the records of a lost or damaged database again. */
export async function recovered(context: Context): Promise<Recovered> {
  const { recoverImages } = await import('../../core/verbs/recover.ts');
  const { beginRecovery, endRecovery } = await import('../../backends/local/recovery.ts');
  const { runtime, signal } = context;
  const root = localRoot(context);
  const { lost, movedTo, unreadable } = await beginRecovery(runtime, root, { signal });
  return await recoveringLocalBackend(context, async (backend) => {
    const report = await recoverImages(storeDeps(context, backend), lost, { signal });
    if (unreadable > 0) await warn(context, `warning: ${unreadable} entries of the index name no image`);
    const left = await endRecovery(runtime, root, backend, report.skipped, { signal });
    return { ...report, ...left, movedTo };
  });
}
