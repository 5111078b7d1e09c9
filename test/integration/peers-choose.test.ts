/**
 * What crane, skopeo and ctr take of each kind of image (test/registry/zoo) for linux/amd64, beside what hawser takes: `resolve
 * --platform` beside the first two, `pull` beside ctr. Each difference has its line in DIFFERENCES, and there is no other.
 * crane is in no package of Debian: scripts/ci-peers.sh makes it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseReference } from '../../src/core/reference/parse.ts';
import { openRegistry } from '../../src/core/registry/open.ts';
import { resolvePlatforms } from '../../src/core/verbs/resolve-platforms.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { openContainerd, openStore, pull, type Store } from '../../src/mod.ts';
import type { TestDocument, TestImage } from '../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { placeOf, ZOO } from '../registry/zoo/zoo.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { exec } from '../support/exec.ts';
import { findTool, needs, requirePeer } from '../support/needs.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

/** `itself`, `manifest N of M`, or `nothing`: an error, or no snapshot. */
type Answer = string;
type Kind = keyof typeof ZOO;

const NOTHING = 'nothing';
const PLATFORM = ['--platform', 'linux/amd64'];

interface Made {
  readonly name: Kind;
  readonly ref: string;
  readonly image: TestImage;
}

interface Client {
  choose(one: Made): Promise<Answer>;
  close(): Promise<void>;
}

const ITSELF = 'itself';
const NOT_LOOKED_AT = 'of an image without an index the platform is not looked at';
const WASM: readonly [Answer, why: string] = [ITSELF, NOT_LOOKED_AT];
const UNTOLD: readonly [Answer, why: string] = [
  'manifest 1 of 2',
  'an entry without a platform is taken for any, though its config says arm64',
];
const FEATURES: readonly [Answer, why: string] = [
  'manifest 1 of 2',
  'os.features is not looked at, and the nydus form stands first',
];
const ANY: readonly [Answer, why: string] = [
  'manifest 1 of 2',
  'an entry without a platform is taken for any, an artifact too',
];

/** Answers of a peer that are not hawser's, and why. */
const DIFFERENCES: Readonly<Record<string, Readonly<Record<Kind, readonly [Answer, why: string]>>>> = {
  crane: {
    'image-schema1': [
      ITSELF,
      'the digest of any root is given; hawser does not know the platform of schema 1 without its layers',
    ],
    'image-wasm': WASM,
    'wasm-runwasi': WASM,
    'index-platformless': UNTOLD,
    'index-levels': [
      'manifest 1 of 4',
      'linux/amd64 without a variant takes any variant: amd64/v4 is taken for machines that may not run it',
    ],
    'index-levels-only': ['manifest 1 of 2', 'linux/amd64 without a variant takes any variant'],
    'index-nydus': FEATURES,
    'index-referrers': ANY,
  },
  skopeo: {
    'image-foreign': [NOTHING, 'a copy needs the layer; hawser fails in the pull, not in the choice'],
    'image-wasm': WASM,
    'wasm-runwasi': WASM,
    'index-nested': [NOTHING, 'an index in an index is refused (skopeo 1.9)'],
    'index-nested-untold': [NOTHING, 'an index in an index is refused (skopeo 1.9)'],
    'index-platformless': UNTOLD,
    'index-nydus': FEATURES,
    'index-referrers': ANY,
    ollama: [NOTHING, "layers of unknown types are refused under Docker's manifest type"],
    'artifact-draft': [NOTHING, 'a document that is no manifest is refused'],
  },
  containerd: {
    'image-wasm': WASM,
    'index-platformless': [NOTHING, 'everything is fetched, then no entry has a platform that matches'],
    'index-nydus': [
      NOTHING,
      'os.features is not looked at (1.6): the nydus form is taken, and cannot be unpacked',
    ],
  },
  'containerd 2': {
    'image-schema1': [NOTHING, 'schema 1 is refused since 2.1'],
    'index-platformless': UNTOLD,
  },
};

function crane(): Client {
  return {
    async choose({ ref, image }) {
      const { code, stdout } = await exec('crane', ['digest', '--insecure', ...PLATFORM, ref]);
      return code === 0 ? placeOf(image, stdout.trim()) : NOTHING;
    },
    close: async () => {},
  };
}

/** The manifest that a copy into a directory has, byte by byte. */
function skopeo(dir: Scratch): Client {
  return {
    async choose({ name, ref, image }) {
      const to = join(dir.path, name);
      const where = ['--override-os', 'linux', '--override-arch', 'amd64'];
      const copy = ['copy', '--src-tls-verify=false', `docker://${ref}`, `dir:${to}`];
      const { code } = await exec('skopeo', ['--insecure-policy', ...where, ...copy]);
      if (code !== 0) return NOTHING;
      const bytes = new Uint8Array(readFileSync(join(to, 'manifest.json')));
      const { root } = image;
      return Buffer.compare(bytes, root.bytes) === 0 ? 'itself' : placeOf(image, sha256(bytes));
    },
    close: async () => {},
  };
}

/** The manifest whose topmost layer is a snapshot after a pull into a namespace of its own. */
function ctr(containerd: Containerd): Client {
  return {
    async choose({ name, ref, image }) {
      try {
        await containerd.ctr('-n', name, 'images', 'pull', '--plain-http', ...PLATFORM, ref);
      } catch {
        return NOTHING;
      }
      const { stdout } = await containerd.ctr('-n', name, 'snapshots', 'ls');
      const [, ...snapshots] = stdout.trim().split('\n');
      const { manifests, root } = image;
      const found = [...manifests, root].find((one) => {
        const chain = chainId(image, one);
        return chain === '' || snapshots.some((line) => line.includes(chain ?? 'no image'));
      });
      if (found !== undefined) return placeOf(image, found.digest);
      // Of schema 1 the digests are in the layers' history only.
      return snapshots.length > 0 ? 'itself' : NOTHING;
    },
    close: () => containerd.close(),
  };
}

/** image-spec config.md, "Layer ChainID". Undefined for what is no image. */
function chainId({ blobs }: TestImage, { bytes }: TestDocument): string | undefined {
  const { config } = parse(bytes) as { config?: { digest: string } };
  const { rootfs } = parse(blobs.get(config?.digest ?? '')) as { rootfs?: { diff_ids: readonly string[] } };
  return rootfs?.diff_ids.reduce((below, diffId) => {
    return below === ''
      ? diffId
      : `sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`;
  }, '');
}

function parse(bytes: Uint8Array | undefined): unknown {
  return bytes === undefined ? {} : JSON.parse(new TextDecoder().decode(bytes));
}

describe('what peers take of each kind of image', { skip: needs({ root: true }) }, () => {
  let registry: TestRegistry;
  let store: Store;
  const dir = scratch('hawser-choose-');
  const zoo: Made[] = [];
  const resolved = new Map<string, Answer>();
  const pulled = new Map<string, Answer>();
  before(async () => {
    registry = await startRegistry();
    store = await openStore({ root: join(dir.path, 'root') });
    for (const [name, make] of Object.entries(ZOO)) {
      const image = await make();
      const one = { name, image, ref: registry.push(`zoo/${name}`, 'v1', image) };
      zoo.push(one);
      resolved.set(name, await resolveOne(store, one).catch(() => NOTHING));
      pulled.set(name, await pullOne(store, one).catch(() => NOTHING));
    }
  });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await registry.close();
    await dir[Symbol.asyncDispose]();
  });

  const compare = (
    peer: string,
    skip: string | false,
    ours: ReadonlyMap<string, Answer>,
    open: () => Client | Promise<Client>,
  ) =>
    test(peer, { skip }, async (t) => {
      const client = await open();
      const differences: Record<string, Answer> = {};
      try {
        for (const one of zoo) {
          const answer = await client.choose(one);
          const why = DIFFERENCES[peer]?.[one.name]?.[1];
          t.diagnostic(
            `${one.name}: ${answer}; hawser: ${ours.get(one.name)}${why === undefined ? '' : `: ${why}`}`,
          );
          if (answer !== ours.get(one.name)) differences[one.name] = answer;
        }
      } finally {
        await client.close();
      }
      const known = Object.entries(DIFFERENCES[peer] ?? {}).map(([name, [answer]]) => [name, answer]);
      assert.deepEqual(differences, Object.fromEntries(known));
    });

  compare('crane', skipOfCrane(), resolved, crane);
  compare('skopeo', needs({ tools: ['skopeo'] }), resolved, () => skopeo(dir));
  for (const one of installations) {
    compare(one.name, skipOf(one), pulled, async () => ctr(await startContainerd(undefined, '', one)));
    test(`inside ${one.name} the base of amd64 is taken, which is what containerd runs`, {
      skip: skipOf(one),
    }, async () => {
      await using containerd = await startContainerd(undefined, '', one);
      await using inside = await openContainerd({ address: containerd.socket });
      const { ref, image } = zoo.find(({ name }) => name === 'index-levels') ?? assert.fail();
      const { unpacked } = await pull(ref, { store: inside });
      assert.deepEqual(
        unpacked.map(({ manifest }) => placeOf(image, manifest.digest)),
        ['manifest 3 of 4'],
      );
      const { stdout } = await containerd.ctr('images', 'check', '-q');
      assert.equal(stdout.trim(), ref);
    });
  }
});

function skipOfCrane(): string | false {
  if (findTool('crane') !== undefined) return false;
  requirePeer('crane');
  return 'needs the tool crane';
}

function skipOf({ containerd, ctr }: Installation): string | false {
  return containerd.includes('/') ? false : needs({ tools: [containerd, ctr] });
}

async function resolveOne(store: Store, { ref, image }: Made): Promise<Answer> {
  const { transports, clock, hashers } = partsOf(store).runtime;
  const registry = openRegistry({ transports, clock }, { retry: { tries: 0 } });
  try {
    const wanted = [{ os: 'linux', architecture: 'amd64' }];
    const deps = { registry, clock, hashers, report: () => {}, retry: { tries: 0 } };
    const { manifests } = await resolvePlatforms(deps, parseReference(ref), wanted, {});
    return placeOf(image, manifests[0]?.desc.digest ?? '');
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

async function pullOne(store: Store, { ref, image }: Made): Promise<Answer> {
  const platforms = ['linux/amd64'];
  const { unpacked } = await pull(ref, { store, platforms, snapshotter: 'native', retry: { tries: 0 } });
  return image.manifests.length === 0 ? 'itself' : placeOf(image, unpacked[0]?.manifest.digest ?? '');
}
