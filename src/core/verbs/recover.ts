/** The verb `recover`: records again what a lost database had, from the blobs alone. Nothing is fetched. */
import type { Labels } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { refKey } from '../content/ref-key.ts';
import { ifFound, isKind, messageOf } from '../errors.ts';
import { admittedIn } from '../images/admitted.ts';
import { type Claims, claim } from '../images/dispatch.ts';
import { childLabels, sourceLabels, UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import { imageStatus, isComplete } from '../images/inspect.ts';
import { planUnpack } from '../layers/layer-steps.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { childrenOf, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseConfig } from '../oci/documents.ts';
import { isDocumentType, isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import { parseReference } from '../reference/parse.ts';
import { type Job, withJob } from './job.ts';
import type { StoreDeps, VerbOptions } from './options.ts';

/** An image that an index names. */
export interface LostImage {
  readonly name: string;
  readonly target: Descriptor;
}

/** What a recovery has found and recorded. */
export interface RecoverReport {
  /** `complete`: all that this machine's platform needs is in the store. */
  readonly images: readonly { readonly name: string; readonly complete: boolean }[];
  /** Images that are not recorded, for their root is not in the store, say. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
  /** Images whose names name other digests by now: they stay as they are. */
  readonly taken: readonly { readonly name: string; readonly why: string }[];
  /** Those of the images that are indexes: which of their entries a policy had let in is not known any more. */
  readonly unjudged: readonly string[];
  /** Blobs whose digest held, and that are recorded now. */
  readonly blobs: number;
  /** Of those blobs. */
  readonly bytes: number;
}

/** What a store has that no image names, once the images are recovered. */
export interface Leftovers {
  /** Directories of snapshots without a record: layers to be unpacked again, and what users wrote. */
  readonly directories: number;
  /** Files of the loss: while one of them is there, no collection removes such a directory. */
  readonly keptBy: readonly string[];
}

/**
 * Hashes the blobs of the images, records those that are right, gives them the labels that a fetch gives, and last records each
 * image. A name that names another digest by now stays as it is; one that names the same digest may lack parts that the lost image had (other
 * platforms). Snapshots are not recovered: unpacking makes them anew.
 */
export async function recoverImages(
  deps: StoreDeps,
  lost: readonly LostImage[],
  options: VerbOptions,
): Promise<RecoverReport> {
  return await withJob(deps, options, async (job) => {
    const recovery = new Recovery(job);
    const images: { name: string; complete: boolean }[] = [];
    const skipped: { name: string; why: string }[] = [];
    const taken: { name: string; why: string }[] = [];
    for (const { name, target } of lost) {
      try {
        const now = await targetNow(job, name, target);
        if (now.digest !== target.digest) taken.push({ name, why: `it names ${now.digest} now` });
        else if (await recovery.image(name, now)) images.push({ name, complete: await isWhole(job, target) });
        else skipped.push({ name, why: `${target.digest} is not in the store, or damaged` });
      } catch (err) {
        const why = whySkipped(err, job);
        (isKind(err, 'AlreadyExists') ? taken : skipped).push({ name, why });
      }
    }
    const { blobs, bytes, unjudged } = recovery;
    return { images, skipped, taken, unjudged, blobs: blobs.size, bytes };
  });
}

/** What the name names by now, with its annotations; `target` when it names nothing. */
async function targetNow({ deps, signal }: Job, name: string, target: Descriptor): Promise<Descriptor> {
  return (await ifFound(deps.backend.images.get(name, { signal })))?.target ?? target;
}

/** Throws what ends the recovery. */
function whySkipped(err: unknown, { signal }: Job): string {
  signal.throwIfAborted();
  if (isKind(err, 'Canceled', 'ResourceExhausted', 'Unavailable')) throw err;
  return messageOf(err);
}

/** Of an image that is recorded; false for one whose documents do not tell. */
async function isWhole(job: Job, target: Descriptor): Promise<boolean> {
  const { backend, hostPlatform } = job.deps;
  try {
    const { signal } = job;
    return isComplete(await imageStatus(backend.content, target, only(hostPlatform), { signal }));
  } catch (err) {
    whySkipped(err, job);
    return false;
  }
}

class Recovery {
  /** By digest: whether the blob is in the store now. */
  readonly #seen = new Map<string, boolean>();
  /** What the image in hand has that is in the store. */
  #claimed: Claims = new Map();
  readonly blobs: Set<string> = new Set();
  bytes = 0;
  /** Names of indexes of which all entries count as let in. */
  readonly unjudged: string[] = [];
  readonly #job: Job;

  constructor(job: Job) {
    this.#job = job;
  }

  /** False when the root is not in the store. InvalidArgument when the image has more parts than a fetch takes. */
  async image(name: string, target: Descriptor): Promise<boolean> {
    const { deps, lease, signal } = this.#job;
    if (!(await this.#adopt(target))) return false;
    this.#claimed = new Map();
    claim(this.#claimed, target, 0);
    await this.#below(sourceOf(name), target, 0);
    const { labels } = await deps.backend.images.put(name, target, {}, { lease, signal, keepsOther: true });
    if (isIndexType(target.mediaType) && admittedIn(target.digest, labels) === undefined)
      this.unjudged.push(name);
    return true;
  }

  /** Records a blob whose bytes are there and right. */
  async #adopt(desc: Descriptor): Promise<boolean> {
    const known = this.#seen.get(desc.digest);
    if (known !== undefined) return known;
    const { deps, lease, signal } = this.#job;
    const { content } = deps.backend;
    const ref = refKey(desc);
    let isThere = false;
    try {
      const ingest = await content.ingest(ref, desc, { lease, signal });
      await ingest[Symbol.asyncDispose]();
      await ifFound(content.abort(ref, { signal }));
    } catch (err) {
      if (!isKind(err, 'AlreadyExists')) throw err;
      isThere = true;
    }
    this.#seen.set(desc.digest, isThere);
    if (isThere) {
      this.blobs.add(desc.digest);
      this.bytes += desc.size;
    }
    return isThere;
  }

  /** `source`: the label that says where the blobs came from. */
  async #below(source: Labels | undefined, desc: Descriptor, depth: number): Promise<void> {
    const { mediaType } = desc;
    const { deps, signal } = this.#job;
    const { content } = deps.backend;
    if (!isDocumentType(mediaType)) {
      if (source !== undefined) await content.label(desc.digest, source, { signal });
      return;
    }
    const children = childrenOf(await readBlob(content, desc, MAX_MANIFEST_BYTES, { signal }), desc);
    await content.label(desc.digest, { ...childLabels(children), ...source }, { signal });
    for (const child of children) {
      const isNew = (await this.#adopt(child)) && claim(this.#claimed, child, depth + 1);
      if (isNew) await this.#below(source, child, depth + 1);
    }
    if (isManifestType(mediaType)) await this.#diffIds(desc, children);
  }

  /** What each layer expands to, by the config. */
  async #diffIds(manifest: Descriptor, children: readonly Descriptor[]): Promise<void> {
    const { deps, signal } = this.#job;
    const { content } = deps.backend;
    const [config] = children;
    if (config === undefined || !mayBeImageConfig(config.mediaType)) return;
    if (this.#seen.get(config.digest) !== true) return;
    try {
      const { diffIds } = parseConfig(await readBlob(content, config, MAX_CONFIG_BYTES, { signal }), config);
      for (const { layer, diffId } of planUnpack(manifest, children, diffIds, deps.hashers)) {
        if (this.#seen.get(layer.digest) !== true) continue;
        await content.label(layer.digest, { [UNCOMPRESSED_LABEL]: diffId }, { signal });
      }
    } catch (err) {
      // An artifact, or an image that cannot be unpacked: its content is recovered all the same.
      if (!isKind(err, 'InvalidArgument', 'FailedPrecondition', 'NotImplemented', 'ResourceExhausted'))
        throw err;
    }
  }
}

/** Where the blobs of an image of this name came from; undefined for a name that is no reference. */
function sourceOf(name: string): Labels | undefined {
  try {
    return sourceLabels(parseReference(name));
  } catch {
    return undefined;
  }
}
