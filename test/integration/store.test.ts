/** The commands that look after a store, as a user types them: in hawser's own store, and in a namespace of a containerd. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { image } from '../support/bench.ts';
import { type Containerd, startContainerd } from '../support/containerd.ts';
import { type ExecResult, exec, describe as explain } from '../support/exec.ts';
import { anyFlavour, eachRuntime, type Flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

/** hawser over one store: the flags before the command say which. */
class Store {
  readonly #flavour: Flavour;
  readonly #where: readonly string[];

  constructor(flavour: Flavour, where: readonly string[]) {
    this.#flavour = flavour;
    this.#where = where;
  }

  run(...args: readonly string[]): Promise<ExecResult> {
    const [file, ...first] = this.#flavour.command;
    return exec(file, [...first, ...this.#where, ...args]);
  }

  async ok(...args: readonly string[]): Promise<string> {
    const result = await this.run(...args);
    assert.equal(result.code, 0, explain(result));
    return result.stdout;
  }

  async json(...args: readonly string[]) {
    return JSON.parse(await this.ok(...args, '--json'));
  }

  async lines(...args: readonly string[]): Promise<string[]> {
    return (await this.ok(...args)).split('\n').filter((line) => line !== '');
  }
}

let temp: Scratch;
let daemon: Containerd | undefined;
let count = 0;

/** Without root or containerd its tests say so. */
const skipDaemon = needs({ root: true, tools: ['containerd', 'ctr'] });

before(async () => {
  temp = scratch();
  if (skipDaemon === false) daemon = await startContainerd();
});
after(async () => {
  await daemon?.close();
  await temp[Symbol.asyncDispose]();
});

interface Place {
  readonly name: string;
  readonly skip: string | false;
  /** Collects by itself, late. */
  readonly daemon: boolean;
  open(): Store;
}

const PLACES: readonly Place[] = [
  // Without FFI each system call is a program: the suites have tried that.
  ...eachRuntime
    .filter(({ name }) => name !== 'node22')
    .map((flavour) => ({
      name: flavour.name,
      skip: flavour.skip,
      daemon: false,
      open: () => new Store(flavour, ['--root', join(temp.path, `store-${count++}`)]),
    })),
  {
    name: 'containerd',
    skip: skipDaemon,
    daemon: true,
    open: () => new Store(anyFlavour, ['--address', daemon?.socket ?? '', '-n', `test-${count++}`]),
  },
];

async function withRegistry(
  body: (registry: TestRegistry) => Promise<void>,
  faults: object[] = [],
): Promise<void> {
  const registry = await startRegistry({ faults });
  try {
    await body(registry);
  } finally {
    await registry.close();
  }
}

for (const place of PLACES) describe(`store: ${place.name}`, { skip: place.skip }, () => commands(place));

function commands(place: Place): void {
  test('what a failed fetch left is seen, explained and freed', async () => {
    const made = await image('a');
    const [, last] = made.layers;
    const cut = { match: `/blobs/${last?.digest}`, cutAfter: 20 };
    await withRegistry(
      async (registry) => {
        const ref = registry.push('a/i', 'v1', made);
        const store = place.open();
        const failed = await store.run('content', 'fetch', '--retry-time', '1ms', '--progress', 'none', ref);
        assert.equal(failed.code, 1, explain(failed));
        const [lease] = await store.lines('leases', 'ls', '-q');
        assert.ok(lease !== undefined);
        const { leases } = await store.json('leases', 'ls');
        assert.ok(leases[0].resources.length >= 3, 'the lease says what it holds');
        const [partial] = await store.lines('content', 'active', '-q', 'ref~=^layer');
        assert.equal(partial, `layer-${last?.digest}`);
        const { ingests } = await store.json('content', 'active', 'ref~=layer');
        assert.deepEqual([ingests[0].ref, ingests[0].offset], [partial, 20]);
        const why = await store.ok('gc', '--explain', made.root.digest);
        assert.match(why, new RegExp(`stays\n +lease ${lease}\n +-> blob ${made.root.digest}`));
        assert.deepEqual((await store.json('gc', '--dry-run')).goes, []);
        const { goes, frees } = await store.json('leases', 'rm', '--dry-run', lease);
        assert.ok(goes.some(({ id }: { id: string }) => id === made.root.digest));
        assert.ok(frees >= made.root.bytes.length);
        assert.ok((await store.json('df')).partial.count >= 1);
        assert.equal(await store.ok('content', 'rm', partial ?? ''), `${partial}\n`);
        assert.deepEqual(await store.lines('content', 'active', '-q', `ref==${partial}`), []);
        assert.equal(await store.ok('leases', 'rm', lease), `${lease}\n`);
        assert.deepEqual(await store.lines('content', 'ls', '-q'), []);
        const { content, partial: left } = await store.json('df');
        assert.deepEqual([content.count, left.count], [0, 0]);
      },
      [cut],
    );
  });

  test('what a failed fetch keeps: as long as --keep-partial says', async () => {
    const made = await image('k');
    const cut = { match: `/blobs/${made.layers[1]?.digest}`, cutAfter: 20 };
    await withRegistry(
      async (registry) => {
        const ref = registry.push('a/k', 'v1', made);
        const store = place.open();
        const fetch = ['content', 'fetch', '--retry-time', '1ms', '--progress', 'none', ref];
        assert.equal((await store.run(...fetch, '--keep-partial', '10m')).code, 1);
        const { leases } = await store.json('leases', 'ls');
        const left = Date.parse(leases[0].expires) - Date.now();
        assert.ok(left > 0 && left <= 600_000, `${left} ms`);
        assert.ok(leases[0].resources.length >= 3);
        await store.ok('leases', 'rm', leases[0].id);
        assert.equal((await store.run(...fetch, '--keep-partial', '0')).code, 1);
        if (place.daemon) await store.ok('gc');
        assert.deepEqual((await store.json('leases', 'ls')).leases, []);
        assert.deepEqual((await store.json('content', 'active')).ingests, []);
      },
      [cut],
    );
  });

  test('leases: made with an id, labels and a time; listed by filter; what is not there is an error', async () => {
    const store = place.open();
    assert.equal(await store.ok('leases', 'create', '--id', 'mine', '--expires', '0', 'a=b'), 'mine\n');
    const [random] = await store.lines('leases', 'create');
    assert.deepEqual(await store.lines('leases', 'ls', '-q', 'labels.a==b'), ['mine']);
    assert.deepEqual(await store.lines('leases', 'ls', '-q', `id==${random}`), [random]);
    assert.match(await store.ok('leases', 'ls'), /^ID +CREATED AT +LABELS *\n/);
    const failed = await store.run('leases', 'rm', 'none', 'mine');
    assert.deepEqual([failed.code, failed.stdout], [1, 'mine\n']);
    assert.match(failed.stderr, /none/);
  });

  test('images rm --dry-run: what goes is what goes', async () => {
    await withRegistry(async (registry) => {
      const store = place.open();
      const made = await image('b');
      const ref = registry.push('a/b', 'v1', made);
      await store.ok('content', 'fetch', '--progress', 'none', ref);
      const { goes } = await store.json('images', 'rm', '--dry-run', ref);
      const digests = goes.filter(({ type }: { type: string }) => type === 'content');
      assert.deepEqual(
        await store.lines('content', 'ls', '-q'),
        digests.map(({ id }: { id: string }) => id).sort(),
      );
      const { images } = await store.json('df');
      assert.equal(images[0].unique, images[0].content);
      await store.ok('images', 'rm', ref);
      if (place.daemon) await store.ok('gc');
      assert.deepEqual(await store.lines('content', 'ls', '-q'), []);
    });
  });

  test('a blob that is removed is gone, though an image refers to it', async () => {
    await withRegistry(async (registry) => {
      const store = place.open();
      const made = await image('c');
      await store.ok('content', 'fetch', '--progress', 'none', registry.push('a/c', 'v1', made));
      const digest = made.layers[0]?.digest ?? '';
      assert.equal(await store.ok('content', 'rm', digest), `${digest}\n`);
      assert.equal((await store.lines('content', 'ls', '-q')).includes(digest), false);
      assert.equal((await store.run('content', 'rm', digest)).code, 1);
    });
  });

  test('images prune: by number, age and filter; pinned, leased and used images stay', async () => {
    await withRegistry(async (registry) => {
      const store = place.open();
      const made = await image('d');
      for (const tag of ['v1', 'v2', 'v3']) {
        const labels = tag === 'v1' ? ['--label', 'io.cri-containerd.pinned=pinned'] : [];
        const ref = registry.push('a/d', tag, made);
        await store.ok('content', 'fetch', '--progress', 'none', ...labels, ref);
      }
      const other = registry.push('a/e', 'v1', await image('e'));
      await store.ok('content', 'fetch', '--progress', 'none', other);
      const tag = (name: string) => other.replace('a/e:v1', `a/d:${name}`);
      assert.equal((await store.run('images', 'prune')).code, 2);
      const { images, plan } = await store.json('images', 'prune', '--keep', '1', '--dry-run');
      assert.deepEqual(images.goes, [tag('v2')]);
      assert.ok(plan.goes.some(({ id }: { id: string }) => id === tag('v2')));
      const why = new Map(images.stays.map((one: { name: string; why: string }) => [one.name, one.why]));
      assert.equal(why.get(tag('v1')), 'it is pinned');
      assert.match(String(why.get(tag('v3'))), /last 1 of/);
      assert.deepEqual(await store.lines('images', 'prune', '--all', '--older-than', '1h'), []);
      assert.deepEqual(await store.lines('images', 'prune', '--keep', '1'), [tag('v2')]);
      assert.deepEqual(await store.lines('images', 'prune', '--filter', 'name~=a/e:'), [other]);
      assert.deepEqual(await store.lines('images', 'prune', '--all'), [tag('v3')]);
      assert.deepEqual(await store.lines('images', 'ls', '-q'), [tag('v1')]);
    });
  });

  test('namespaces: made, labelled, listed, removed once empty', async () => {
    const store = place.open();
    const name = `made-${count++}`;
    await store.ok('namespaces', 'create', name, 'owner=build');
    assert.deepEqual(await store.lines('ns', 'ls', '-q', `name==${name}`), [name]);
    await store.ok('namespaces', 'label', name, 'owner=', 'stage=ci');
    const { namespaces } = await store.json('namespaces', 'ls', 'labels.stage==ci', `name==${name}`);
    assert.deepEqual(namespaces.at(0).labels, { stage: 'ci' });
    assert.equal(await store.ok('namespaces', 'rm', name), `${name}\n`);
    const failed = await store.run('namespaces', 'rm', name);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /not found[\s\S]*namespaces ls/);
  });

  test('images tag and label, content label: names and labels come and go', async () => {
    await withRegistry(async (registry) => {
      const store = place.open();
      const made = await image('f');
      const ref = registry.push('a/f', 'v1', made);
      const other = registry.push('a/g', 'v1', await image('g'));
      for (const one of [ref, other]) await store.ok('content', 'fetch', '--progress', 'none', one);
      const tags = ['x.test/f:2', 'x.test/f:3'];
      assert.deepEqual(await store.lines('images', 'tag', ref, ...tags), tags);
      assert.deepEqual(await store.lines('leases', 'ls', '-q'), []);
      assert.equal((await store.run('images', 'tag', other, 'x.test/f:2')).code, 1, 'taken');
      await store.ok('images', 'tag', '--force', other, 'x.test/f:3');
      const wrong = await store.run('images', 'tag', other, `x.test/f@${made.root.digest}`);
      assert.match(wrong.stderr, /its digest is/);
      await store.ok('images', 'rm', ref);
      if (place.daemon) await store.ok('gc');
      assert.match(await store.ok('images', 'ls', 'name==x.test/f:2'), new RegExp(made.root.digest));
      assert.ok((await store.lines('content', 'ls', '-q')).includes(made.root.digest));
      assert.equal(await store.ok('images', 'label', 'x.test/f:2', 'b=2', 'a=1', 'x='), 'a=1,b=2\n');
      // Which entries have come in is no label of a user's.
      await store.ok('images', 'label', 'x.test/f:2', 'hawser/admitted=x');
      const { labels } = await store.json('images', 'label', '--replace-all', 'x.test/f:2', 'c=3');
      assert.deepEqual(labels, { c: '3', 'hawser/admitted': 'x' });
      const before = Object.keys((await store.json('content', 'label', made.root.digest)).labels);
      const after = await store.json('content', 'label', made.root.digest, 'mine=yes');
      assert.deepEqual(Object.keys(after.labels).sort(), [...before, 'mine'].sort());
      assert.equal((await store.run('content', 'label', `sha256:${'0'.repeat(64)}`, 'a=b')).code, 1);
    });
  });

  test('content prune references: layers go where they are unpacked, documents stay', {
    skip: needs({ root: true }),
  }, async () => {
    await withRegistry(async (registry) => {
      const store = place.open();
      const made = await image('h');
      const ref = registry.push('a/h', 'v1', made);
      await store.ok('content', 'fetch', '--progress', 'none', ref);
      const layers = made.layers.map(({ digest }) => digest).sort();
      const planned = async (...flags: string[]): Promise<string[]> => {
        const { goes } = await store.json('content', 'prune', 'references', '--dry-run', ...flags);
        return goes.map(({ id }: { id: string }) => id).sort();
      };
      assert.deepEqual(await planned(), [], 'nothing is unpacked');
      assert.deepEqual(await planned('--all'), layers);
      const all = await store.lines('content', 'ls', '-q');
      const kept = await store.run('content', 'prune', 'references');
      assert.match(kept.stderr, /1 manifests keep their layers, which are not unpacked: sha256:/);
      assert.deepEqual(await store.lines('content', 'ls', '-q'), all);
      await store.ok('unpack', '--progress', 'none', ref);
      assert.deepEqual(await planned(), layers);
      await store.ok('content', 'prune', 'references');
      const left = await store.lines('content', 'ls', '-q');
      assert.deepEqual(
        left,
        all.filter((digest) => !layers.includes(digest)),
      );
      assert.equal((await store.run('content', 'prune')).code, 2);
    });
  });

  test('snapshots: prepared, labelled, committed, viewed, removed', {
    skip: needs({ root: true }),
  }, async () => {
    const store = place.open();
    await store.ok('snapshots', 'prepare', 'work');
    const mounts = await store.ok('snapshots', 'mounts', '/mnt', 'work');
    const idsOf = (text: string): number[] => [...text.matchAll(/\/(\d+)\//g)].map(([, id]) => Number(id));
    const next = await store.ok('snapshots', 'prepare', '--target', '/mnt', 'work2');
    assert.equal(next.replaceAll(/\/\d+\//g, '/N/'), mounts.replaceAll(/\/\d+\//g, '/N/'));
    assert.ok(Math.min(...idsOf(next)) > Math.max(...idsOf(mounts)), 'another directory');
    assert.match(
      await store.ok('snapshots', 'label', 'work', 'owner=me'),
      /containerd\.io\/gc\.root=.*,owner=me\n/,
    );
    await store.ok('snapshots', 'commit', 'done', 'work');
    await store.ok('snapshots', 'view', 'look', 'done');
    const tar = ['--media-type', 'application/vnd.oci.image.layer.v1.tar'];
    const diff = await store.run('snapshots', 'diff', ...tar, '--store', '--label', 'owner=me', 'done');
    assert.equal(diff.code, 0, explain(diff));
    assert.equal(diff.stdout.length % 512, 0);
    const [, kept = ''] = /kept as (sha256:[0-9a-f]{64})/.exec(diff.stderr) ?? [];
    assert.ok((await store.ok('snapshots', 'diff', 'done', 'look')).length > 0, 'gzip');
    assert.match((await store.run('snapshots', 'diff', 'nothing')).stderr, /snapshots ls/);
    await store.ok('gc');
    const { blobs } = await store.json('content', 'ls', 'labels.owner==me');
    assert.deepEqual(
      blobs.map(({ digest }: Record<string, string>) => digest),
      [kept],
    );
    assert.ok(blobs[0].labels['containerd.io/uncompressed'] !== undefined);
    await store.ok('content', 'rm', kept);
    const list = await store.ok('snapshots', 'ls');
    assert.match(list, /^done +Committed *\nlook +done +View *\nwork2 +Active *$/m);
    const { snapshots } = await store.json('snapshots', 'ls', 'kind==view', 'parent==nothing');
    assert.deepEqual(
      snapshots.map(({ name, parent, kind }: Record<string, string>) => [name, parent, kind]),
      [['look', 'done', 'View']],
    );
    assert.equal(
      (await store.json('snapshots', 'ls', 'kind==committed,labels.owner==me')).snapshots.length,
      0,
    );
    const refused = await store.run('snapshots', 'rm', '--dry-run', 'done');
    assert.match(refused.stderr, /"look" lies over it/);
    assert.equal((await store.run('snapshots', 'rm', 'done')).code, 1);
    const { goes } = await store.json('snapshots', 'rm', '--dry-run', 'look', 'done');
    assert.deepEqual(goes.map(({ id }: { id: string }) => id).sort(), ['done', 'look']);
    assert.deepEqual(await store.lines('snapshots', 'rm', 'look', 'done', 'work2'), [
      'look',
      'done',
      'work2',
    ]);
    assert.deepEqual((await store.lines('snapshots', 'ls')).length, 1);
  });
}
