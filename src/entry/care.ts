/** The library's verbs that look after a store: what takes room, what a collection would do, other names, images that may go. */
import { canceling } from '../core/async/abort.ts';
import { checkDuration } from '../core/duration.ts';
import { HawserError } from '../core/errors.ts';
import { imageFields, parseFilters } from '../core/filter/filter.ts';
import { type GcPlan, planCollection } from '../core/gc/survey.ts';
import { type StoreUsage, usageOf } from '../core/gc/usage.ts';
import type { Image } from '../core/images/image-store.ts';
import type { Call } from '../core/ports/call.ts';
import { parseReference } from '../core/reference/parse.ts';
import { choosePruned, type PruneChoice, pruneChosen } from '../core/verbs/prune.ts';
import { tagImage } from '../core/verbs/tag.ts';
import { called, type OptionNames } from './called.ts';
import { checkRestriction } from './restriction.ts';
import { type AnyStore, partsOf } from './stores.ts';

/** What `tag` takes. */
export interface ApiTagOptions extends Call {
  /** Has the image. */
  readonly store: AnyStore;
  /** Moves a name that is taken. */
  readonly force?: boolean | undefined;
}

/** What `prune` takes. All rules that are given must hold for an image to go. */
export interface ApiPruneOptions extends Call {
  /** Has the images. */
  readonly store: AnyStore;
  /** containerd's filters: `name~=^registry.test/`, `labels."a.b/c"==d`; one of them is enough. An empty list is an error. */
  readonly filters?: readonly string[] | undefined;
  /** Milliseconds: only images whose record has not changed for so long. */
  readonly olderThan?: number | undefined;
  /** How many of each repository stay, those that changed last. */
  readonly keep?: number | undefined;
  /** Removes nothing. */
  readonly dryRun?: boolean | undefined;
}

/** What `images` takes. */
export interface ApiImagesOptions extends Call {
  /** Has the images. */
  readonly store: AnyStore;
  /** containerd's filters: `name~=^registry.test/`, `labels."a.b/c"==d`; one of them is enough. Default: all images. */
  readonly filters?: readonly string[] | undefined;
}

const CALL_NAMES: OptionNames<Call> = { signal: true };
const TAG_NAMES: OptionNames<ApiTagOptions> = { signal: true, store: true, force: true };
const IMAGES_NAMES: OptionNames<ApiImagesOptions> = { signal: true, store: true, filters: true };
const PRUNE_NAMES: OptionNames<ApiPruneOptions> = {
  ...IMAGES_NAMES,
  olderThan: true,
  keep: true,
  dryRun: true,
};

/**
 * The images of the store's namespace, by name. InvalidArgument for a filter that cannot be read.
 *
 * ```ts
 * for (const { name, target } of await images({ store })) console.log(name, target.digest);
 * ```
 */
export async function images(options: ApiImagesOptions): Promise<Image[]> {
  return await called(IMAGES_NAMES, options, async (options) => {
    const { store, filters = [], signal: given } = options;
    const { backend } = partsOf(store);
    const filter = parseFilters(filters);
    return await canceling(given, async (signal) => {
      const all = await backend.images.list({ signal });
      return all.filter((image) => filter(imageFields(image)));
    });
  });
}

/** What takes room in the store: hawser's own with all its namespaces, of a containerd the one namespace. */
export async function usage(store: AnyStore, call: Call = {}): Promise<StoreUsage> {
  return await called(CALL_NAMES, call, async () => {
    const { backend } = partsOf(store);
    return await canceling(call.signal, async (signal) => usageOf(await backend.survey({ signal })));
  });
}

/** What `collect` would remove, how much that frees, and why the rest stays. */
export async function collectionPlan(store: AnyStore, call: Call = {}): Promise<GcPlan> {
  return await called(CALL_NAMES, call, async () => {
    const { backend } = partsOf(store);
    return await canceling(call.signal, async (signal) => planCollection(await backend.survey({ signal })));
  });
}

/**
 * Gives an image of the store another name. NotFound without the image; AlreadyExists for a name that is taken by another one, unless
 * `force`; InvalidArgument for a name with another digest.
 *
 * ```ts
 * await tag('alpine:3.20', 'registry.example/base:today', { store, force: true });
 * ```
 */
export async function tag(source: string, target: string, options: ApiTagOptions): Promise<Image> {
  return await called(TAG_NAMES, options, async (options) => {
    const { store, force } = options;
    const { backend } = partsOf(store);
    const names = { source: parseReference(source).name, target: parseReference(target) };
    return await canceling(options.signal, (signal) => tagImage(backend, { ...names, force, signal }));
  });
}

/**
 * Removes the images that nothing uses and that all rules allow to go, and what only they referred to. Pinned images, those that a lease
 * lists, those over whose layers a writable snapshot or a view lies, and those that change meanwhile stay. Returns what went, or with `dryRun` would go, and why each
 * other image stays.
 *
 * ```ts
 * const { goes } = await prune({ store, keep: 2, olderThan: 7 * 86_400_000 });
 * ```
 */
export async function prune(options: ApiPruneOptions): Promise<PruneChoice> {
  return await called(PRUNE_NAMES, options, async (options) => {
    const { store, filters = [], olderThan, keep, dryRun = false } = options;
    checkRestriction('filters', options.filters);
    checkDuration('olderThan', olderThan);
    if (keep !== undefined && !(Number.isInteger(keep) && keep >= 0))
      throw new HawserError('InvalidArgument', `Cannot use keep: ${keep} is no number of images`);
    const { backend, runtime } = partsOf(store);
    const rules = { filter: parseFilters(filters), olderThan, keep, now: runtime.clock.now() };
    return await canceling(options.signal, async (signal) => {
      const choice = await choosePruned(backend, { ...rules, signal });
      return dryRun ? choice : await pruneChosen(backend, choice, { signal });
    });
  });
}
