import { LayerApplier } from '../archive/apply.ts';
import type { TarSink } from '../archive/entry.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { byteStream } from '../async/byte-stream.ts';
import { DETECT_LENGTH, detectCompression, FORMATS } from '../codec/formats.ts';
import { peek } from '../codec/peek.ts';
import { release } from '../codec/release.ts';
import { HawserError, undone } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Codecs, Compression } from '../ports/codecs.ts';
import type { Hasher, Hashers } from '../ports/hashers.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import { Expense } from './image-budget.ts';
import { FREE_BYTES, type JobSettings } from './layer-settings.ts';
import { checkLayerType } from './layer-type.ts';
import { Spent } from './spent.ts';
import type { ApplyJob, ApplyResult } from './workers.ts';

const PROGRESS_INTERVAL_MS = 100;

export interface ApplyDeps {
  readonly syscalls: Syscalls;
  readonly hashers: Hashers;
  readonly codecs: Pick<Codecs, 'get'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Resolves after the waiting events of the event loop have run. */
  turn(): Promise<void>;
  openBlob(job: Pick<ApplyJob, 'blob' | 'blobSize' | 'growing'>, call?: Call): ReadableStream<Uint8Array>;
  /** Compressed bytes taken so far, at most ten times a second and at the end. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Stands between the archive and the tree: what it is given, it gives on. */
  readonly watch?: ((applier: TarSink) => TarSink) | undefined;
}

/**
 * Applies one blob to a directory: decompresses, hashes and unpacks in one go, without holding the layer in memory. The
 * caller checks that the blob is verified and the diff ID the wanted one. A blob of no bytes is an empty layer. After an error or
 * an abort the directory holds part of a layer and must be removed.
 */
export async function applyLayer(job: ApplyJob, deps: ApplyDeps, call: Call = {}): Promise<ApplyResult> {
  checkLayerType(job.mediaType);
  const applier = new LayerApplier(deps.syscalls, job);
  const expense = new Expense(job.image);
  try {
    const blob = deps.openBlob(job, call);
    const spent = new Spent(() => deps.clock.monotonic());
    const counting = counted(blob, deps.onProgress, job.growing === null ? undefined : spent, deps.clock);
    const { head, stream } = await peek(counting, DETECT_LENGTH, call);
    const hasher = deps.hashers.create('sha256');
    const compression = detectCompression(head);
    const decoded = await decode(compression, stream, job, deps, call);
    const check = expansionCheck(job, compression);
    const size = await unpack(
      decoded,
      new TarReader(deps.watch?.(applier) ?? applier),
      { hasher, check, expense, spent, turn: deps.turn },
      call,
    );
    const record = applier.finish() ?? null;
    spent.lap('apply');
    call.signal?.throwIfAborted();
    applier.close();
    return {
      diffId: `sha256:${hasher.digest()}`,
      size,
      entries: applier.entries,
      times: spent.times(),
      warnings: applier.warnings,
      privileged: applier.privileged,
      record,
    };
  } catch (err) {
    expense.giveBack();
    throw undone(err, () => applier.close());
  }
}

/** Returns the check of a layer's expanded size: ResourceExhausted beyond its limits. */
export function expansionCheck(
  { maxBytes, maxRatio, blobSize }: Pick<JobSettings, 'maxBytes' | 'maxRatio'> & Pick<ApplyJob, 'blobSize'>,
  compression: Compression,
): (size: number) => void {
  const ratio = compression === 'identity' ? 0 : maxRatio * FORMATS[compression].expansion;
  const byRatio = ratio === 0 ? Number.POSITIVE_INFINITY : blobSize * ratio;
  const most = Math.min(maxBytes, Math.max(byRatio, FREE_BYTES));
  return (size) => {
    if (size <= most) return;
    const [what, flag] =
      most === maxBytes
        ? [`${most} bytes`, '--max-layer-size']
        : [`${ratio} times its ${blobSize} compressed bytes`, '--max-layer-ratio'];
    throw new HawserError('ResourceExhausted', `the layer expands to more than ${what}`, {
      hint: `This is how a decompression bomb looks; for an image that you trust, lift the limit with ${flag}=0`,
    });
  };
}

async function decode(
  compression: Compression,
  stream: ReadableStream<Uint8Array>,
  job: ApplyJob,
  deps: ApplyDeps,
  call: Call,
): Promise<ReadableStream<Uint8Array>> {
  try {
    const codec = await deps.codecs.get(compression, job.codec);
    return codec.decode(stream, call);
  } catch (err) {
    await stream.cancel(err).catch(() => {});
    throw err;
  }
}

/** Bytes unpacked between two turns of the event loop: a turn lets decompression of the next chunks begin. */
const SLICE = 128 * 1024;

interface Unpacking extends Pick<ApplyDeps, 'turn'> {
  readonly hasher: Hasher;
  readonly check: (size: number) => void;
  readonly expense: Expense;
  readonly spent: Spent;
}

/** Returns the number of expanded bytes. Bytes after the end of the archive count and are hashed too. */
async function unpack(
  stream: ReadableStream<Uint8Array>,
  tar: TarReader,
  { hasher, check, expense, spent, turn }: Unpacking,
  call: Call,
): Promise<number> {
  const reader = stream.getReader();
  let size = 0;
  try {
    for (;;) {
      call.signal?.throwIfAborted();
      const { value, done } = await reader.read();
      spent.lap('inflate');
      if (done) break;
      size += value.length;
      check(size);
      expense.add(value.length);
      hasher.update(value);
      spent.lap('verify');
      for (let at = 0; at < value.length; at += SLICE) {
        tar.push(value.subarray(at, at + SLICE));
        await turn();
      }
      spent.lap('apply');
      release(value);
    }
    tar.end();
    return size;
  } catch (err) {
    await reader.cancel(err).catch(() => {});
    throw err;
  }
}

/** Passes `source` on. Reports the bytes taken so far, ten times a second and at the end; tells `spent` when a read waits. */
function counted(
  source: ReadableStream<Uint8Array>,
  report: ((bytes: number) => void) | undefined,
  spent: Spent | undefined,
  clock: Pick<Clock, 'monotonic'>,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let count = 0;
  let last = Number.NEGATIVE_INFINITY;
  const next = async (): Promise<Uint8Array | undefined> => {
    spent?.waiting(true);
    const { value, done } = await reader.read();
    spent?.waiting(false);
    count += value?.length ?? 0;
    const now = clock.monotonic();
    if (done || now - last >= PROGRESS_INTERVAL_MS) {
      last = now;
      report?.(count);
    }
    return value;
  };
  return byteStream({ next, cancel: (reason) => reader.cancel(reason) });
}
