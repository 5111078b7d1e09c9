/** The verb `push`: an image of a store to a registry (ctr images push, docker push). */
import { Limiter } from '../async/limiter.ts';
import { Turns } from '../async/turns.ts';
import type { Labels } from '../content/content-store.ts';
import { ifFound } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import { Mounts } from '../push/mounts.ts';
import { pushImage } from '../push/push-image.ts';
import type { Reference } from '../reference/reference.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { Registry } from '../registry/registry.ts';
import { withJob } from './job.ts';
import type { FetchResult, StoreDeps, VerbOptions } from './options.ts';
import { type CargoOptions, loadCargo, withReferrers } from './push-cargo.ts';
import { DEFAULT_CONCURRENCY } from './walk.ts';

export interface PushDeps extends StoreDeps {
  readonly registry: Registry;
  /** Undefined: this is the only push. */
  readonly pushes?: Pushes | undefined;
}

/** What several pushes share. */
export interface Pushes {
  readonly uploads: Limiter;
  readonly turns: Turns;
  readonly mounts: Mounts;
}

/** How blobs are sent. */
export interface SendOptions {
  /** Bytes of the parts that blobs are sent in. Default: in one request, and in parts after a lost connection. */
  readonly chunkSize?: number | undefined;
  /** Blobs sent at once; 0 or not given: 6. */
  readonly maxConcurrentUploads?: number | undefined;
  /** How long a failure that may pass is tried again. */
  readonly retry?: RetryOptions | undefined;
}

export interface PushOptions extends VerbOptions, CargoOptions, SendOptions {
  readonly image: Pick<Image, 'name' | 'target'>;
  /** Where to, and what the image is called there. */
  readonly to: Reference;
  /** Pushes what is here and refers to the image: signatures, SBOMs. */
  readonly referrers?: boolean | undefined;
}

/** What was pushed: the name, and what it names there. */
export type PushResult = FetchResult;

/** For several pushes by one client of registries. */
export function pushesTogether({ maxConcurrentUploads }: SendOptions): Pushes {
  const uploads = new Limiter(maxConcurrentUploads || DEFAULT_CONCURRENCY);
  return { uploads, turns: new Turns(), mounts: new Mounts() };
}

/**
 * Pushes: what the registry has is not sent again, and the tag moves last. NotFound for what is not here, DataLoss for a blob that has
 * rotted (no registry gets the whole of it), and whatever the registry refuses.
 */
export async function push(deps: PushDeps, options: PushOptions): Promise<PushResult> {
  return await withJob(deps, options, async ({ lease, signal, report }) => {
    const { image, to } = options;
    const { content, leases } = deps.backend;
    // What is about to be sent must not be collected meanwhile.
    await leases.add(lease, { type: 'content', id: image.target.digest }, { signal });
    report({ type: 'resolving', name: to.name });
    const warn = (message: string) => report({ type: 'warning', message });
    const from = { content, hashers: deps.hashers, warn };
    const { target, cargo: bare } = await loadCargo(from, image, to, options, 'push', { signal });
    const cargo = options.referrers ? await withReferrers(from, bare, image, { signal }) : bare;
    report({ type: 'resolved', name: to.name, root: target });
    const labels = async (digest: Digest, call: Call): Promise<Labels> =>
      (await ifFound(content.info(digest, call)))?.labels ?? {};
    const { registry, clock, hashers, pushes = pushesTogether(options) } = deps;
    const { retry, chunkSize } = options;
    const writer = await registry.writer(to, { signal });
    const parts = { writer, content, labels, clock, hashers, report, retry, chunkSize, ...pushes };
    await pushImage(parts, cargo, to.tag ?? target.digest, { signal });
    report({ type: 'pushed', name: to.name, target: target.digest });
    return { name: to.name, target };
  });
}
