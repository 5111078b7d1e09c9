/** Which images go by a policy: those that are too old or too many, and the oldest while the store takes too much. */
import type { Backend, PolicySays } from '../backend.ts';
import { wrap } from '../errors.ts';
import { imageFields, parseFilters } from '../filter/filter.ts';
import { planCollection, type Survey, withoutItems } from '../gc/survey.ts';
import { totalOf, usageOf } from '../gc/usage.ts';
import type { Image } from '../images/image-store.ts';
import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';
import { type Policy, parsePolicy } from './policy-file.ts';
import { choosePruned, type PruneChoice, type PruneRoles } from './prune.ts';

/** Bytes that a policy may have. */
const MAX_FILE = 1 << 16;

/** InvalidArgument for a file that is no policy. */
export async function readPolicy(
  fs: Pick<FileSystem, 'readFile'>,
  file: string,
  call: Call,
): Promise<Policy> {
  const bytes = await fs.readFile(file, MAX_FILE, call);
  const policy = parsePolicy(new TextDecoder().decode(bytes), file);
  try {
    parseFilters(policy.protect);
  } catch (err) {
    throw wrap(`${file}: protect`, err);
  }
  return policy;
}

/** What a policy takes and what it leaves. */
export interface PolicyChoice extends PruneChoice {
  /** Why no image goes for the size of the store, although it takes more than `maxSize`: in a sentence. */
  readonly tooLarge: string | undefined;
}

/**
 * An image goes when it is older than `maxAge` and not among the last `keepLast` (each as far as it is given); then, while the store takes
 * more than `maxSize`, the oldest do, unless it would take more without all of them. What is protected, pinned or used stays, and the
 * image that changed last. `maxSize` is of the whole store; images of other namespaces stay.
 */
export async function chooseByPolicy(
  roles: PruneRoles,
  { maxAge, keepLast, maxSize, protect }: Policy,
  { now, signal }: { readonly now: number } & Call,
): Promise<PolicyChoice> {
  const passes = parseFilters(protect);
  const isProtected = (image: Image): boolean => protect.length > 0 && passes(imageFields(image));
  const choose = async (rules: { olderThan?: number | undefined; keep?: number | undefined }) => {
    const filter: ReturnType<typeof parseFilters> = (fields) => protect.length === 0 || !passes(fields);
    return await choosePruned(roles, { filter, ...rules, now, signal });
  };
  const free = await choose({});
  const isGiven = maxAge !== undefined || keepLast !== undefined;
  const old = isGiven ? (await choose({ olderThan: maxAge, keep: keepLast })).goes : [];
  const newest = lastChanged(free);
  const goes = new Set(old.map(({ name }) => name));
  if (newest !== undefined) goes.delete(newest);
  let tooLarge: string | undefined;
  if (maxSize !== undefined) {
    const candidates = oldestFirst(free.goes).filter((name) => name !== newest && !goes.has(name));
    const survey = await roles.survey({ signal });
    const more = tooMuch(survey, roles.namespace, goes, candidates, maxSize);
    if (more === undefined) tooLarge = whyTooLarge(survey, maxSize);
    for (const name of more ?? []) goes.add(name);
  }
  const all = [...free.goes.map((image) => ({ image, why: 'the policy lets it stay' })), ...free.stays];
  return {
    tooLarge,
    goes: all.flatMap(({ image }) => (goes.has(image.name) ? [image] : [])),
    stays: all
      .filter(({ image }) => !goes.has(image.name))
      .map(({ image, why }) => ({ image, why: isProtected(image) ? 'the policy protects it' : why })),
  };
}

/**
 * Removes the images that the policy of the store lets go, but those that changed meanwhile. Returns the names of those that went, and what
 * the user should know besides; undefined without a policy.
 */
export async function followPolicy(
  backend: Pick<Backend, 'policy' | 'images'>,
  call: Call,
): Promise<{ file: string; gone: readonly string[]; warnings: readonly string[] } | undefined> {
  const says = await backend.policy?.(call);
  if (says === undefined) return undefined;
  const { file, goes } = says;
  const gone = goes.length === 0 ? [] : await backend.images.deleteUnchanged(goes, call);
  return { file, gone, warnings: policyWarnings(says) };
}

export function policyWarnings({ file, tooLarge }: PolicySays): string[] {
  return tooLarge === undefined ? [] : [`${file}: ${tooLarge}`];
}

function newestFirst(a: Image, b: Image): number {
  return b.updatedAt - a.updatedAt || (a.name < b.name ? -1 : 1);
}

/** The name of the image that was recorded or labelled last: most often the one that was just pulled. */
function lastChanged({ goes, stays }: PruneChoice): string | undefined {
  return [...goes, ...stays.map(({ image }) => image)].sort(newestFirst)[0]?.name;
}

function oldestFirst(images: readonly Image[]): string[] {
  return [...images]
    .sort(newestFirst)
    .reverse()
    .map(({ name }) => name);
}

/** As many of the candidates, in their order, as must go besides `goes` for the store to fit; undefined when all are too few. */
function tooMuch(
  survey: Survey,
  namespace: string,
  goes: ReadonlySet<string>,
  candidates: readonly string[],
  maxSize: number,
): readonly string[] | undefined {
  const total = totalOf(survey);
  const fits = (count: number): boolean => {
    const names = [...goes, ...candidates.slice(0, count)];
    const removals = names.map((id) => ({ type: 'images' as const, id }));
    return total - planCollection(withoutItems(survey, namespace, removals)).bytes <= maxSize;
  };
  if (!fits(candidates.length)) return undefined;
  // The more go, the less is left: the smallest number is found by halving.
  let [low, high] = [0, candidates.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  return candidates.slice(0, low);
}

function whyTooLarge(survey: Survey, maxSize: number): string {
  const { total, content, snapshots, partial, strays, records } = usageOf(survey);
  const parts = [
    `blobs ${content.bytes}`,
    `unpacked layers ${snapshots.bytes}`,
    `downloads ${partial.bytes}`,
    `other files ${strays.bytes + records}`,
  ];
  return `max-size: no image goes, for the store would take more than ${maxSize} bytes without every image that may go, too: it takes ${total} (${parts.join(', ')})`;
}
