/** What an archive of images holds, decided before its first byte. */

import type { InfoProvider, Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { digestBytes } from '../oci/digest.ts';
import { type JsonObject, parseJson } from '../oci/json.ts';
import { isForeignLayer, OCI_INDEX } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import { IMAGE_NAME, REF_NAME, type RefNameForm, refNames, SOURCE_DIGEST } from './annotations.ts';
import {
  type ChosenParts,
  chooseParts,
  type Errand,
  nameOf,
  notHere,
  type WantedPlatforms,
} from './choose-parts.ts';
import { isWhole, type Leaf, leavesOf, type Part, Survey } from './survey.ts';

/**
 * What becomes of an index that lists more than is taken. `keep`: its bytes (a digest that a pod pins stays); `flat`: the one
 * manifest takes its place; `rewrite`: an index of what is taken, under another digest.
 */
export type IndexForm = 'keep' | 'flat' | 'rewrite';

export interface PlanOptions {
  readonly platforms: WantedPlatforms;
  readonly index: IndexForm;
  /** What an index lists and is not here is an error. */
  readonly strict: boolean;
  readonly refName: RefNameForm;
  /** Leaves out layers that registries need not have. */
  readonly skipForeign: boolean;
  /** For messages. */
  readonly verb: Errand['verb'];
}

/** A blob to copy; `bytes`: of one that was made here. */
export interface PlannedBlob {
  readonly desc: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;
  readonly bytes?: Uint8Array | undefined;
}

export interface PlannedExport {
  readonly name: string;
  /** What the archive names so. */
  readonly target: Descriptor;
  /** The record's. */
  readonly source: Descriptor;
  /** Platforms (or digests, where there is none) that the index lists and that are not here as a whole. */
  readonly absent: readonly string[];
  /** Those that are here, and were not chosen. */
  readonly unwanted: readonly string[];
  readonly manifests: readonly Extract<Leaf, { type: 'manifest' }>[];
  readonly blobs: {
    readonly indexes: readonly PlannedBlob[];
    readonly manifests: readonly PlannedBlob[];
    readonly configs: readonly PlannedBlob[];
    readonly layers: readonly PlannedBlob[];
  };
}

interface PlanDeps {
  readonly content: Provider & InfoProvider;
  readonly hashers: Hashers;
}

/** NotFound for what is not here. */
export async function planExport(
  deps: PlanDeps,
  images: readonly Image[],
  options: PlanOptions,
  call: Call,
): Promise<PlannedExport[]> {
  const survey = new Survey(deps.content, call);
  const planned: PlannedExport[] = [];
  for (const image of images) planned.push(await planOne(deps, survey, image, options, call));
  return planned;
}

/** Those of the referrers all of which is here; `warn` is told of others. */
export async function planReferrers(
  content: Provider & InfoProvider,
  referrers: readonly Descriptor[],
  warn: (message: string) => void,
  call: Call,
): Promise<PlannedReferrer[]> {
  const survey = new Survey(content, call);
  const planned: PlannedReferrer[] = [];
  for (const desc of referrers) {
    const root = await survey.look(desc);
    const leaves = leavesOf(root);
    if (!leaves.every(isWhole)) {
      warn(`Left out the referrer ${desc.digest}: not all of it is here`);
      continue;
    }
    const indexes = root.type === 'index' ? [{ desc: root.desc }] : [];
    planned.push({ desc, blobs: [...indexes, ...leaves.flatMap(blobsOf).map((desc) => ({ desc }))] });
  }
  return planned;
}

function blobsOf(leaf: Leaf): Descriptor[] {
  if (leaf.type === 'manifest') return [leaf.desc, leaf.manifest.config, ...leaf.manifest.layers];
  return leaf.type === 'other' ? [leaf.desc, ...leaf.blobs] : [];
}

async function planOne(
  { content, hashers }: PlanDeps,
  survey: Survey,
  { name, target: source }: Image,
  options: PlanOptions,
  call: Call,
): Promise<PlannedExport> {
  const errand = { name, verb: options.verb };
  const root = await survey.look(source);
  const chosen = await chooseParts(content, errand, root, options.platforms, call);
  const isChosen = typeof options.platforms !== 'string';
  if (options.strict && !isChosen && chosen.absent.length > 0) throw notHere(errand, chosen.absent);
  const leaves = leavesOf(root).filter(({ desc }) => chosen.taken.has(desc.digest));
  const { target, indexes } = targetOf(errand, root, leaves, chosen, options.index, hashers);
  // Without its index an image is alone: nothing would lead to its attestations.
  const sent = options.index === 'flat' ? leaves.filter(({ desc }) => desc.digest === target.digest) : leaves;
  const manifests = sent.filter((leaf) => leaf.type === 'manifest');
  const others = sent.filter((leaf) => leaf.type === 'other');
  const isWanted = ({ mediaType }: Descriptor) => !(options.skipForeign && isForeignLayer(mediaType));
  return {
    name,
    target,
    source,
    absent: [...new Set(chosen.absent.map(nameOf))],
    unwanted: [...new Set(chosen.unwanted.map(nameOf))],
    manifests,
    blobs: {
      indexes,
      manifests: [...manifests, ...others].map(({ desc }) => ({ desc })),
      configs: manifests.map(({ manifest }) => ({ desc: manifest.config })),
      layers: [
        ...manifests.flatMap(({ manifest }) => manifest.layers.filter(isWanted)),
        ...others.flatMap(({ blobs }) => blobs),
      ].map((desc) => ({ desc })),
    },
  };
}

/** What takes the place of the record's target, and the indexes that go along. */
function targetOf(
  what: Errand,
  root: Part,
  leaves: readonly Leaf[],
  { taken }: ChosenParts,
  form: IndexForm,
  hashers: Hashers,
): { readonly target: Descriptor; readonly indexes: readonly PlannedBlob[] } {
  if (root.type !== 'index') return { target: root.desc, indexes: [] };
  if (form === 'flat') return { target: onlyImage(what, leaves), indexes: [] };
  const writer = new IndexWriter(taken, form === 'rewrite', hashers);
  const target = writer.visit(root) ?? root.desc;
  return { target, indexes: [...writer.indexes.values()] };
}

function onlyImage({ name, verb }: Errand, leaves: readonly Leaf[]): Descriptor {
  const images = leaves.filter(({ desc }) => desc.platform?.os !== 'unknown');
  const [first, ...more] = images;
  if (first !== undefined && more.length === 0) return first.desc;
  throw new HawserError(
    'InvalidArgument',
    `Cannot ${verb} ${name} without its index: it would hold ${images.map(({ desc }) => nameOf(desc)).join(', ')}`,
    { hint: 'Choose one with --platform, or keep the index: --index keep' },
  );
}

/** The indexes above what is taken: as they are, or with nothing but what is taken. */
class IndexWriter {
  readonly indexes = new Map<string, PlannedBlob>();
  readonly #taken: ReadonlySet<string>;
  readonly #rewrites: boolean;
  readonly #hashers: Hashers;
  readonly #done = new Map<string, Descriptor | undefined>();

  constructor(taken: ReadonlySet<string>, rewrites: boolean, hashers: Hashers) {
    this.#taken = taken;
    this.#rewrites = rewrites;
    this.#hashers = hashers;
  }

  /** The descriptor in the place of the part's; undefined when nothing of the part is taken. */
  visit(part: Part): Descriptor | undefined {
    const { desc } = part;
    if (part.type !== 'index') return this.#taken.has(desc.digest) ? desc : undefined;
    const known = this.#done.get(desc.digest);
    if (known !== undefined || this.#done.has(desc.digest))
      return known && { ...desc, digest: known.digest, size: known.size };
    // Parents go before their children.
    this.indexes.set(desc.digest, { desc });
    const children = part.parts.map((child) => this.visit(child));
    const result = this.#index(part, children);
    this.#done.set(desc.digest, result);
    return result;
  }

  #index(
    { desc, bytes, parts }: Extract<Part, { type: 'index' }>,
    children: readonly (Descriptor | undefined)[],
  ): Descriptor | undefined {
    const isEmpty = parts.length > 0 && children.every((child) => child === undefined);
    const isSame = children.every((child, at) => child?.digest === parts[at]?.desc.digest);
    if (isEmpty) this.indexes.delete(desc.digest);
    if (isEmpty || isSame || !this.#rewrites) return isEmpty ? undefined : desc;
    const made = reduced(bytes, desc, children);
    const target = { ...desc, digest: digestBytes(made, this.#hashers), size: made.length };
    this.indexes.set(desc.digest, { desc: target, bytes: made });
    return target;
  }
}

/** The index without the entries that are undefined, and with new digests and sizes of those that changed; all else as it was. */
function reduced(
  bytes: Uint8Array,
  desc: Descriptor,
  children: readonly (Descriptor | undefined)[],
): Uint8Array {
  const from = parseJson(bytes, `index ${desc.digest}`) as JsonObject;
  const entries = (from.manifests ?? []) as readonly JsonObject[];
  const manifests = entries.flatMap((entry, at) => {
    const child = children[at];
    return child === undefined ? [] : [{ ...entry, digest: child.digest, size: child.size }];
  });
  const annotations = { ...((from.annotations ?? {}) as JsonObject), [SOURCE_DIGEST]: desc.digest };
  return new TextEncoder().encode(JSON.stringify({ ...from, manifests, annotations }));
}

/** What refers to an image, as far as all of it is here. */
export interface PlannedReferrer {
  readonly desc: Descriptor;
  /** Its manifest, its config and its layers. */
  readonly blobs: readonly PlannedBlob[];
}

/** index.json: a descriptor for each name, then one for each referrer, without a name. */
export function indexJson(
  images: readonly PlannedExport[],
  form: RefNameForm,
  referrers: readonly PlannedReferrer[] = [],
): Uint8Array {
  const refs = refNames(
    images.map(({ name, target }) => ({ name, digest: target.digest })),
    form,
  );
  const manifests = images.map(({ name, target: { mediaType, digest, size, platform } }, at) => ({
    mediaType,
    digest,
    size,
    annotations: { [IMAGE_NAME]: name, [REF_NAME]: refs[at] ?? name },
    ...platformJson(platform),
  }));
  const others = referrers.map(({ desc: { mediaType, digest, size, artifactType, annotations } }) => ({
    mediaType,
    digest,
    size,
    artifactType,
    annotations,
  }));
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...manifests, ...others] };
  return new TextEncoder().encode(JSON.stringify(index));
}

function platformJson(platform: Platform | undefined): {
  readonly platform?: Readonly<Record<string, unknown>>;
} {
  if (platform === undefined) return {};
  const { architecture, os, variant, osVersion, osFeatures } = platform;
  return {
    platform: { architecture, os, 'os.version': osVersion, 'os.features': osFeatures, variant },
  };
}

/** All blobs, each once: indexes, manifests, configs, then layers in the order of images, so that a reader knows first what follows. */
export function blobsInOrder(
  images: readonly PlannedExport[],
  referrers: readonly PlannedReferrer[] = [],
): PlannedBlob[] {
  const ordered = [
    ...images.flatMap(({ blobs }) => blobs.indexes),
    ...images.flatMap(({ blobs }) => blobs.manifests),
    ...images.flatMap(({ blobs }) => blobs.configs),
    ...referrers.flatMap(({ blobs }) => blobs),
    ...images.flatMap(({ blobs }) => blobs.layers),
  ];
  const once = new Map<string, PlannedBlob>();
  for (const blob of ordered) if (!once.has(blob.desc.digest)) once.set(blob.desc.digest, blob);
  return [...once.values()];
}
