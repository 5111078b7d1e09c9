/** The signed images of test/fixtures/trust: served by a test registry, each with the policy that it is judged by. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestRegistry } from '../registry/registry.ts';

const dir: string = join(import.meta.dirname, '../fixtures/trust');

/** `k1.pub`, `trusted_root.json`. */
export const keyFile = (name: string): string => join(dir, 'keys', name);

export interface TrustCase {
  readonly id: string;
  /** At the registry: `fx/k01-valid:1`. */
  readonly ref: string;
  readonly verdict: 'accept' | 'reject';
  readonly why: string;
  readonly format: 'cosign-old' | 'bundle';
  readonly referrers?: 'api' | 'both';
  readonly platform?: string;
  readonly cosign?: {
    readonly key?: string;
    readonly trustedRoot?: string;
    readonly identity?: string;
    readonly issuer?: string;
  };
  readonly policy: readonly Readonly<Record<string, unknown>>[] | null;
}

const read = JSON.parse(readFileSync(join(dir, 'cases.json'), 'utf8')) as {
  readonly made: string;
  readonly cases: readonly TrustCase[];
};

export const trustCases: readonly TrustCase[] = read.cases;
/** Milliseconds: the certificates of the fixtures are young then. */
export const MADE: number = Date.parse(read.made);

interface Repository {
  readonly tags: Readonly<Record<string, string>>;
  readonly manifests: readonly {
    readonly text: string;
    readonly repeat?: { readonly layer: unknown; readonly times: number };
  }[];
  readonly blobs: Readonly<Record<string, { readonly text?: string; readonly base64?: string }>>;
}

interface Document {
  readonly mediaType: string;
  readonly layers: readonly unknown[];
}

/** The bytes of a repository (`fx/k01-valid`), and its tags. */
export function repositoryOf(name: string): {
  readonly tags: Readonly<Record<string, string>>;
  readonly manifests: ReadonlyMap<string, Buffer>;
  readonly blobs: readonly Buffer[];
} {
  const file = join(dir, 'images', `${name.replace('fx/', '')}.json`);
  const { tags, manifests, blobs } = JSON.parse(readFileSync(file, 'utf8')) as Repository;
  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const documents = manifests.map(({ text }) => Buffer.from(text));
  return {
    tags,
    manifests: new Map(documents.map((bytes) => [digestOf(bytes), bytes])),
    blobs: Object.values(blobs).map(({ text, base64 }) =>
      text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text),
    ),
  };
}

/** Puts all of them there. */
export function serveTrustFixtures(registry: TestRegistry): void {
  for (const file of readdirSync(join(dir, 'images'))) {
    const name = file.replace(/\.json$/, '');
    serveRepository(registry, `fx/${name}`, JSON.parse(readFileSync(join(dir, 'images', file), 'utf8')));
  }
}

/** The images that cosign and skopeo themselves have signed, by their names below `registry.test/real`. */
export const realImages: readonly string[] = readdirSync(join(dir, 'real'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace(/\.json$/, ''));

/** Sends one of those to a registry that takes uploads, as `repository`; `only`: with this tag alone. */
export async function pushRealImage(
  host: string,
  name: string,
  repository: string,
  only?: string,
): Promise<void> {
  const { tags, manifests, blobs } = readReal(name);
  const base = `http://${host}/v2/${repository}`;
  for (const [hex, { text, base64 }] of Object.entries(blobs)) {
    const { headers } = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
    const place = new URL(headers.get('location') ?? '', base);
    place.searchParams.set('digest', `sha256:${hex}`);
    const body = Buffer.from(text ?? base64 ?? '', text === undefined ? 'base64' : 'utf8');
    await sent(await fetch(place, { method: 'PUT', body }));
  }
  // What an index lists has to be there.
  for (const { text } of [...manifests].sort((a, b) => Number(isIndex(a.text)) - Number(isIndex(b.text)))) {
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const [tag = digest] = Object.keys(tags).filter((one) => tags[one] === digest && (only ?? one) === one);
    const headers = { 'content-type': (JSON.parse(text) as Document).mediaType };
    await sent(await fetch(`${base}/manifests/${tag}`, { method: 'PUT', headers, body: text }));
  }
}

const isIndex = (text: string): boolean => 'manifests' in JSON.parse(text);

async function sent(response: Response): Promise<void> {
  if (response.status !== 201)
    throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  await response.body?.cancel();
}

const readReal = (name: string): Repository =>
  JSON.parse(readFileSync(join(dir, 'real', `${name}.json`), 'utf8'));

/** The tags of one of those, and what they name. */
export const realTags = (name: string): Readonly<Record<string, string>> => readReal(name).tags;

/** `signer.pub`: of all of them. `other.pub`: of none. */
export const realKey = (name: string): string => join(dir, 'real', name);

/** Puts those there, as `real/NAME:1`. */
export function serveRealImages(registry: TestRegistry): void {
  for (const name of realImages) serveRepository(registry, `real/${name}`, readReal(name));
}

function serveRepository(
  registry: TestRegistry,
  repository: string,
  { tags, manifests, blobs }: Repository,
): void {
  for (const [hex, { text, base64 }] of Object.entries(blobs))
    registry.putBlob(
      repository,
      `sha256:${hex}`,
      text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text),
    );
  for (const { text, repeat } of manifests) {
    const document = JSON.parse(text) as Document;
    const whole =
      repeat === undefined
        ? text
        : JSON.stringify({
            ...document,
            layers: [...Array(repeat.times).fill(repeat.layer), ...document.layers],
          });
    const bytes = Buffer.from(whole);
    const digest = registry.putManifest(repository, 'unnamed', document.mediaType, bytes);
    for (const [tag, target] of Object.entries(tags))
      if (target === digest) registry.putManifest(repository, tag, document.mediaType, bytes);
  }
}

/** The policy of a case, as a file of hawser's own. `host`: of the registry that serves the images. */
export function policyOf({ policy, cosign = {} }: TrustCase, host: string): string {
  const requirements = policy ?? [bundleRequirement(cosign)];
  const text = JSON.stringify({
    default: [{ type: 'reject' }],
    transports: { docker: { [host]: requirements } },
  });
  return text.replaceAll('"keys/', `"${dir}/keys/`).replaceAll('HOST', host);
}

function bundleRequirement({
  key,
  trustedRoot,
  identity,
  issuer,
}: NonNullable<TrustCase['cosign']>): unknown {
  const common = { type: 'sigstore', formats: ['bundle'] };
  if (key !== undefined) return { ...common, keyPath: keyFile(key) };
  const identities = [{ issuer, subject: identity }];
  return { ...common, identities, trustedRootPath: keyFile(trustedRoot ?? '') };
}
