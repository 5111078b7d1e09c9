/** A fetch and the readers of a store choose by one rule: checked on random trees of indexes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Info, Provider } from '../../../src/core/content/content-store.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import { manifestFor } from '../../../src/core/images/find-manifest.ts';
import type { Descriptor, Platform } from '../../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../../../src/core/oci/media-types.ts';
import { platformText } from '../../../src/core/platforms/format.ts';
import { only } from '../../../src/core/platforms/match.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { walkImage } from '../../../src/core/verbs/walk.ts';
import { type Next, pick, seeded } from '../../fuzz/random.ts';
import { chosenSeed } from '../../support/seed.ts';

const AMD: Platform = { os: 'linux', architecture: 'amd64' };
const ARM: Platform = { os: 'linux', architecture: 'arm64' };
const ARTIFACT = 'application/vnd.example.thing.v1+json';

/** A stored document, and its entry in an index. */
interface Entry {
  readonly entry: Readonly<Record<string, unknown>>;
  /** For messages. */
  readonly text: string;
}

class Tree {
  readonly blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly layers: string[] = [];
  readonly #next: Next;
  #made = 0;

  constructor(next: Next) {
    this.#next = next;
  }

  put(value: unknown, mediaType: string) {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  pick<T>(...of: readonly T[]): T {
    return pick(this.#next, of);
  }

  manifest(): Entry {
    const id = ++this.#made;
    const platform = this.pick(AMD, AMD, ARM);
    const kind = this.pick('image', 'image', 'artifact', 'said');
    const told = this.pick(true, false);
    const layer = this.put(`layer ${id}`, OCI_LAYER);
    this.layers.push(layer.digest);
    const of = kind === 'image' ? OCI_CONFIG : 'application/vnd.oci.empty.v1+json';
    const config = this.put({ ...platform, id, rootfs: { type: 'layers', diff_ids: [layer.digest] } }, of);
    const body = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
    const entry = {
      ...this.put(body, OCI_MANIFEST),
      ...(told ? { platform } : {}),
      ...(kind === 'said' ? { artifactType: ARTIFACT } : {}),
    };
    return { entry, text: `${kind}${id}(${platform.architecture}${told ? '' : ' untold'})` };
  }

  index(depth: number): Entry {
    const children = Array.from({ length: 1 + this.#next(3) }, () =>
      depth < 2 && this.#next(3) === 0 ? this.index(depth + 1) : this.manifest(),
    );
    const manifests = children.map(({ entry }) => entry);
    const platform = this.pick(AMD, ARM, undefined, undefined);
    const entry = {
      ...this.put({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, OCI_INDEX),
      ...(platform === undefined ? {} : { platform }),
    };
    return { entry, text: `${platform?.architecture ?? ''}[${children.map(({ text }) => text).join(', ')}]` };
  }
}

const provider = (blobs: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, has: (digest: string) => boolean) =>
  ({
    open: async (digest) => {
      const bytes = has(digest) ? blobs.get(digest) : undefined;
      if (bytes === undefined) throw new HawserError('NotFound', `content ${digest}: not found`);
      return new Blob([bytes]).stream();
    },
  }) satisfies Provider;

/** Undefined for NotFound. */
async function foundBy<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (err) {
    if (isKind(err, 'NotFound')) return undefined;
    throw err;
  }
}

interface Fetched {
  /** False: NotFound. */
  readonly done: boolean;
  readonly held: ReadonlySet<string>;
  /** Platform to manifest. */
  readonly chosen: ReadonlyMap<string | undefined, string>;
}

/** Fetches from a registry whose answers take turns of random length. */
async function fetched(
  tree: Tree,
  root: Descriptor,
  platforms: readonly Platform[],
  next: Next,
): Promise<Fetched> {
  const held = new Set<string>();
  const chosen = new Map<string | undefined, string>();
  const document = async ({ digest }: Descriptor) => tree.blobs.get(digest) ?? assert.fail();
  const bring = async ({ digest }: Descriptor) => {
    for (let turns = next(6); turns > 0; turns--) await new Promise(setImmediate);
    held.add(digest);
  };
  const info = async (digest: Descriptor['digest']) =>
    ({ digest, size: 0, createdAt: 0, updatedAt: 0, labels: {} }) satisfies Info;
  const work = walkImage(
    { content: { info, label: info }, bring, document, report: () => {} },
    root,
    {
      ...{ reference: parseReference('example.test/a:v1'), platforms, named: true },
      ...{ allMetadata: false, metadataOnly: false, concurrency: 0, generated: new Set<string>() },
    },
    {
      signal: new AbortController().signal,
      onManifest: ({ digest }, _, platform) => void chosen.set(platform, digest),
    },
  );
  return { done: (await foundBy(work.then(() => true))) ?? false, held, chosen };
}

/** What everything of a tree comes to. */
async function all(
  tree: Tree,
  root: Descriptor,
  next: Next,
): Promise<readonly (readonly [number, string])[]> {
  const found: (readonly [number, string])[] = [];
  const bring = async () => {
    for (let turns = next(6); turns > 0; turns--) await new Promise(setImmediate);
  };
  const info = async (digest: Descriptor['digest']) =>
    ({ digest, size: 0, createdAt: 0, updatedAt: 0, labels: {} }) satisfies Info;
  await walkImage(
    {
      ...{ content: { info, label: info }, bring, report: () => {} },
      document: async ({ digest }: Descriptor) => tree.blobs.get(digest) ?? assert.fail(),
    },
    root,
    {
      ...{ reference: parseReference('example.test/a:v1'), platforms: 'all', named: false },
      ...{ allMetadata: false, metadataOnly: false, concurrency: 0, generated: new Set<string>() },
    },
    {
      signal: new AbortController().signal,
      onManifest: ({ digest }, _, platform, place) => void found.push([place, `${platform} ${digest}`]),
    },
  );
  return found.sort(([a], [b]) => a - b);
}

async function check(seed: number, platforms: readonly Platform[]): Promise<void> {
  const next = seeded(seed);
  const tree = new Tree(next);
  const { entry, text } = tree.index(0);
  const { platform: _, ...root } = entry as unknown as Descriptor;
  const { done, held, chosen } = await fetched(tree, root, platforms, next);
  const all = provider(tree.blobs, () => true);
  const expected = await Promise.all(platforms.map((one) => foundBy(manifestFor(all, root, only(one)))));
  const names = platforms.map((one) => one.architecture).join('+');
  const nameOf = (digest: string | undefined) => digest?.slice(7, 15);
  const where = `seed ${seed}, ${names} of ${text}`;
  if (!done) {
    assert.ok(
      expected.some((one) => one === undefined),
      `${where}: refused, a reader finds all`,
    );
    return;
  }
  const wanted = expected.flatMap((one) => one?.manifest.layers ?? []).map(({ digest }): string => digest);
  const isImage = expected.some((one) => one?.manifest.config.mediaType === OCI_CONFIG);
  const more = tree.layers.filter((digest) => held.has(digest) && !wanted.includes(digest));
  assert.ok(!isImage || more.length === 0, `${where}: layers of others were fetched`);
  for (const [at, platform] of platforms.entries()) {
    const found = expected[at];
    if (found === undefined) {
      assert.equal(chosen.get(platformText(platform)), undefined, `${where}: a reader finds none`);
      continue;
    }
    assert.equal(nameOf(chosen.get(platformText(platform))), nameOf(found.desc.digest), `${where}: chosen`);
    const again = await manifestFor(
      provider(tree.blobs, (digest) => held.has(digest)),
      root,
      only(platform),
    );
    assert.equal(
      nameOf(again.desc.digest),
      nameOf(found.desc.digest),
      `${where}: read from what was fetched`,
    );
    for (const { digest } of [again.manifest.config, ...again.manifest.layers]) {
      assert.ok(held.has(digest), `${where}: not all was fetched`);
    }
  }
}

test('what is fetched is what readers of the store take, for random trees of indexes', async () => {
  const first = chosenSeed();
  const failures: string[] = [];
  for (let seed = first; seed < first + 200; seed++) {
    for (const platforms of [[AMD], [ARM], [AMD, ARM]]) {
      await check(seed, platforms).catch((err: Error) => failures.push(`${err.message.split('\n')[0]}`));
    }
  }
  // The smallest trees tell most.
  assert.deepEqual(failures.sort((a, b) => a.length - b.length).slice(0, 25), []);
});

test('of all platforms each is served by one manifest, and stands in one order, whatever arrives first', async () => {
  const seed = chosenSeed();
  for (let run = 0; run < 150; run++) {
    const tree = new Tree(seeded(seed + run));
    const { entry, text } = tree.index(0);
    const { platform: _, ...root } = entry as unknown as Descriptor;
    const first = await all(tree, root, seeded(1));
    for (let other = 2; other < 6; other++)
      assert.deepEqual(await all(tree, root, seeded(other)), first, `seed ${seed + run}: ${text}`);
  }
});
