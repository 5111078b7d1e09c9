/** A store's policy: which images go ahead of a collection that comes by itself, and which files are no policy. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { chooseByPolicy } from '../../src/core/verbs/policy.ts';
import { parsePolicy } from '../../src/core/verbs/policy-file.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, openStore, type ProgressEvent, recover, type Store, usage } from '../../src/mod.ts';
import { buildImage, type TestImage } from '../registry/image.ts';
import { type Bench, rejectsWith, withBench } from '../support/bench.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { needs } from '../support/needs.ts';

const HOUR = 3_600_000;
const FILTERED = { maxAge: undefined, keepLast: undefined, maxSize: undefined, protect: [] };

function inDatabase(store: Store, sql: string, ...values: readonly (string | number)[]): void {
  const db = new DatabaseSync(`${store.root}/hawser.db`);
  db.prepare(sql).run(...values);
  db.close();
}

/** Four tags of a repository, and one of another, each an hour older than the one before. */
async function filled({ store, registry }: Bench): Promise<string[]> {
  const refs: string[] = [];
  for (const [n, tag] of ['1', '2', '3', '4'].entries()) {
    refs.push(registry.push(n === 3 ? 'a/other' : 'a/app', tag, await big(n)));
  }
  for (const [n, ref] of refs.entries()) {
    await fetch(ref, { store });
    inDatabase(store, 'UPDATE images SET updated_at = ? WHERE name = ?', Date.now() - n * HOUR, ref);
  }
  return refs;
}

/** Of a size that the store's database does not matter beside. */
const MIB = 1 << 20;
const big = (n: number): Promise<TestImage> =>
  buildImage({
    layers: [{ entries: [{ name: 'file', data: Buffer.alloc(4 * MIB, n + 1) }], compression: 'none' }],
  });
/** Blobs of such an image. */
const BLOBS = 3;

const namesOf = async (store: Store): Promise<string[]> =>
  (await store.images.list()).map(({ name }) => name);

/** What is left by a policy once a collection is due, and what was warned of. */
async function following(bench: Bench, policy: string): Promise<{ names: string[]; warnings: string[] }> {
  const { store, registry } = bench;
  writeFileSync(`${store.root}/policy.toml`, policy);
  inDatabase(store, 'UPDATE due SET at = 1');
  const ref = registry.push('a/last', '1', await big(9));
  const warnings: string[] = [];
  await fetch(ref, {
    store,
    onProgress: (event) => void (event.type === 'warning' && warnings.push(event.message)),
  });
  return { names: (await namesOf(store)).filter((name) => name !== ref), warnings };
}

for (const [title, policy, left] of [
  ['nothing asked', '', [0, 1, 2, 3]],
  ['too old', 'max-age = "90m"', [0, 1]],
  ['too many', 'keep-last = 1', [0, 3]],
  ['too old and not among the last', 'max-age = "30m"\nkeep-last = 2', [0, 1, 3]],
  ['protected by name and by label', 'keep-last = 0\nprotect = ["name~=other", "labels.keep"]', [1, 3]],
  ['too much: the oldest first', 'max-size = "SIZE"', [0, 1]],
] as const) {
  test(`policy: ${title}`, async () => {
    await withBench(async (bench) => {
      const { store } = bench;
      const refs = await filled(bench);
      await store.images.label(refs[1] ?? '', { keep: '' });
      await store.images.label(refs[1] ?? '', { keep: 'yes' });
      inDatabase(store, 'UPDATE images SET updated_at = ? WHERE name = ?', Date.now() - HOUR, refs[1] ?? '');
      const { total } = await usage(store);
      // The image that comes needs room, too.
      const { names, warnings } = await following(bench, policy.replace('SIZE', String(total - 2 * MIB)));
      const gone = refs.filter((_, n) => !left.some((stays) => stays === n));
      const lines = gone.map((ref) => `Removed the image ${ref}, by the policy ${store.root}/policy.toml`);
      assert.deepEqual(warnings.sort(), lines.sort());
      assert.deepEqual(names, left.map((n) => refs[n] ?? '').sort());
      const used = (await store.content.list()).length;
      assert.equal(used, (left.length + 1) * BLOBS, 'what they referred to went, too');
    });
  });
}

test('policy: no image goes for a size that the store would not have without all of them, and that is told', async () => {
  await withBench(async (bench) => {
    const refs = await filled(bench);
    const policy = 'max-size = "13M"\nprotect = ["name~=app"]\nmax-age = "150m"\nkeep-last = 0';
    const { names, warnings } = await following(bench, policy);
    assert.deepEqual(names, refs.slice(0, 3).sort(), 'an image still goes for its age');
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /Removed the image .*other/);
    assert.match(
      warnings[1] ?? '',
      /policy\.toml: max-size: no image goes, .* more than 13631488 bytes .*\(blobs \d+, unpacked layers 0, /,
    );
    const { backend, runtime } = partsOf(bench.store);
    const choice = await chooseByPolicy(backend, { ...FILTERED, maxSize: 1 }, { now: runtime.clock.now() });
    assert.deepEqual(choice.goes, []);
    assert.match(choice.tooLarge ?? '', /max-size/);
  });
});

test('policy: a pinned image and one that a lease lists stay; why is said', async () => {
  await withBench(async (bench) => {
    const { store } = bench;
    const refs = await filled(bench);
    await store.images.label(refs[2] ?? '', { 'io.cri-containerd.pinned': 'pinned' });
    inDatabase(store, 'UPDATE images SET updated_at = 1 WHERE name = ?', refs[2] ?? '');
    await store.leases.create({ id: 'mine' });
    await store.leases.add('mine', { type: 'images', id: refs[1] ?? '' });
    const { backend, runtime } = partsOf(store);
    const maxSize = (await usage(store)).total - MIB;
    const choice = await chooseByPolicy(backend, { ...FILTERED, maxSize }, { now: runtime.clock.now() });
    assert.deepEqual(
      choice.goes.map(({ name }) => name),
      [refs[3]],
    );
    const why = new Map(choice.stays.map((one) => [one.image.name, one.why]));
    assert.equal(why.get(refs[1] ?? ''), 'lease mine uses it');
    assert.equal(why.get(refs[0] ?? ''), 'the policy lets it stay', 'never the newest');
  });
});

test('policy: a file that is none removes nothing, and is told', async () => {
  for (const [content, says] of [
    ['keep-last = -1', /keep-last must be a whole number/],
    ['max-age = "3 weeks"', /max-age: .*duration/],
    ['max-age = 3', /max-age must be a string/],
    ['max-age = "-720h"', /max-age must be more than 0/],
    ['max-age = "0"', /max-age must be more than 0/],
    ['max-size = "0"', /max-size must be more than 0/],
    ['max-size = "many"', /max-size: invalid size/],
    ['keep_last = 1', /unknown key "keep_last"/],
    ['protect = "x"', /protect must be an array/],
    ['= 3', /line 1: not TOML/],
  ] as const) {
    assert.throws(() => parsePolicy(content, 'policy.toml'), says);
  }
  await withBench(async (bench) => {
    const refs = await filled(bench);
    const { names, warnings } = await following(bench, 'keep-last = 0\nprotect = ["=="]');
    assert.deepEqual(names, [...refs].sort());
    assert.match(warnings.join('\n'), /policy\.toml: protect: filters: parse error/);
  });
});

test('policy: a root may hold a policy and no database: new, after a loss, and with a damaged one', async () => {
  await withBench(async ({ registry, store }) => {
    const ref = registry.push('a/app', '1', await big(0));
    for (const lose of ['remove', 'damage'] as const) {
      const root = `${store.root}.${lose}`;
      mkdirSync(root, { mode: 0o700 });
      writeFileSync(`${root}/policy.toml`, 'keep-last = 1');
      const fresh = await openStore({ root });
      await fetch(ref, { store: fresh });
      await fresh[Symbol.asyncDispose]();
      if (lose === 'damage') truncateSync(`${root}/hawser.db`, 5000);
      else for (const suffix of ['', '-wal', '-shm']) rmSync(`${root}/hawser.db${suffix}`, { force: true });
      assert.deepEqual((await recover({ root })).images, [{ name: ref, complete: true }], lose);
    }
  });
});

const BAD_FILES: Readonly<Record<string, readonly [(path: string) => void, RegExp]>> = {
  'a symlink to nothing': [(path) => symlinkSync('/nonexistent/policy', path), /symbolic link to nothing/],
  'a directory': [(path) => mkdirSync(path), /policy\.toml/],
  'too long': [(path) => writeFileSync(path, '#'.repeat((1 << 16) + 1)), /longer than 65536 bytes/],
  'no TOML': [(path) => writeFileSync(path, '= 3'), /not TOML/],
  'one that others may write to': [
    (path) => {
      writeFileSync(`${path}.shared`, 'keep-last = 0');
      chmodSync(`${path}.shared`, 0o666);
      symlinkSync(`${path}.shared`, path);
    },
    /^Cannot follow the policy \S+: other users may write to it \(mode 0666\)\. chmod go-w \S+, or remove it$/,
  ],
};

for (const [title, [make, says]] of Object.entries(BAD_FILES)) {
  test(`policy: ${title}: no image goes, the user is told, and the collection is made`, async () => {
    await withBench(async ({ store, registry }) => {
      const refs = ['1', '2'].map((tag) => ['a/app', tag] as const);
      for (const [n, [repository, tag]] of refs.entries())
        await fetch(registry.push(repository, tag, await big(n)), { store });
      const ingest = await store.content.ingest('loose', { size: 3 });
      await ingest.write(new Uint8Array(3));
      const digest = await ingest.commit();
      await ingest[Symbol.asyncDispose]();
      make(`${store.root}/policy.toml`);
      inDatabase(store, 'UPDATE due SET at = 1');
      const warnings: string[] = [];
      await fetch(registry.push('a/last', '1', await big(9)), {
        store,
        onProgress: (event) => void (event.type === 'warning' && warnings.push(event.message)),
      });
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /policy\.toml/);
      assert.match(warnings[0] ?? '', says);
      assert.equal((await namesOf(store)).length, 3);
      await rejectsWith('NotFound', /not found/, store.content.info(digest));
    });
  });
}

test('policy: one of another user is not followed', { skip: needs({ root: true }) }, async () => {
  await withBench(async (bench) => {
    const refs = await filled(bench);
    const { store } = bench;
    writeFileSync(`${store.root}/policy.toml`, '');
    chownSync(`${store.root}/policy.toml`, 12345, 12345);
    const { names, warnings } = await following(bench, 'keep-last = 0');
    assert.deepEqual(names, [...refs].sort());
    const file = `${store.root}/policy.toml`;
    const begins = `Cannot follow the policy ${file}: it belongs to user 12345, and this is user 0.`;
    assert.deepEqual(warnings, [`${begins} Change its owner (chown 0 ${file}), or remove it`]);
    rmSync(file);
    symlinkSync('/dev/null', file);
    lchownSync(file, 12345, 12345);
    const linked = (await following(bench, '')).warnings;
    assert.deepEqual(linked, [`${begins} Change its owner (chown -h 0 ${file}), or remove it`]);
  });
});

const warningsInto =
  (warnings: string[]) =>
  (event: ProgressEvent): void =>
    void (event.type === 'warning' && warnings.push(event.message));

test('policy: max-size holds as images come under new names, with no collection due', async () => {
  await withBench(async ({ store, registry }) => {
    writeFileSync(`${store.root}/policy.toml`, 'max-size = "14M"');
    const refs: string[] = [];
    const warnings: string[] = [];
    for (const n of [0, 1, 2, 3, 4]) {
      const ref = registry.push('a/app', `${n}`, await big(n));
      refs.push(ref);
      await fetch(ref, { store, onProgress: warningsInto(warnings) });
      assert.ok((await usage(store)).total <= 14 * MIB, ref);
    }
    const left = await namesOf(store);
    assert.deepEqual(left, refs.slice(-left.length));
    assert.ok(left.length >= 1 && left.length <= 3, `${left.length} images`);
    const file = `${store.root}/policy.toml`;
    const gone = refs.slice(0, -left.length).map((ref) => `Removed the image ${ref}, by the policy ${file}`);
    assert.deepEqual(warnings, gone);
  });
});

test('policy: too large a store that another process works over is collected by the next verb that is alone', async () => {
  await withBench(async ({ store, registry }) => {
    writeFileSync(`${store.root}/policy.toml`, 'max-size = "10M"');
    const refs = await Promise.all([0, 1, 2].map(async (n) => registry.push('a/app', `${n}`, await big(n))));
    const other = await openStore({ root: store.root });
    for (const ref of refs) await fetch(ref, { store });
    assert.equal((await namesOf(store)).length, 3);
    await other[Symbol.asyncDispose]();
    // No new name comes.
    await fetch(refs[2] ?? '', { store });
    assert.deepEqual(await namesOf(store), refs.slice(1));
  });
});

test('policy: a size that no collection reaches is told once, and collects nothing, until something has changed', async () => {
  await withBench(async ({ store, registry }) => {
    const file = `${store.root}/policy.toml`;
    const stray = `${store.root}/content/blobs/sha256/${'a'.repeat(64)}`;
    const warnings: string[] = [];
    const come = async (...tags: number[]) => {
      warnings.length = 0;
      for (const n of tags) {
        const ref = registry.push('a/app', `${n}`, await big(n));
        // Of each verb by itself, as of a command.
        const own = await openStore({ root: store.root });
        await fetch(ref, { store: own, onProgress: warningsInto(warnings) });
        await own[Symbol.asyncDispose]();
      }
      return warnings.map((one) => one.replace(file, 'FILE'));
    };
    await store[Symbol.asyncDispose]();
    writeFileSync(file, 'max-size = "3M"');
    assert.equal((await come(0)).length, 1);
    writeFileSync(stray, 'x');
    assert.deepEqual(await come(1, 2), []);
    assert.ok(existsSync(stray), 'nothing was collected');
    writeFileSync(file, 'max-size = "2M"');
    const told = await come(3, 4);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /^FILE: max-size: no image goes, .* more than 2097152 bytes/);
    assert.ok(existsSync(stray));
    writeFileSync(file, 'max-size = "10M"');
    assert.match((await come(5)).join(), /^(Removed the image \S+, by the policy FILE,?){4}$/);
    assert.ok(!existsSync(stray));
  });
});

/** `hawser gc` over a store of three images, of which the policy lets one go. */
async function withGc(
  policy: string,
  body: (gc: (...args: string[]) => Promise<RanHere>, refs: readonly string[], store: Store) => Promise<void>,
): Promise<void> {
  await withBench(async ({ store, registry }) => {
    const refs = [0, 1, 2].map((n) => ['a/app', `${n}`] as const);
    const names: string[] = [];
    for (const [n, [repository, tag]] of refs.entries()) {
      const ref = registry.push(repository, tag, await big(n));
      await fetch(ref, { store });
      names.push(ref);
    }
    writeFileSync(`${store.root}/policy.toml`, policy);
    const { runtime } = partsOf(store);
    await body((...args) => runHere(runtime, store.root, ['gc', ...args]), names, store);
  });
}

for (const policy of ['max-size = "10M"', 'keep-last = 2'])
  test(`policy: gc follows ${policy}; --dry-run and --explain foretell that`, () =>
    withGc(policy, async (gc, [first = '', ...rest], store) => {
      const file = `${store.root}/policy.toml`;
      const plan = JSON.parse((await gc('--dry-run', '--json')).out) as {
        frees: number;
        goes: { type: string; id: string }[];
      };
      assert.deepEqual(
        plan.goes.flatMap(({ type, id }) => (type === 'images' ? [id] : [])),
        [first],
      );
      const explained = (await gc('--explain', first)).out;
      assert.match(explained, /goes with the next collection: the policy \S+policy\.toml lets it go/);
      assert.equal((await namesOf(store)).length, 3, 'nothing was changed');
      const { out, code } = await gc();
      assert.equal(code, 0);
      assert.ok(
        out.startsWith(`removed the image ${first}, by the policy ${file}\nremoved ${BLOBS} blobs`),
        out,
      );
      assert.deepEqual(await namesOf(store), rest);
      assert.deepEqual(JSON.parse((await gc('--json')).out).images, []);
    }));

test('policy: gc tells of a size that no image can make, and of a broken policy, and collects the rest', () =>
  withGc('max-size = "1M"', async (gc, refs, store) => {
    for (const args of [[], ['--dry-run']]) {
      const { err, code } = await gc(...args);
      assert.match(err, /policy\.toml: max-size: no image goes/);
      assert.equal(code, 0);
    }
    writeFileSync(`${store.root}/policy.toml`, 'max-sise = "1M"');
    for (const args of [['--dry-run'], []]) {
      const { out, err, code } = await gc(...args);
      assert.match(
        err,
        /policy\.toml: unknown key "max-sise"[\s\S]*keys max-age, keep-last, max-size, protect/,
      );
      assert.match(out, /removed? /);
      assert.notEqual(code, 0);
    }
    assert.deepEqual(await namesOf(store), refs);
  }));
