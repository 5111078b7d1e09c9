/** What a push sends, decided and read before the first byte goes out. */
import { type Errand, placeOf, type WantedPlatforms } from '../carry/choose-parts.ts';
import {
  type IndexForm,
  type PlannedBlob,
  type PlannedExport,
  planExport,
  planReferrers,
} from '../carry/export-plan.ts';
import { findReferrers, type Referrer } from '../carry/referrers.ts';
import type { ContentStore, Info, InfoProvider, Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError } from '../errors.ts';
import { preferred } from '../images/gc-labels.ts';
import type { Image } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isDocumentType } from '../oci/media-types.ts';
import { attachmentTag } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Cargo, ReferringDocument } from '../push/push-image.ts';
import type { Document } from '../push/put-manifest.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import { leftOutText } from './carried-referrers.ts';

export interface CargoDeps {
  readonly content: Provider & InfoProvider;
  readonly hashers: Hashers;
  readonly warn: (message: string) => void;
}

/** What of an image is pushed. */
export interface CargoOptions {
  /** Default: of a push every one that is here as a whole, of a copy all. */
  readonly platforms?: WantedPlatforms | undefined;
  /** Of an index that lists more than is pushed. Default: keep; flat where one platform is named, as ctr. */
  readonly index?: IndexForm | undefined;
  /** Pushes layers, too, that registries need not have. */
  readonly foreign?: boolean | undefined;
}

export interface LoadedCargo {
  /** What the name is to name. */
  readonly target: Descriptor;
  readonly cargo: Cargo;
}

/** NotFound for what is not here, InvalidArgument where `to` has another digest. */
export async function loadCargo(
  deps: CargoDeps,
  image: Pick<Image, 'target'>,
  to: Reference,
  { platforms = 'present', foreign = false, ...options }: CargoOptions,
  verb: 'push' | 'copy',
  call: Call,
): Promise<LoadedCargo> {
  const isOne = typeof platforms !== 'string' && platforms.length === 1;
  const index = options.index ?? (isOne ? 'flat' : 'keep');
  const plan = { platforms, index, strict: false, refName: 'full', skipForeign: !foreign, verb } as const;
  const named = { name: to.name, labels: {}, createdAt: 0, updatedAt: 0, ...image };
  const [planned] = await planExport(deps, [named], plan, call);
  if (planned === undefined) throw new HawserError('Internal', 'A plan for one image has none');
  const { blobs, target } = planned;
  if (to.digest !== undefined && to.digest !== target.digest) throw otherDigest(to, target);
  const isSparse = tellMissing(deps, planned, { name: to.name, verb });
  const documents: Document[] = [];
  for (const one of [...blobs.manifests, ...[...blobs.indexes].reverse()])
    documents.push(await documentOf(deps, one, call));
  const root = documents.find(({ desc }) => desc.digest === target.digest);
  if (root === undefined) throw new HawserError('Internal', 'A plan lacks its target');
  const cargo = {
    blobs: once([...blobs.configs, ...blobs.layers].map(({ desc }) => desc)),
    documents: documents.filter((one) => one !== root),
    root,
    isSparse,
    referrers: [],
  };
  return { target, cargo };
}

/**
 * The cargo with what is here, as a whole, and refers to the image or to one of its parts: signatures, SBOMs. Of several documents for one
 * tag of cosign's, one goes along: the newest that came from the repository of `image`, else the newest.
 */
export async function withReferrers(
  deps: CargoDeps & { readonly content: ContentStore },
  cargo: Cargo,
  image: Pick<Image, 'name' | 'target'>,
  call: Call,
): Promise<Cargo> {
  const subjects = [image.target, cargo.root.desc, ...cargo.documents.map(({ desc }) => desc)];
  const all = await findReferrers(deps.content, new Set(subjects.map(({ digest }) => digest)), {
    signaturesOnly: false,
    damaged: (err) => deps.warn(leftOutText(err)),
    ...call,
  });
  const descs = once(all.map(({ desc }) => desc));
  const whole = await planReferrers(deps.content, descs, deps.warn, call);
  const known = new Set(whole.map(({ desc }) => desc.digest));
  const candidates = all.filter(({ desc }) => known.has(desc.digest));
  const tags = await tagsFor(deps.content, candidates, image.name, call);
  const left = candidates.filter(
    ({ desc, subject, kind }) =>
      kind !== undefined && tags.get(desc.digest)?.includes(attachmentTag(subject, kind)) !== true,
  );
  for (const { desc, subject } of left)
    deps.warn(`Left out ${desc.digest}: another document goes to its tag, of ${subject}`);
  const planned = whole.filter(
    ({ desc }) => tags.has(desc.digest) || !left.some((one) => one.desc.digest === desc.digest),
  );
  // What an index lists goes before the index.
  const parts = once(planned.flatMap(({ blobs }) => [...blobs].reverse().map(({ desc }) => desc)));
  const referrers: ReferringDocument[] = [];
  for (const desc of parts.filter(({ mediaType }) => isDocumentType(mediaType)))
    referrers.push({ ...(await documentOf(deps, { desc }, call)), tags: tags.get(desc.digest) });
  const blobs = parts.filter(({ mediaType }) => !isDocumentType(mediaType));
  return { ...cargo, blobs: once([...cargo.blobs, ...blobs]), referrers };
}

/** Digests of documents to the tags of cosign's that they get, one document a tag; one may be of several subjects. */
async function tagsFor(
  content: InfoProvider,
  referrers: readonly Referrer[],
  name: string,
  call: Call,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const candidates = new Map<string, Info[]>();
  for (const { desc, subject, kind } of referrers) {
    if (kind === undefined) continue;
    const tag = attachmentTag(subject, kind);
    candidates.set(tag, [...(candidates.get(tag) ?? []), await content.info(desc.digest, call)]);
  }
  const repository = repositoryOf(name);
  const tags = new Map<string, readonly string[]>();
  for (const [tag, infos] of candidates) {
    const one = preferred(infos, repository);
    if (one !== undefined) tags.set(one.digest, [...(tags.get(one.digest) ?? []), tag]);
  }
  return tags;
}

/** Undefined for a name that is no reference (the ids that CRI makes). */
function repositoryOf(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}

/** Whether the index lists what does not go along. */
function tellMissing(
  { warn }: CargoDeps,
  { absent, unwanted, target, source }: PlannedExport,
  { name, verb }: Errand,
): boolean {
  const lacks = [...absent, ...unwanted];
  if (target.digest !== source.digest) {
    warn(`${name}: ${target.digest} takes the place of ${source.digest}`);
    return false;
  }
  if (lacks.length === 0) return false;
  const [is, it] = lacks.length === 1 ? ['is', 'it'] : ['are', 'them'];
  const why = absent.length > 0 ? `not ${placeOf(verb)}` : 'left out';
  warn(
    `${name}: ${lacks.join(', ')} ${is} ${why}, and the index lists ${it}: a registry may refuse the index`,
  );
  return true;
}

async function documentOf(
  { content }: CargoDeps,
  { desc, bytes }: PlannedBlob,
  call: Call,
): Promise<Document> {
  return { desc, bytes: bytes ?? (await readBlob(content, desc, MAX_MANIFEST_BYTES, call)) };
}

function once(descs: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descs.map((desc) => [desc.digest, desc])).values()];
}

function otherDigest({ name }: Reference, { digest }: Descriptor): HawserError {
  return new HawserError('InvalidArgument', `Cannot push ${digest} as ${name}, which has another digest`, {
    hint: 'Leave the digest away, or choose with --platform and --index what has it',
  });
}
