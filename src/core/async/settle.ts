import { canceled, linkAbort } from './abort.ts';

/**
 * Runs `work` for every item at once. The first failure aborts the signal of the others (Canceled, with the failure as its cause) and is
 * thrown when all have ended: nothing still runs when this returns.
 */
export async function allOrAbort<T, R>(
  items: readonly T[],
  parent: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const stop = new AbortController();
  const unlink = linkAbort(parent, stop);
  let failure: { reason: unknown } | undefined;
  const settled = await Promise.allSettled(
    items.map(async (item) => {
      try {
        return await work(item, stop.signal);
      } catch (err) {
        failure ??= { reason: err };
        stop.abort(canceled(err));
        throw err;
      }
    }),
  );
  unlink();
  if (failure) throw failure.reason;
  return settled.map((one) => (one as PromiseFulfilledResult<R>).value);
}
