/** Finds the repository that a request means: a store has images of many registries, and a request names a repository of one. */
import { admittedIn } from '../images/admitted.ts';
import type { Image, ImageStore } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import { type Refusal, refusal } from './answers.ts';

/** The images of a repository. */
export interface Repository extends Place {
  /** Tags to what they name. */
  readonly tags: ReadonlyMap<string, Descriptor>;
  /** What its images name, those without a tag too, each once. */
  readonly roots: readonly Root[];
}

/** What an image names, and how much of that has come in. */
export interface Root extends Pick<Descriptor, 'mediaType' | 'digest'> {
  /** Of an index: digests of the entries that have come in. Undefined: all. */
  readonly entries?: ReadonlySet<string> | undefined;
}

/** What a request names. `ns`: the registry that the client means. */
export interface Asked {
  readonly name: string;
  readonly ns: string | undefined;
}

/** A repository at a registry. */
export interface Place {
  readonly host: string;
  readonly path: string;
}

export const HUB = 'docker.io';
const HUB_NAMES: ReadonlySet<string> = new Set([HUB, 'index.docker.io', 'registry-1.docker.io']);

/** Keys are `host/path`. */
type All = ReadonlyMap<string, Repository>;

/** The repositories of a namespace by its image records. Records that are no references (the ids that CRI makes) are none. */
export async function repositoriesOf(images: Pick<ImageStore, 'list'>, call: Call): Promise<All> {
  const all = new Map<string, { host: string; path: string; images: [Reference, Image][] }>();
  for (const image of await images.list(call)) {
    const reference = referenceOf(image.name);
    if (reference === undefined) continue;
    const { host, repository } = reference;
    const key = `${host}/${repository}`;
    const entry = all.get(key) ?? { host, path: repository, images: [] };
    entry.images.push([reference, image]);
    all.set(key, entry);
  }
  return new Map(
    [...all].map(([key, { host, path, images }]) => [key, { host, path, ...contentOf(images) }]),
  );
}

function contentOf(images: readonly (readonly [Reference, Image])[]): Pick<Repository, 'tags' | 'roots'> {
  const tags = new Map<string, Descriptor>();
  // A record of `name:tag@digest` is asked for by its tag too, unless the tag has a record of its own.
  for (const pinned of [true, false])
    for (const [{ tag, digest }, { target }] of images)
      if (tag !== undefined && (digest !== undefined) === pinned) tags.set(tag, target);
  return { tags, roots: rootsOf(images.map(([, image]) => image)) };
}

/** What has come in by one of the names of a repository is the repository's. */
function rootsOf(images: readonly Image[]): readonly Root[] {
  const roots = new Map<string, Root>();
  for (const { target, labels } of images) {
    const { mediaType, digest } = target;
    const [before, now] = [roots.get(digest), admittedIn(digest, labels)];
    const isAll = now === undefined || (before !== undefined && before.entries === undefined);
    const entries = isAll ? undefined : new Set([...(before?.entries ?? []), ...now]);
    roots.set(digest, { mediaType, digest, entries });
  }
  return [...roots.values()];
}

function referenceOf(name: string): Reference | undefined {
  try {
    const reference = parseReference(name);
    return reference.name === name ? reference : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The repository that a request means: of the registry `ns` where the client names one; else of the registry that is the first component
 * (`localhost_5000` for `localhost:5000`), Docker Hub's, or the only one of that name.
 */
export function findRepository(all: All, { name, ns }: Asked): Repository | Refusal {
  if (ns !== undefined) return firstOf(all, inHost(hostOf(ns), name)) ?? unknown(name);
  const named = placeIn(name);
  const explicit = named === undefined ? [] : inHost(named.host, named.path);
  const found = firstOf(all, [...explicit, ...inHost(HUB, name)]);
  if (found !== undefined) return found;
  const others = [...all.values()].filter(({ path }) => path === name);
  if (others.length > 1) {
    const names = others.map(({ host, path }) => `${encodeHost(host)}/${path}`).join(' and ');
    return refusal(
      404,
      'NAME_UNKNOWN',
      `several registries have a repository of that name: ask for ${names}`,
    );
  }
  return others[0] ?? unknown(name);
}

function unknown(name: string): Refusal {
  return refusal(404, 'NAME_UNKNOWN', `no image of ${name} is here`);
}

function firstOf(all: All, keys: readonly string[]): Repository | undefined {
  return keys.map((key) => all.get(key)).find((one) => one !== undefined);
}

/** Docker Hub's own images are in `library`. */
function inHost(host: string, path: string): string[] {
  return host === HUB && !path.includes('/')
    ? [`${host}/${path}`, `${host}/library/${path}`]
    : [`${host}/${path}`];
}

/** Docker Hub has three names. */
export function hostOf(ns: string): string {
  return HUB_NAMES.has(ns) ? HUB : ns;
}

/** A component of a name has no colon. */
export function encodeHost(host: string): string {
  return host.replace(/:(\d+)$/, '_$1');
}

/** The place that a name spells out, host first. */
export function placeIn(name: string): Place | undefined {
  const slash = name.indexOf('/');
  const host = slash < 0 ? undefined : decodeHost(name.slice(0, slash));
  return host === undefined ? undefined : { host, path: name.slice(slash + 1) };
}

function decodeHost(component: string): string | undefined {
  const host = component.replace(/_(\d{1,5})$/, ':$1');
  return host === 'localhost' || /[.:]/.test(host) ? hostOf(host) : undefined;
}

/** The names of all repositories, sorted; with `ns` those of one registry, without its host. */
export function namesOf(all: All, ns: string | undefined): string[] {
  const wanted = [...all.values()].filter(({ host }) => ns === undefined || host === hostOf(ns));
  const names = wanted.map(({ host, path }) => (ns === undefined ? `${encodeHost(host)}/${path}` : path));
  return names.sort();
}
