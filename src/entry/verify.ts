/** The library's verbs that check what is stored, and mend it. */
import { canceling } from '../core/async/abort.ts';
import type { Backend } from '../core/backend.ts';
import type { Image } from '../core/images/image-store.ts';
import { defaultPlatform } from '../core/platforms/host.ts';
import type { Call } from '../core/ports/call.ts';
import type { Report } from '../core/progress/events.ts';
import { parseReference } from '../core/reference/parse.ts';
import { checkRate } from '../core/registry/flow.ts';
import { type JudgedImageRecord, judgeStored } from '../core/verbs/judge-stored.ts';
import { type RepairReport, repairImage } from '../core/verbs/repair.ts';
import { verify as verifyStore } from '../core/verbs/verify.ts';
import type { SoundThings, VerifyProgress, VerifyReport } from '../core/verify/report.ts';
import { type ApiTransferOptions, platformsOf, TRANSFER_NAMES, withDeps } from './api.ts';
import { called, type OptionNames } from './called.ts';
import { type ApiGateOptions, GATE_NAMES, judgingApiGate } from './gate.ts';
import { optionHint } from './option-hints.ts';
import { checkRestriction } from './restriction.ts';
import { type AnyStore, partsOf } from './stores.ts';

/** What `verify` takes. */
export interface ApiVerifyOptions extends Call {
  /** The open store. */
  readonly store: AnyStore;
  /** Names of images: only what they need is checked. Not given: everything in the namespace. */
  readonly images?: readonly string[] | undefined;
  /** Not given: both; an empty list is an error. Only `content` inside a containerd, whose snapshots cannot be compared (NotImplemented). */
  readonly parts?: readonly ('content' | 'snapshots')[] | undefined;
  /** Not given: all of the store's. */
  readonly snapshotter?: string | undefined;
  /** Bytes read from the disk a second. */
  readonly limitRate?: number | undefined;
  /** Gets how far the check is, often. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Takes what is found sound; what it has is not looked at again. So a check that was interrupted goes on. */
  readonly sound?: SoundThings | undefined;
}

const VERIFY_NAMES: OptionNames<ApiVerifyOptions> = {
  signal: true,
  store: true,
  images: true,
  parts: true,
  snapshotter: true,
  limitRate: true,
  onProgress: true,
  sound: true,
};

/**
 * Hashes blobs, checks documents against what they name, and compares unpacked layers with their blobs. Nothing is changed; damage is
 * in the report, not an error. NotFound for an image that is not in the store.
 *
 * ```ts
 * const { damage } = await verify({ store, images: ['alpine:3.20'] });
 * ```
 */
export async function verify(options: ApiVerifyOptions): Promise<VerifyReport> {
  return await called(VERIFY_NAMES, options, async (options) => {
    const { store, parts, snapshotter, limitRate: rate, onProgress, sound } = options;
    checkRestriction('parts', parts);
    checkRate(rate);
    const { backend, runtime } = partsOf(store);
    const { clock, hashers, codecs, host } = runtime;
    const hostPlatform = defaultPlatform(backend, host);
    const deps = { backend, clock, hashers, codecs, hostPlatform, cpus: host.cpus };
    return await canceling(options.signal, async (signal) => {
      const images = await imagesOf(options, backend, { signal });
      return await verifyStore(deps, { images, parts, snapshotter, rate, onProgress, sound, signal });
    });
  });
}

/** What `verifySignatures` takes. */
export interface ApiSignaturesOptions extends Call, ApiGateOptions {
  /** The open store. */
  readonly store: AnyStore;
  /** Names of images. Not given: all in the namespace. */
  readonly images?: readonly string[] | undefined;
  /** `linux/arm64`. Of an index that is not signed itself: whose manifests have to be. Default: those whose manifest and config are here. */
  readonly platforms?: readonly string[] | undefined;
  /** Gets what the user should know: warnings. */
  readonly onProgress?: Report | undefined;
}

const SIGNATURES_NAMES: OptionNames<ApiSignaturesOptions> = {
  ...GATE_NAMES,
  signal: true,
  store: true,
  images: true,
  platforms: true,
  onProgress: true,
};

/**
 * Judges whether images of the store would come in now, by the signatures that the store has; no registry is asked. Who may not come in is in the
 * result, not an error. NotFound for an image that is not in the store, InvalidArgument where `verify` and `verifiers` name nobody to ask: left away, empty,
 * the policy `none`, or the policy of a machine that has none.
 */
export async function verifySignatures(options: ApiSignaturesOptions): Promise<readonly JudgedImageRecord[]> {
  return await called(SIGNATURES_NAMES, options, async (options) => {
    const { store, onProgress: report } = options;
    const { backend, runtime } = partsOf(store);
    const hostPlatform = defaultPlatform(backend, runtime.host);
    const platforms = platformsOf<never>(options.platforms, hostPlatform);
    return await canceling(options.signal, async (signal) => {
      const gate = await judgingApiGate(runtime, options);
      const images = await imagesOf(options, backend, { signal });
      const given = { ...gate, images, platforms, report, signal };
      const judged = await judgeStored({ backend, hostPlatform }, given);
      return judged.map(({ hint, ...one }) =>
        hint === undefined ? one : { ...one, hint: optionHint(hint) },
      );
    });
  });
}

async function imagesOf(
  { images }: { readonly images?: readonly string[] | undefined },
  backend: Backend,
  call: Call,
): Promise<readonly Image[] | undefined> {
  const found = images?.map((name) => backend.images.get(parseReference(name).name, call));
  return found && (await Promise.all(found));
}

/** What `repair` takes. `platforms` has no say. */
export interface ApiRepairOptions extends ApiTransferOptions {
  /** The open store. */
  readonly store: AnyStore;
  /** Not given: all of the store's. */
  readonly snapshotter?: string | undefined;
}

const REPAIR_NAMES: OptionNames<ApiRepairOptions> = { ...TRANSFER_NAMES, snapshotter: true };

/**
 * Fetches the damaged blobs of an image of the store, and unpacks its damaged layers anew: nothing else is fetched or touched, and what is
 * mounted stays as it is. What cannot be repaired is in the report. NotFound for an image that is not in the store.
 *
 * ```ts
 * const report = await repair('alpine:3.20', { store });
 * ```
 */
export async function repair(reference: string, options: ApiRepairOptions): Promise<RepairReport> {
  return await called(REPAIR_NAMES, options, async (options) => {
    const { snapshotter } = options;
    return await withDeps(reference, options, async (deps, common) => {
      const image = await deps.backend.images.get(common.reference.name, { signal: common.signal });
      return await repairImage(deps, { ...common, image, snapshotter });
    });
  });
}
