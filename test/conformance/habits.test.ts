/** What users of nine tools type is run, as they type it, or as the hint says: each line ends as it should. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { main } from '../../src/cli/main.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { collector } from '../support/command-line.ts';
import { needs } from '../support/needs.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';
import { HABITS } from '../unit/cli/habit-rows.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A directory of its own for a line, with the store and the home of a user. */
interface Place {
  readonly dir: string;
  readonly ref: string;
  go(...args: readonly string[]): Promise<Ran>;
}

const [USER, PASSWORD] = ['USER', 'PASSWORD'];

async function imageOf(architecture: string): Promise<TestImage> {
  const platform = { os: 'linux', architecture };
  const release = { name: 'etc/os-release', data: `ID=${architecture}\n` };
  return buildImage({
    platform,
    config: { config: { Cmd: ['/bin/true'] } },
    layers: [
      { entries: [{ name: 'etc', type: 'directory' }, release] },
      { entries: [{ name: 'top', data: 'x' }] },
    ],
  });
}

const skip = needs({ root: true });

class World {
  readonly #registry: TestRegistry;
  readonly #image: TestImage;
  readonly #scratch = tempDir();
  readonly #dir: string = this.#scratch.path;
  readonly #base = composeRuntime(parts, { workerUrl: workerUrl() });
  #count = 0;
  readonly layer: string;

  constructor(registry: TestRegistry, image: TestImage, layer: string) {
    this.#registry = registry;
    this.#image = image;
    this.layer = layer;
  }

  /** A fresh directory; the image at the registry and in the store. */
  async place(): Promise<Place> {
    const dir = join(this.#dir, String(++this.#count));
    mkdirSync(join(dir, '.docker'), { recursive: true });
    const auths = { [this.#registry.host]: { auth: btoa(`${USER}:${PASSWORD}`) } };
    writeFileSync(join(dir, '.docker/config.json'), JSON.stringify({ auths }));
    const ref = this.#registry.push('app', '1', this.#image);
    const place = { dir, ref, go: (...args: readonly string[]) => this.#run(dir, args) };
    await ok(place, 'pull', ref);
    return place;
  }

  /** The words of a line with the places that are here. */
  words(line: string): string[] {
    const words = (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ''));
    return words.map((word) =>
      word
        .replace('r.io', this.#registry.host)
        .replace('o.io', `${this.#registry.host}/other`)
        .replace('sha256:DIGEST', this.layer),
    );
  }

  async #run(dir: string, args: readonly string[]): Promise<Ran> {
    const [stdout, stderr] = [collector(), collector()];
    const env = (name: string): string | undefined => ({ HOME: dir, PATH: process.env.PATH })[name];
    const host = {
      ...this.#base.host,
      env,
      stdout,
      stderr,
      cwd: () => dir,
      stdinIsTerminal: true,
      readLine: async (how: { silent?: boolean } = {}) => (how.silent === true ? PASSWORD : USER),
      onInterrupt: (): Disposable => ({ [Symbol.dispose]: () => {} }),
    };
    const code = await main({ ...this.#base, host }, ['--root', join(this.#dir, 'root'), ...args]);
    return { code, out: stdout.text(), err: stderr.text() };
  }

  async close(): Promise<void> {
    await this.#base.workers[Symbol.asyncDispose]();
    await this.#registry.close();
    this.#scratch[Symbol.dispose]();
  }
}

async function makeWorld(): Promise<World> {
  const auth = { mode: 'basic', user: USER, pass: PASSWORD } as const;
  const registry = await startRegistry({ auth, uploads: {} });
  const artifact = await buildImage({ layers: [], manifest: { artifactType: 'application/x.test' } });
  registry.push('artifact', '1', artifact);
  const amd64 = await imageOf('amd64');
  const image = buildIndex([amd64, await imageOf('arm64')]);
  return new World(registry, image, amd64.layers[0]?.digest ?? '');
}

async function ok(place: Place, ...args: readonly string[]): Promise<Ran> {
  const ran = await place.go(...args);
  assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.err}`);
  return ran;
}

/** What a line needs beside the image in the store. */
async function prepare(line: string, place: Place): Promise<void> {
  const { dir, ref } = place;
  if (/^(?:images import|load -i|push app\.tar|copy docker-archive:)/.test(line))
    await ok(place, 'export', 'app.tar', ref);
  if (/^copy docker-archive:/.test(line)) await ok(place, 'export', '--format', 'docker', 'app.tar', ref);
  if (/--lacks/.test(line)) await ok(place, 'export', 'old.tar', ref);
  if (/images\.lock/.test(line)) {
    writeFileSync(join(dir, 'images.txt'), ref);
    writeFileSync(join(dir, 'images.lock'), (await ok(place, 'lock', 'images.txt')).out);
  }
  if (/^push app:1/.test(line)) await ok(place, 'tag', ref, 'app:1');
  if (/(?:--image|--layout) folder|^copy oci:/.test(line)) await ok(place, 'export', 'folder/', ref);
  if (/^copy oci:/.test(line)) rename(join(dir, 'folder/index.json'));
  if (/^copy dir:/.test(line)) await skopeoDirectory(join(dir, 'folder'), place);
  if (/^images unmount/.test(line)) await mount(place);
  if (/^images mount/.test(line)) mkdirSync(join(dir, 'mnt'));
  for (const key of /^snapshots (?:rm|diff) (.+)/.exec(line)?.[1]?.split(' ') ?? [])
    await ok(place, 'snapshots', 'prepare', key);
}

async function mount(place: Place): Promise<void> {
  mkdirSync(join(place.dir, 'mnt'));
  await ok(place, 'images', 'mount', place.ref, 'mnt');
}

/** The name of skopeo's `oci:folder:1`. */
function rename(file: string): void {
  const index = JSON.parse(readFileSync(file, 'utf8'));
  for (const one of index.manifests) one.annotations = { 'org.opencontainers.image.ref.name': '1' };
  writeFileSync(file, JSON.stringify(index));
}

async function skopeoDirectory(dir: string, place: Place): Promise<void> {
  mkdirSync(dir);
  const { out } = await ok(place, 'manifest', '--platform', 'linux/amd64', place.ref);
  writeFileSync(join(dir, 'version'), 'Directory Transport Version: 1.1\n');
  writeFileSync(join(dir, 'manifest.json'), out);
  const { config, layers } = JSON.parse(out);
  for (const { digest } of [config, ...layers])
    writeFileSync(join(dir, digest.slice(7)), (await ok(place, 'content', 'get', digest)).out, 'latin1');
}

type End = (place: Place, out: string) => unknown;
const prints =
  (what: RegExp): End =>
  (_, out) =>
    assert.match(out, what);
const makes =
  (path: string): End =>
  ({ dir }) =>
    assert.ok(
      existsSync(join(dir, path)) && statSync(join(dir, path)).size > 0,
      `${path} of ${readdirSync(dir)}`,
    );
const isGone: End = async ({ go, ref }) =>
  assert.doesNotMatch((await go('images', 'ls', '-q')).out, new RegExp(`^${ref}$`, 'm'));
const isThere =
  (name: (ref: string) => string): End =>
  async ({ go, ref }) =>
    assert.equal((await go('images', 'inspect', name(ref))).code, 0);
const isAt =
  (path: string): End =>
  async ({ go, ref }) =>
    assert.equal((await go('digest', ref.replace('/app:1', path))).code, 0);
const DIGEST = /^sha256:[0-9a-f]{64}$/m;
const MANIFEST = /"mediaType":\s*"application\/vnd\.oci\.image\.(?:index|manifest)/;

/** By the beginning of a line: what must be there after it, or after what the hint names. */
const ENDS: readonly (readonly [RegExp, End])[] = [
  [/^pull (?:-q|--quiet)/, prints(/^\S+\/app:1\n$/)],
  [/^images rm|^rmi/, isGone],
  [/^(?:images )?tag .* app:2$/, isThere(() => 'app:2')],
  [/^images tag/, isThere((ref) => ref.replace(/1$/, '2'))],
  [
    /^(?:images export|save -o|save --format|image export|pull r\.io\/app:1 app\.tar|copy .* docker-archive:)/,
    makes('app.tar'),
  ],
  [/^export .*app\.tar/, makes('app.tar')],
  [/^save r/, prints(/index\.json/)],
  [/^export r\.io\/app:1 -/, prints(/etc\/os-release/)],
  [/oci:folder:1$|ocidir:|--to-oci-layout|--format oci r/, makes('folder/index.json')],
  [/^images mount/, makes('mnt/etc/os-release')],
  [/^images unmount/, ({ dir }) => assert.deepEqual(readdirSync(join(dir, 'mnt')), [])],
  [
    /^images label/,
    async ({ go, ref }) =>
      assert.match((await go('images', 'inspect', '--json', ref)).out, /"key": ?"value"/),
  ],
  [/^images (?:check|ls)|^image ls|^images -q/, prints(/app:1/)],
  [/digest r\.io|^resolve/, prints(DIGEST)],
  [/manifest (?!digest)|inspect --raw|imagetools/, prints(MANIFEST)],
  [/^config|inspect --config/, prints(/"architecture"/)],
  [/list-tags|^ls r|tag ls|repo tags/, prints(/^1$/m)],
  [/^catalog|repo ls/, prints(/^app$/m)],
  [/^cp .*:\/etc/, makes('etc/os-release')],
  [/get-file/, prints(/^ID=amd64$/m)],
  [/^blob/, (_, out) => assert.ok(out.length > 50)],
  [
    /^login|auth login|registry login/,
    ({ dir }) => assert.match(readFileSync(join(dir, '.docker/config.json'), 'utf8'), /"auth"/),
  ],
  [
    /^logout/,
    ({ dir }) => assert.doesNotMatch(readFileSync(join(dir, '.docker/config.json'), 'utf8'), /"auth"/),
  ],
  [/^copy (?:r|docker:\/\/r)\.io\/app:1 (?:docker:\/\/)?o/, isAt('/other/app:1')],
  [/^unpack --/, makes('bundle/config.json')],
  [/^raw unpack/, makes('rootfs/etc/os-release')],
  [/^history|^stat|^(?:images? )?inspect/, prints(/sha256:[0-9a-f]{12}/)],
];

/** Runs what is typed; where it is another tool's, what the hint names. How it ended: `works`, or `told`. */
async function run(world: World, line: string, place: Place): Promise<'works' | 'told'> {
  const typed = await place.go(...world.words(line));
  if (typed.code === 0 && !/^hawser \w+: |^hawser pulls/.test(typed.out)) {
    await ends(line, place, typed.out);
    return 'works';
  }
  const hint = /^hint: In hawser: (.+)$/m.exec(typed.err)?.[1];
  if (hint === undefined) {
    assert.match(typed.code === 0 ? typed.out : typed.err, /\bhawser (?:\w+ )?\w+|list, ls/, typed.err);
    return 'told';
  }
  let out = '';
  for (const command of hint.split(' && ')) {
    const words = world.words(command).slice(1);
    const filled = words.map((word) => (word === 'REF' ? place.ref : word === '...' ? USER : word));
    out += (await ok(place, ...filled)).out;
  }
  await ends(line, place, out);
  return 'told';
}

async function ends(line: string, place: Place, out: string): Promise<void> {
  await ENDS.find(([begins]) => begins.test(line))?.[1](place, out);
}

test('habits: each line of nine tools is run, and what its hint names: all end as their users expect', {
  skip,
}, async (t) => {
  const world = await makeWorld();
  const count = { works: 0, told: 0 };
  const wrong: string[] = [];
  for (const [line] of HABITS) {
    const place = await world.place();
    try {
      await prepare(line, place);
      count[await run(world, line, place)]++;
    } catch (err) {
      wrong.push(`${line}: ${String(err).slice(0, 400)}`);
    } finally {
      if (/^images (?:un)?mount/.test(line)) await place.go('images', 'unmount', '--rm', 'mnt');
    }
  }
  await world.close();
  t.diagnostic(
    `${count.works + count.told} of ${HABITS.length} habits: ${count.works} work, ${count.told} are told the command, which works`,
  );
  assert.deepEqual(wrong, []);
});
