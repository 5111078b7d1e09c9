/** The bytes of a blob that some process is fetching into this store, as they come. */
import { byteStream } from '../../core/async/byte-stream.ts';
import type { Arriving } from '../../core/content/content-store.ts';
import { HawserError, ifFound } from '../../core/errors.ts';
import type { Digest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import { allIngests, findIngest } from './ingest-record.ts';
import type { Store } from './store.ts';

const READ_SIZE = 128 * 1024;
/** How often a file that has not grown is looked at, in milliseconds. */
const INTERVAL = 200;
/** Milliseconds without growth after which the writer counts as stopped. */
const STALL = 30_000;

/** By the record of an ingest that expects the digest, and says how long the blob is. */
export async function openArriving(
  store: Store,
  digest: Digest,
  { signal }: Call,
): Promise<Arriving | undefined> {
  const record = allIngests(store).find((one) => one.expected === digest && one.total > 0);
  if (record === undefined || !(await isWritten(store, record.ref, { signal }))) return undefined;
  const { fs, clock } = store.runtime;
  const file = await ifFound(fs.open(store.path(`${record.dir}/data`), 'read', undefined, { signal }));
  if (file === undefined) return undefined;
  const { total } = record;
  let at = 0;
  let since = clock.monotonic();
  const checkGrowth = async (): Promise<void> => {
    const isLate = clock.monotonic() - since > STALL;
    const isLeft = isLate || !(await isWritten(store, record.ref, { signal }));
    const size = await file.size();
    if (size < at) throw gone(digest, 'DataLoss', 'its bytes were dropped, to be fetched anew');
    if (isLeft && size <= at) throw gone(digest, 'Unavailable', 'nobody fetches it any more');
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    if (at >= total) return undefined;
    const buffer = new Uint8Array(Math.min(READ_SIZE, total - at));
    for (;;) {
      signal?.throwIfAborted();
      const got = await file.read(buffer, at);
      if (got > 0) {
        at += got;
        since = clock.monotonic();
        return buffer.subarray(0, got);
      }
      await checkGrowth();
      await clock.sleep(INTERVAL, signal);
    }
  };
  return { size: total, body: byteStream({ next, close: () => file.close() }) };
}

/** Whether a live process writes the ref. */
async function isWritten(store: Store, ref: string, call: Call): Promise<boolean> {
  const owner = findIngest(store, ref)?.owner;
  return owner !== undefined && (await store.owner.look(owner, call)) === 'alive';
}

function gone(digest: Digest, kind: 'DataLoss' | 'Unavailable', why: string): HawserError {
  return new HawserError(kind, `Cannot follow the download of ${digest}: ${why}`);
}
