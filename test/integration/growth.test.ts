/**
 * Each command over a large store, within a bound, its time printed. HAWSER_GROWTH=1: 10,000 images, 100,000 blobs and 1,000 namespaces
 * (some minutes, half a GB below HAWSER_TEST_TMP); by default a hundredth of that.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { anyFlavour, type Hawser, hawser } from '../support/hawser.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const SCALE = Number(process.env.HAWSER_GROWTH ?? 0.01);
const IMAGES = Math.round(10_000 * SCALE);
const NAMESPACES = Math.round(1000 * SCALE);
/** Of each image, besides manifest and config. */
const LAYERS = 8;
/** Seconds for starting the program on a busy machine. */
const START = 20;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI = 'application/vnd.oci.image';

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Writes records and files as pulls leave them. */
class Filler {
  readonly #root: string;
  readonly #db: DatabaseSync;

  constructor(root: string) {
    this.#root = root;
    this.#db = new DatabaseSync(`${root}/hawser.db`);
    this.#db.exec('PRAGMA synchronous=OFF');
    mkdirSync(`${root}/content/blobs/sha256`, { recursive: true });
  }

  #blob(text: string, mediaType: string, labels: Readonly<Record<string, string>> = {}): Blob {
    const hex = createHash('sha256').update(text).digest('hex');
    const digest = `sha256:${hex}`;
    writeFileSync(`${this.#root}/content/blobs/sha256/${hex}`, text, { mode: 0o444 });
    this.#db.prepare("INSERT INTO blobs VALUES ('default', ?, ?, 1, 1)").run(digest, text.length);
    const label = this.#db.prepare("INSERT INTO labels VALUES ('default', 'content', ?, ?, ?)");
    for (const [key, value] of Object.entries(labels)) label.run(digest, key, value);
    return { mediaType, digest, size: text.length };
  }

  #image(n: number): void {
    const layers = Array.from({ length: LAYERS }, (_, i) =>
      this.#blob(`layer ${i} of ${n}`, `${OCI}.layer.v1.tar+gzip`),
    );
    const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
    const text = JSON.stringify({ architecture: 'amd64', os: 'linux', config: { n }, rootfs });
    const config = this.#blob(text, `${OCI}.config.v1+json`);
    const labels = Object.fromEntries(
      layers.map(({ digest }, i) => [`containerd.io/gc.ref.content.l.${i}`, digest]),
    );
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers });
    const root = this.#blob(manifest, MANIFEST, {
      ...labels,
      'containerd.io/gc.ref.content.config': config.digest,
    });
    this.#record('default', `registry.test/app/${n % 100}:${n}`, root);
  }

  #record(ns: string, name: string, { digest, mediaType, size }: Blob): void {
    const put = this.#db.prepare('INSERT INTO images VALUES (?, ?, ?, ?, ?, NULL, 1, 1)');
    put.run(ns, name, digest, mediaType, size);
  }

  fill(): void {
    this.#db.exec('BEGIN');
    this.#db.prepare('INSERT OR IGNORE INTO namespaces VALUES (?)').run('default');
    for (let n = 0; n < IMAGES; n++) this.#image(n);
    const add = this.#db.prepare('INSERT INTO namespaces VALUES (?)');
    for (let n = 0; n < NAMESPACES; n++) add.run(`space-${n}`);
    this.#db.exec('UPDATE generation SET images = images + 1');
    this.#db.exec('COMMIT');
    this.#db.close();
  }
}

describe(`a store of ${IMAGES} images`, () => {
  let temp: Scratch;
  let store: Hawser;

  before(async () => {
    temp = scratch();
    store = hawser(anyFlavour, join(temp.path, 'store'));
    await store.ok('leases', 'create', '--id', 'first', '--expires', '1h');
    new Filler(store.root).fill();
  });
  after(async () => {
    await temp[Symbol.asyncDispose]();
  });

  const indexed = (): number =>
    JSON.parse(readFileSync(`${store.root}/content/index.json`, 'utf8')).manifests.length;

  /** `bound`: seconds for the whole size, besides the start. */
  const timed = (bound: number, args: readonly string[], check: (out: string) => void): void => {
    test(`growth: hawser ${args.slice(0, 4).join(' ')}`, async () => {
      const from = performance.now();
      const { stdout } = await store.ok(...args);
      const seconds = (performance.now() - from) / 1000;
      console.log(`${seconds.toFixed(2)} s  hawser ${args.slice(0, 4).join(' ')}`);
      check(stdout);
      assert.ok(seconds < START + bound * SCALE, `${seconds} s`);
    });
  };
  const linesAre = (count: number) => (out: string) => assert.equal(out.split('\n').length - 1, count);

  timed(10, ['images', 'ls', '-q'], linesAre(IMAGES));
  timed(60, ['images', 'ls'], linesAre(IMAGES + 1));
  timed(30, ['content', 'ls', '-q'], linesAre(IMAGES * (LAYERS + 2)));
  timed(5, ['namespaces', 'ls', '-q'], linesAre(NAMESPACES + 1));
  timed(5, ['leases', 'ls', '-q'], linesAre(1));
  timed(5, ['content', 'active', '-q'], linesAre(0));
  timed(60, ['df', '--json'], (out) => assert.equal(JSON.parse(out).content.count, IMAGES * (LAYERS + 2)));
  timed(60, ['gc', '--dry-run', '--json'], (out) => assert.deepEqual(JSON.parse(out).goes, []));
  timed(60, ['images', 'prune', '--keep', '1', '--dry-run', '--json'], (out) =>
    assert.equal(JSON.parse(out).images.goes.length, IMAGES - Math.min(IMAGES, 100)),
  );
  timed(10, ['images', 'tag', 'registry.test/app/0:0', 'registry.test/app/0:again'], () =>
    assert.equal(indexed(), IMAGES + 1),
  );
  timed(60, ['gc'], (out) => assert.match(out, /^removed 0 blobs/));

  test('growth: removing a tenth of the images, and what only they referred to', async () => {
    const names = Array.from(
      { length: IMAGES / 10 },
      (_, n) => `registry.test/app/${(n + 1) % 100}:${n + 1}`,
    );
    const inode = statSync(`${store.root}/content/index.json`).ino;
    const from = performance.now();
    await store.ok('images', 'rm', ...names);
    console.log(
      `${((performance.now() - from) / 1000).toFixed(2)} s  hawser images rm (${names.length} images)`,
    );
    assert.notEqual(statSync(`${store.root}/content/index.json`).ino, inode);
    assert.equal(indexed(), IMAGES + 1 - names.length);
    const { stdout } = await store.ok('content', 'ls', '-q');
    linesAre((IMAGES - names.length) * (LAYERS + 2))(stdout);
  });
});
