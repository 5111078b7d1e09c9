/** A public report of trouble with a registry, reproduced, and the parts that the rows share. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findError, type HawserError, hintOf, type Kind, kindOf } from '../../../src/core/errors.ts';
import { type ApiFetchOptions, fetch } from '../../../src/mod.ts';
import { withBench } from '../../support/bench.ts';
import { failure } from '../../support/failure.ts';
import { tempDir } from '../../support/tmp.ts';
import { makeCerts, type TestCerts } from '../certs.ts';
import type { Fault } from '../faults.ts';
import type { ServerRequest } from '../http-server.ts';
import { buildImage, type ImageDescription, noise, type TestImage } from '../image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry.ts';

export interface Report {
  /** `owner/project#number`, an issue or a pull request on GitHub. */
  readonly report: string;
  /** The behaviour of the registry, the network or the image, in one sentence. */
  readonly behaviour: string;
  /** `right already`; `mended in "<title of the commit>"`; `not ours: <why>`. */
  readonly verdict: string;
  readonly check: () => Promise<void>;
  /** Why the row cannot run here. */
  readonly skip?: string | false;
}

export const RIGHT = 'right already';

/** An image of one small layer; `bytes` of noise make the layer larger. */
export function plainImage(bytes = 0, more: Partial<ImageDescription> = {}): Promise<TestImage> {
  const data = bytes === 0 ? 'hello' : noise(bytes, 7);
  return buildImage({ layers: [{ entries: [{ name: 'file', data }] }], ...more });
}

export function digestOfLayer(image: TestImage): string {
  return image.layers[0]?.digest ?? assert.fail('no layer');
}

export interface Ground {
  readonly registry: TestRegistry;
  readonly image: TestImage;
  /** `host/t/a:v1`, where the image is. */
  readonly ref: string;
  /** The library's `fetch` into an empty store: whatever is recorded is there and verified. */
  readonly take: (options?: ApiFetchOptions, from?: string) => Promise<void>;
  /** What `take` fails with. */
  readonly refused: (kind: Kind, options?: ApiFetchOptions, from?: string) => Promise<HawserError>;
}

/** The same options; `assertStruck` fails unless each fault has met a request: a row whose fault never strikes shows nothing. */
function watched(options: RegistryOptions): { options: RegistryOptions; assertStruck: () => void } {
  const met = new Set<Fault>();
  const faults = options.faults?.map((fault) => ({
    ...fault,
    when: (request: ServerRequest) => (fault.when?.(request) ?? true) && met.add(fault) !== undefined,
  }));
  return {
    options: faults === undefined ? options : { ...options, faults },
    assertStruck: () => {
      for (const fault of options.faults ?? [])
        assert.ok(met.has(fault), `no request met ${JSON.stringify(fault)}`);
    },
  };
}

/** A registry with one image, and a store. */
export async function onRegistry(
  options: RegistryOptions,
  body: (ground: Ground) => Promise<void>,
  given?: TestImage,
): Promise<void> {
  const { options: faulty, assertStruck } = watched(options);
  await withBench(async ({ registry, store }) => {
    const image = given ?? (await plainImage());
    const ref = registry.push('t/a', 'v1', image);
    const take = async (more: ApiFetchOptions = {}, from = ref): Promise<void> => {
      await fetch(from, { store, platforms: ['linux/amd64'], retry: { tries: 3 }, ...more });
      const held = new Set<string>((await store.content.list()).map(({ digest }) => digest));
      for (const { digest } of image.layers) assert.ok(held.has(digest), `${digest} is in the store`);
    };
    const refused = async (kind: Kind, more?: ApiFetchOptions, from?: string): Promise<HawserError> => {
      const err = findError(await failure(take(more, from)));
      assert.equal(kindOf(err), kind, String(err));
      assert.deepEqual(await store.images.list(), [], 'nothing is recorded');
      return err ?? assert.fail('an error of ours');
    };
    await body({ registry, image, ref, take, refused });
    assertStruck();
  }, faulty);
}

/** A second registry, for storage that a registry leads to, or a mirror. */
export async function beside(
  options: RegistryOptions,
  body: (other: TestRegistry) => Promise<void>,
): Promise<void> {
  const { options: faulty, assertStruck } = watched(options);
  const other = await startRegistry(faulty);
  try {
    await body(other);
    assertStruck();
  } finally {
    await other.close();
  }
}

/** A hosts directory with one hosts.toml, for this host (`127.0.0.1:5000`). */
export async function withHosts(
  host: string,
  toml: string,
  body: (hostsDir: string, own: string) => Promise<void>,
): Promise<void> {
  const dir = tempDir();
  try {
    const own = join(dir.path, host);
    mkdirSync(own);
    writeFileSync(join(own, 'hosts.toml'), toml);
    await body(dir.path, own);
  } finally {
    dir[Symbol.dispose]();
  }
}

let made: TestCerts | undefined;

/** Made once: openssl is slow. */
export function certs(): TestCerts {
  made ??= makeCerts();
  return made;
}

export function says(err: HawserError, message: RegExp, hint: RegExp): void {
  assert.match(err.message, message);
  assert.match(hintOf(err) ?? 'no hint', hint);
}
