/** The verb `diff`: the layer that makes one snapshot of another, written out and (if asked) kept as a blob. */
import { cleaningUp } from '../async/cleanup.ts';
import type { Labels } from '../content/content-store.ts';
import { UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import { readLayerFacts } from '../layers/layer-state.ts';
import type { Digest } from '../oci/digest.ts';
import type { SnapshotDiff } from '../snapshots/snapshotter.ts';
import { type Job, withJob } from './job.ts';
import type { StoreDeps, VerbOptions } from './options.ts';

export const DIFF_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface DiffOptions extends VerbOptions {
  /** Not given: the parent of `upper`. */
  readonly lower?: string | undefined;
  readonly upper: string;
  readonly snapshotter?: string | undefined;
  /** Default: DIFF_TYPE. */
  readonly mediaType?: string | undefined;
  /** The blob is stored with these labels. Not given: nothing is stored. */
  readonly keep?: Labels | undefined;
  /** Takes the bytes of the layer. */
  readonly write: (chunk: Uint8Array) => Promise<void>;
}

/** The digest of the blob, when it is kept. */
export async function diffSnapshots(deps: StoreDeps, options: DiffOptions): Promise<Digest | undefined> {
  const snapshotter = deps.backend.snapshotter(options.snapshotter);
  return await withJob(deps, options, async (job) => {
    const call = { signal: job.signal, lease: job.lease };
    const { upper, mediaType = DIFF_TYPE } = options;
    await held(job, upper);
    const lower = options.lower ?? (await snapshotter.stat(upper, call)).parent;
    if (lower !== '') await held(job, lower);
    const made = await snapshotter.diff(lower, upper, { mediaType, ...call });
    return await take(job, made);
  });
}

async function held(
  { deps, options, lease, signal }: Job<StoreDeps, DiffOptions>,
  key: string,
): Promise<void> {
  const { name } = deps.backend.snapshotter(options.snapshotter);
  await deps.backend.leases.add(lease, { type: `snapshots/${name}`, id: key }, { signal });
}

async function take(job: Job<StoreDeps, DiffOptions>, made: SnapshotDiff): Promise<Digest | undefined> {
  const { deps, options, lease, signal } = job;
  const { content } = deps.backend;
  const { keep, write } = options;
  if ('blob' in made) {
    for await (const chunk of await content.open(made.blob, { signal })) await write(chunk);
    if (keep === undefined) return undefined;
    await content.label(made.blob, keep, { signal });
    return await labelled(job, made.blob);
  }
  if (keep === undefined) {
    for await (const chunk of made.stream) await write(chunk);
    return undefined;
  }
  const ingest = await content.ingest(`diff-${lease}`, {}, { lease, signal });
  const store = async (): Promise<Digest> => {
    for await (const chunk of made.stream) {
      // The store may write the bytes later, and whoever else takes them may change them.
      await ingest.write(new Uint8Array(chunk), { signal });
      await write(chunk);
    }
    return await ingest.commit({ labels: keep, lease, signal });
  };
  const digest = await cleaningUp(store, () => ingest[Symbol.asyncDispose]());
  return await labelled(job, digest);
}

/** With its diff ID, as containerd's diff service labels a layer. */
async function labelled({ deps, signal }: Job<StoreDeps, DiffOptions>, digest: Digest): Promise<Digest> {
  const { backend, codecs, hashers } = deps;
  const { content } = backend;
  const { diffId } = await readLayerFacts({ content, codecs, hashers }, digest, { signal });
  await content.label(digest, { [UNCOMPRESSED_LABEL]: diffId }, { signal });
  return digest;
}
