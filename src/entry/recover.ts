/** The library's verb for a store whose database is lost or damaged. */
import { chooseRoot } from '../backends/local/default-root.ts';
import { beginRecovery, endRecovery } from '../backends/local/recovery.ts';
import { canceling } from '../core/async/abort.ts';
import { closingAfter } from '../core/async/cleanup.ts';
import { defaultPlatform } from '../core/platforms/host.ts';
import { type Leftovers, type RecoverReport, recoverImages } from '../core/verbs/recover.ts';
import { called } from './called.ts';
import { defaultRuntime } from './library.ts';
import { openStore, partsOf, STORE_NAMES, type StoreOptions } from './stores.ts';

/**
 * Makes the records of a lost or damaged database again, from `content/` alone: images by the index, into the namespace of the options;
 * blobs whose digests hold; labels by the documents. A damaged file is renamed, never removed. A database that is whole stays as it is.
 * NotFound without a store; Unavailable while another process uses the store.
 *
 * ```ts
 * const { images, skipped } = await recover({ root: '/var/lib/images' });
 * ```
 */
export async function recover(options: StoreOptions = {}): Promise<RecoverReport & Leftovers> {
  return await called(STORE_NAMES, options, async (options) => {
    const runtime = await defaultRuntime();
    const root = chooseRoot(options.root ?? (runtime.host.env('HAWSER_ROOT') || undefined), runtime.host);
    const begun = await closingAfter(
      () => canceling(options.signal, (signal) => beginRecovery(runtime, root, { signal })),
      () => runtime.workers[Symbol.asyncDispose](),
    );
    const store = await openStore({ ...options, root, onProgress: undefined });
    const { backend, runtime: own } = partsOf(store);
    const { clock, hashers, codecs, host } = own;
    const hostPlatform = defaultPlatform(backend, host);
    const deps = { backend, clock, hashers, codecs, hostPlatform, cpus: host.cpus };
    return await closingAfter(
      () =>
        canceling(options.signal, async (signal) => {
          const report = await recoverImages(deps, begun.lost, { signal });
          return { ...report, ...(await endRecovery(own, root, backend, report.skipped, { signal })) };
        }),
      () => store[Symbol.asyncDispose](),
    );
  });
}
