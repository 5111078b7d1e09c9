/** `pull` and `content fetch` of many images, `lock` and `--locked`, as the command line has them, over a store and a test registry. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRuntime } from '../../src/entry/library.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { runHere } from '../support/command-line.ts';
import { needs } from '../support/needs.ts';
import { tempDir } from '../support/tmp.ts';

const skip = needs({ root: true });

/** One layer that all images have, and one of its own. */
function image(name: string, more: { readonly architecture?: string } = {}): Promise<TestImage> {
  const { architecture } = more;
  return buildImage({
    layers: [
      { entries: [{ name: 'shared', data: 'x'.repeat(200_000) }] },
      { entries: [{ name: `own-${name}`, data: name }] },
    ],
    ...(architecture === undefined ? {} : { platform: { os: 'linux', architecture } }),
  });
}

interface World {
  readonly registry: TestRegistry;
  readonly dir: string;
  go(...args: readonly string[]): Promise<{ code: number; out: string; err: string }>;
  file(name: string, text: string): string;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const registry = await startRegistry();
  const runtime = await defaultRuntime();
  const go: World['go'] = (...args) => runHere(runtime, join(dir.path, 'root'), args);
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir.path, name), text);
    return join(dir.path, name);
  };
  mkdirSync(join(dir.path, 'root'));
  try {
    await body({ registry, dir: dir.path, go, file });
  } finally {
    await registry.close();
    dir[Symbol.dispose]();
  }
}

const shared = async (): Promise<string> => (await image('a')).layers[0]?.digest ?? '';

test('images side by side: the shared layer is asked for once, and all are recorded, in the order of the list', {
  skip,
}, async () => {
  await withWorld(async ({ registry, go, file }) => {
    const refs: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) refs.push(registry.push(name, '1', await image(name)));
    // The first answer is slow: the others come upon the download, and on Deno and Node wait for one another.
    registry.faults.push({ match: await shared(), dribble: { bytes: 50_000, interval: 30 } });
    const list = file('images.txt', `# all\n${refs.join('\n')}\n`);
    const pulled = await go('pull', '--snapshotter', 'native', '-f', list, refs[0] ?? '');
    assert.equal(pulled.code, 0, pulled.err);
    assert.equal(registry.traffic(await shared()).requests, 1);
    const lines = pulled.out.trimEnd().split('\n');
    assert.deepEqual(
      lines.slice(-6, -1).map((line) => line.split(' ')[0]),
      refs,
    );
    assert.match(lines.at(-1) ?? '', /^5 of 5 images: \d+ bytes in /);
    assert.equal((await go('images', 'ls', '-q')).out.trimEnd().split('\n').length, 5);
    const extracted = lines.filter((line) => /: layer 1\/2 .*: extracted$/.test(line));
    assert.equal(extracted.length, 1, 'the shared layer is unpacked once');
    const again = await go('pull', '--snapshotter', 'native', '-f', list);
    assert.equal(again.code, 0, again.err);
    assert.equal(registry.traffic(await shared()).requests, 1);
  });
});

test('one that fails does not stop the others: exit status 1, and JSON that lists what failed', async () => {
  await withWorld(async ({ registry, go, file }) => {
    const good = [registry.push('a', '1', await image('a')), registry.push('b', '1', await image('b'))];
    const missing = `${registry.host}/none:1`;
    const list = file('l', `${good[0]}\n${missing}\nNot/Good\n${good[1]}\n`);
    const { code, out, err } = await go('content', 'fetch', '--progress', 'json', '-f', list);
    assert.equal(code, 1);
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const end = events.at(-1);
    assert.equal(end.type, 'ended');
    assert.deepEqual(
      end.done.map((one: { name: string }) => one.name),
      good,
    );
    assert.deepEqual(
      end.failed.map(({ name, kind }: { name: string; kind: string }) => [name, kind]),
      [
        ['', 'InvalidArgument'],
        [missing, 'NotFound'],
      ],
    );
    assert.deepEqual(events[0], { v: 1, type: 'images', count: 3 });
    assert.ok(events.some((event) => event.type === 'failed' && event.image === missing));
    assert.ok(events.filter(({ type }) => type === 'recorded').every(({ name, image }) => name === image));
    assert.match(err, /^error: .*\/l:3: Cannot use reference "Not\/Good"/);
    assert.match(err, /\nerror: .*none:1: .*not found/);
    assert.match(err, /\nhawser: 2 of 4 images failed\n$/);
    const leases = await go('images', 'rm', ...good);
    assert.equal(leases.code, 0, leases.err);
    assert.equal((await go('content', 'ls', '-q')).out, '', 'nothing is held of images that were there');
  });
});

test('--fail-fast stops the others at the first failure', async () => {
  await withWorld(async ({ registry, go, file }) => {
    const refs: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) refs.push(registry.push(name, '1', await image(name)));
    registry.faults.push({ match: '/a/manifests/1', status: 404 }, { match: /\/[b-f]\//, delay: 400 });
    const list = file('l', refs.join('\n'));
    const { code, err } = await go('fetch', '--fail-fast', '-f', list);
    assert.equal(code, 1);
    assert.match(err, /Stopped, as .*\/a:1 has failed/);
    assert.match(err, /hawser: 6 of 6 images failed/);
    assert.equal((await go('images', 'ls', '-q')).out, '');
  });
});

test('the limit of downloads is one for all images', async () => {
  await withWorld(async ({ registry, go, file }) => {
    const refs: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      const layers = [1, 2, 3].map((n) => ({ entries: [{ name: `${name}${n}`, data: `${name}${n}` }] }));
      refs.push(registry.push(name, '1', await buildImage({ layers })));
    }
    let [now, most] = [0, 0];
    registry.faults.push({
      match: '/blobs/',
      delay: 30,
      when: () => {
        now++;
        most = Math.max(most, now);
        setTimeout(() => now--, 30);
        return true;
      },
    });
    const { code, err } = await go(
      'fetch',
      '--max-concurrent-downloads',
      '2',
      '-f',
      file('l', refs.join('\n')),
    );
    assert.equal(code, 0, err);
    assert.ok(most <= 2, `${most} at once`);
  });
});

test('A34: a lock is pulled by digest under the tag, also after the tag has moved; --locked refuses that, and what is not locked', async () => {
  await withWorld(async ({ registry, go, file }) => {
    const index = buildIndex([
      await image('a', { architecture: 'amd64' }),
      await image('a2', { architecture: 'arm64' }),
    ]);
    const refs = [registry.push('a', '1', index), registry.push('b', '1', await image('b'))];
    const list = file('l', refs.join('\n'));
    const locked = await go('lock', list, '--platform', 'linux/amd64');
    assert.equal(locked.code, 0, locked.err);
    const lock = file('images.lock', locked.out);
    const [first, second] = JSON.parse(readFileSync(lock, 'utf8')).images;
    assert.equal(first.digest, index.root.digest);
    assert.deepEqual(Object.keys(first.platforms), ['linux/amd64']);
    assert.equal(second.ref, refs[1]);
    assert.equal((await go('fetch', '--locked', '-f', lock)).code, 0);
    const same = await go('lock', '--check', lock);
    assert.deepEqual([same.code, same.out, same.err], [0, '', '']);
    const moved = await image('other');
    registry.push('b', '1', moved);
    const checked = await go('lock', '--check', lock);
    assert.equal(checked.code, 3);
    assert.match(checked.err, /b:1: .*has moved.*\nhint: .*\nhawser: 1 of 2 tags moved\n$/);
    assert.equal(checked.out, '');
    registry.faults.push({ match: '/v2/a/', status: 404 });
    const failed = await go('lock', '--check', lock);
    assert.equal(failed.code, 1, 'another error is none of a tag that has moved');
    assert.match(failed.err, /hawser: 2 of 2 images failed/);
    registry.faults.length = 0;
    assert.match((await go('lock', '--check', list)).err, /is not locked/);
    const kept = await go('fetch', '-f', lock);
    assert.equal(kept.code, 0, kept.err);
    assert.match(kept.out, new RegExp(`/b:1 ${second.digest}\n`));
    const refused = await go('fetch', '--locked', '-f', lock);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /b:1: .*has moved: it is locked to sha256:\w+, and the registry has sha256:/);
    assert.match(refused.err, /1 of 2 images failed/);
    assert.ok(refused.err.includes(moved.root.digest));
    const open = await go('fetch', '--locked', refs[0] ?? '');
    assert.match(open.err, /is not locked\nhint: hawser lock FILE/);
    assert.equal((await go('lock', list, '--platform', 'linux/s390x')).code, 1);
  });
});

test('a list is exported: all of it, or what is missing is told and nothing is written; a lock is kept', async () => {
  await withWorld(async ({ registry, go, file }) => {
    const refs = [registry.push('a', '1', await image('a')), registry.push('b', '1', await image('b'))];
    const list = file('l', refs.join('\n'));
    const lock = file('images.lock', (await go('lock', list)).out);
    assert.equal((await go('fetch', refs[0] ?? '')).code, 0);
    const out = `${list}.tar`;
    const missing = await go('export', out, '-f', list);
    assert.equal(missing.code, 1);
    assert.match(
      missing.err,
      /error: .*\/b:1: .*not found\nhint: Pull it: .*\nhawser: 1 of 2 images failed\n$/,
    );
    assert.equal(existsSync(out), false);
    assert.equal((await go('fetch', refs[1] ?? '')).code, 0);
    const whole = await go('export', out, '-f', list, refs[0] ?? '');
    assert.equal(whole.code, 0, whole.err);
    assert.deepEqual(whole.out.match(/\/[ab]:1 /g), ['/a:1 ', '/b:1 ']);
    assert.equal((await go('export', out, '-f', lock)).code, 0);
    registry.push('b', '1', await image('other'));
    assert.equal((await go('fetch', refs[1] ?? '')).code, 0);
    assert.match(
      (await go('export', out, '-f', lock)).err,
      /b:1 is sha256:\w+ here, not sha256:\w+\nhint: hawser pull -f/,
    );
    assert.equal((await go('export', out)).code, 2);
    assert.match((await go('export', out, '-f', file('e', '# none\n'))).err, /names no image/);
  });
});

test('usage: nothing named, a name with two digests, a password for two registries, a plan of a list', async () => {
  await withWorld(async ({ registry, go, file }) => {
    const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
    assert.match((await go('pull')).err, /please provide an image reference to pull\nhint: .*-f FILE/);
    assert.match((await go('fetch', '-f', file('e', '# none\n'))).err, /The list names no image/);
    const images = ['a', 'b'].map((one) => ({ ref: 'h.io/x:1', digest: digest(one) }));
    const twice = file('twice', JSON.stringify({ v: 1, images: images.slice(0, 1) }));
    const other = file('other', JSON.stringify({ v: 1, images: images.slice(1) }));
    assert.match((await go('fetch', '-f', twice, '-f', other)).err, /h\.io\/x:1 has two digests/);
    const user = await go('fetch', '--user', 'u:p', 'h.io/a:1', `${registry.host}/b:1`);
    assert.equal(user.code, 2);
    assert.match(user.err, /--user and --refresh are for one registry, and the images are at 2/);
    assert.equal((await go('pull', '--plan', 'a', 'b')).code, 2);
    assert.match((await go('pull', 'a', 'docker://b')).err, /"docker:\/\/b" is not how/);
  });
});

test('a password is for the registry of the images, whether a layout stands before them or after', async () => {
  await withWorld(async ({ registry, dir, go }) => {
    const guarded = await startRegistry({ auth: { mode: 'basic', user: 'u', pass: 'p' } });
    try {
      const local = registry.push('l', '1', await image('l'));
      assert.equal((await go('fetch', local)).code, 0);
      const layout = `oci:${join(dir, 'layout')}`;
      assert.equal((await go('export', `${join(dir, 'layout')}/`, local)).code, 0);
      const ref = guarded.push('a', '1', await image('a'));
      for (const both of [
        [layout, ref],
        [ref, layout],
      ]) {
        const { code, err } = await go('fetch', '--user', 'u:p', ...both);
        assert.equal(code, 0, err);
        assert.equal((await go('images', 'rm', ref)).code, 0);
      }
    } finally {
      await guarded.close();
    }
  });
});

test('a repair sends a password to one registry only, and reads it once', async () => {
  await withWorld(async ({ registry, go }) => {
    const ref = registry.push('a', '1', await image('a'));
    assert.equal((await go('fetch', ref)).code, 0);
    assert.equal((await go('images', 'repair', '--user', 'u:p')).code, 0);
    assert.equal((await go('images', 'tag', ref, 'other.example/a:1')).code, 0);
    const both = await go('images', 'repair', '--user', 'u:p');
    assert.deepEqual([both.code, both.out], [2, '']);
    assert.match(both.err, /for one registry, and the images are at 2: .*other\.example/);
    assert.equal((await go('images', 'repair', '--user', 'u:p', ref)).code, 0);
    assert.equal((await go('images', 'repair')).code, 0);
  });
});

test('a platform of a list that is none fails its image; the others are pulled, and all errors are shown', {
  skip,
}, async () => {
  await withWorld(async ({ registry, go, file }) => {
    const ref = registry.push('a', '1', await image('a'));
    const bad = (source: string) => `  - {source: "${source}", type: image, platform: linux/amd64/}\n`;
    const list = file(
      'regsync.yml',
      `version: 1\nsync:\n${bad(`${ref}0`)}  - {source: "${ref}", type: image}\n  - {source: "Not/Valid", type: image}\n`,
    );
    const pulled = await go('pull', '--snapshotter', 'native', '-f', list);
    assert.equal(pulled.code, 1);
    assert.match(pulled.err, /sync 1: .*linux\/amd64\//);
    assert.match(pulled.err, /sync 3: .*Not\/Valid/);
    assert.match(pulled.err, /2 of 3 images failed/);
    assert.equal((await go('images', 'ls', '-q')).out.trimEnd(), ref);
    const only = await go('pull', '-f', file('bad.yml', `version: 1\nsync:\n${bad(ref)}`));
    assert.match(only.err, /sync 1: .*linux\/amd64\//);
    assert.match(only.err, /1 of 1 images failed/);
    assert.equal((await go('pull', '--fail-fast', '-f', list)).code, 1);
  });
});
