/** The verb `prune`: which images may go by rules of age, number and name. What is used or pinned stays. */
import type { Backend } from '../backend.ts';
import { ifFound } from '../errors.ts';
import { type Filter, imageFields } from '../filter/filter.ts';
import { type GcState, Graph } from '../gc/graph.ts';
import { references } from '../gc/references.ts';
import { isCompanion, PINNED_KEY } from '../images/cri.ts';
import type { Image } from '../images/image-store.ts';
import { isExtractKey } from '../layers/extract-key.ts';
import { isDigest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';

export interface PruneOptions extends Call {
  /** Only images that pass. */
  readonly filter: Filter;
  /** Milliseconds: only images whose record has not changed for so long. */
  readonly olderThan?: number | undefined;
  /** How many of each repository stay, those that changed last. */
  readonly keep?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** An image that stays. */
export interface KeptImage {
  /** Its record. */
  readonly image: Image;
  /** In a few words. */
  readonly why: string;
}

/** What pruning takes and what it leaves. */
export interface PruneChoice {
  /** The images that go. */
  readonly goes: readonly Image[];
  /** The images that stay, each with its reason. */
  readonly stays: readonly KeptImage[];
}

export type PruneRoles = Pick<
  Backend,
  'namespace' | 'images' | 'snapshotter' | 'snapshotterNames' | 'survey'
>;

/** `host/repository`; of a name that is no reference the name. */
function repositoryOf(name: string): string {
  try {
    const { host, repository } = parseReference(name);
    return `${host}/${repository}`;
  } catch {
    return name;
  }
}

/** The names of the images that are among the last `keep` of their repositories. */
function newest(images: readonly Image[], keep: number | undefined): ReadonlySet<string> {
  const counts = new Map<string, number>();
  const names = new Set<string>();
  if (keep === undefined) return names;
  for (const { name } of [...images].sort(
    (a, b) => b.updatedAt - a.updatedAt || (a.name < b.name ? -1 : 1),
  )) {
    const repository = repositoryOf(name);
    const rank = counts.get(repository) ?? 0;
    counts.set(repository, rank + 1);
    if (rank < keep) names.add(name);
  }
  return names;
}

/** Keys of writable snapshots and views, by `<snapshotter>\0<parent>`: somebody works in them. */
async function snapshotsInUse(roles: PruneRoles, call: Call): Promise<Map<string, string>> {
  const used = new Map<string, string>();
  for (const name of roles.snapshotterNames) {
    for (const { kind, name: key, parent } of await roles.snapshotter(name).list(call)) {
      if (kind !== 'Committed' && parent !== '' && !isExtractKey(key)) used.set(`${name}\0${parent}`, key);
    }
  }
  return used;
}

/** The snapshots that images are unpacked to: by `<snapshotter>\0<name>`, with the names of the images. */
function* topSnapshots(state: GcState): Generator<readonly [snapshot: string, image: string]> {
  const graph = new Graph(state);
  const labels = new Map(state.content.map((blob) => [blob.digest, blob.labels]));
  for (const { name } of state.images) {
    const content = [...graph.reach({ type: 'images', id: name }).values()].filter(
      (node) => node.type === 'content',
    );
    for (const top of content.flatMap(({ id }) => [...references(labels.get(id) ?? {})])) {
      if (top.type.startsWith('snapshots/'))
        yield [`${top.type.slice('snapshots/'.length)}\0${top.id}`, name];
    }
  }
}

/** Who uses an image: the key of a snapshot over its top layer, or a lease that lists its name. By the name of the image. */
async function usersOf(roles: PruneRoles, call: Call): Promise<Map<string, string>> {
  const users = new Map<string, string>();
  const inUse = await snapshotsInUse(roles, call);
  const { namespaces } = await roles.survey({ ...call, sizes: false });
  const state = namespaces.find(({ name }) => name === roles.namespace)?.state;
  if (state === undefined) return users;
  for (const { id, resources } of state.leases) {
    for (const one of resources) if (one.type === 'images') users.set(one.id, `lease ${id}`);
  }
  if (inUse.size === 0) return users;
  for (const [snapshot, image] of topSnapshots(state)) {
    const key = inUse.get(snapshot);
    if (key !== undefined) users.set(image, `snapshot ${key}`);
  }
  return users;
}

/** The images that a lease lists, by the name of the image. */
async function leasedImages({ leases }: Pick<Backend, 'leases'>, call: Call): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const { id } of await leases.list(call)) {
    for (const one of (await ifFound(leases.resources(id, call))) ?? [])
      if (one.type === 'images') names.add(one.id);
  }
  return names;
}

/**
 * Removes the chosen images but those that changed since they were chosen, or that a lease lists by now; then what only they referred
 * to. Returns what went, and why the rest stays.
 */
export async function pruneChosen(
  backend: Pick<Backend, 'images' | 'leases' | 'collect'>,
  { goes, stays }: PruneChoice,
  call: Call,
): Promise<PruneChoice> {
  const leased = await leasedImages(backend, call);
  const free = goes.filter(({ name }) => !leased.has(name));
  const deleted = new Set(await backend.images.deleteUnchanged(free, call));
  await backend.collect(call);
  const left = goes.filter(({ name }) => !deleted.has(name));
  return {
    goes: goes.filter(({ name }) => deleted.has(name)),
    stays: [...stays, ...left.map((image) => ({ image, why: 'it was changed or leased meanwhile' }))],
  };
}

export async function choosePruned(roles: PruneRoles, options: PruneOptions): Promise<PruneChoice> {
  const { filter, olderThan, keep, now, signal } = options;
  const all = await roles.images.list({ signal });
  const users = await usersOf(roles, { signal });
  const owners = new Map(all.map((image) => [image, ownersOf(image, all)]));
  const judgedAlone = all.filter((image) => owners.get(image)?.length === 0);
  const matching = new Set(judgedAlone.filter((image) => filter(imageFields(image))));
  const last = newest([...matching], keep);
  const held = (image: Image): string | undefined => {
    if (image.labels[PINNED_KEY] === 'pinned') return 'it is pinned';
    const user = users.get(image.name);
    return user === undefined ? undefined : `${user} uses it`;
  };
  const ruled = (image: Image): string | undefined => {
    if (!matching.has(image)) return 'it does not pass the filters';
    if (last.has(image.name)) return `it is among the last ${keep} of ${repositoryOf(image.name)}`;
    if (olderThan !== undefined && now - image.updatedAt < olderThan) return 'it is not old enough';
    return held(image);
  };
  const why = (image: Image): string | undefined => {
    const own = owners.get(image) ?? [];
    if (own.length === 0) return ruled(image);
    const kept = own.find((one) => why(one) !== undefined);
    return held(image) ?? (kept && `it is another name of ${kept.name}`);
  };
  const judged = all.map((image) => ({ image, why: why(image) }));
  return {
    goes: judged.flatMap(({ image, why }) => (why === undefined ? [image] : [])),
    stays: judged.flatMap(({ image, why }) => (why === undefined ? [] : [{ image, why }])),
  };
}

/** The records with which a record of CRI's own goes or stays: of a name by digest the tags of the repository, of an ID all names. */
function ownersOf(image: Image, all: readonly Image[]): readonly Image[] {
  if (!isCompanion(image)) return [];
  const same = all.filter(({ target }) => target.digest === image.target.digest);
  if (isDigest(image.name)) return same.filter(({ name }) => !isDigest(name));
  const repository = repositoryOf(image.name);
  return same.filter((one) => !isCompanion(one) && repositoryOf(one.name) === repository);
}
