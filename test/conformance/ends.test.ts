/** How a verb begins and ends: refusals come before the first byte; what fails after the record, or after an error, changes nothing. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LocalBackend } from '../../src/backends/local/open.ts';
import { HawserError, hintOf, kindOf, notesOf } from '../../src/core/errors.ts';
import { checkLayerCount } from '../../src/core/layers/layer-steps.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import type { FileHandle, FileSystem } from '../../src/core/ports/file-system.ts';
import type { LayerSnapshotter } from '../../src/core/snapshots/snapshotter.ts';
import { partsOf } from '../../src/entry/stores.ts';
import {
  bundle,
  fetch,
  openContainerd,
  openStore,
  type ProgressEvent,
  pull,
  type Store,
  unpack,
  unpackRootfs,
} from '../../src/mod.ts';
import { buildImage } from '../registry/image.ts';
import { altered, image, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { failure } from '../support/failure.ts';
import { needs } from '../support/needs.ts';
import { noise } from '../support/small-image.ts';

const ROOT = { skip: needs({ root: true }) };

/** A role of the store with some of its methods replaced. */
const wrapped = <T extends object>(role: T, changes: Partial<T>): T =>
  new Proxy(role, {
    get(target, name) {
      const value = Reflect.get(Object.hasOwn(changes, name) ? changes : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

test(
  'a machine where no snapshot can be made is told so before anything is asked or written',
  ROOT,
  async () => {
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/b', 'v1', await image('one'));
      const check = async () => Promise.reject(new HawserError('FailedPrecondition', 'not root'));
      const snapshotter = (name?: string): LayerSnapshotter =>
        wrapped<LayerSnapshotter>(store.snapshotter(name) as LayerSnapshotter, { check });
      await rejectsWith(
        'FailedPrecondition',
        /not root/,
        pull(ref, { store: altered(store, { snapshotter }) }),
      );
      assert.deepEqual([registry.log(), await store.leases.list()], [[], []]);
      await fetch(ref, { store });
    });
  },
);

/** The causes of an error, itself first. */
function causesOf(err: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let one = err; one !== undefined && causes.length < 32; one = (one as Error).cause) causes.push(one);
  return causes;
}

const KINDS = ['NotFound', 'AlreadyExists', 'FailedPrecondition', 'DataLoss', 'Unavailable'] as const;
const REASONS = [
  ...[new Error('mine'), 'text', { odd: true }, new DOMException('x', 'AbortError')],
  ...KINDS.map((kind) => new HawserError(kind, 'of work of the caller')),
];

test(
  'an abort for any reason is Canceled, at each moment of a pull, and the reason is among the causes',
  ROOT,
  async () => {
    const made = await image('one');
    for (const reason of REASONS) {
      await withBench(async ({ store, registry }) => {
        const ref = registry.push('a/b', 'v1', made);
        for (const moment of ['resolving', 'resolved', 'blob', 'layer', 'unpacked']) {
          const stop = new AbortController();
          const onProgress = (event: ProgressEvent): void => {
            if (event.type === moment) stop.abort(reason);
          };
          const err = await failure(pull(ref, { store, signal: stop.signal, onProgress }));
          assert.equal(kindOf(err), 'Canceled', `${moment}: ${err}`);
          assert.ok(causesOf(err).includes(reason), `${moment}: ${err}`);
          assert.deepEqual(await store.images.list(), []);
        }
        await fetch(ref, { store });
        const call = { store, signal: AbortSignal.abort(reason) };
        for (const work of [
          fetch(ref, call),
          unpack(ref, call),
          unpackRootfs(ref, join(store.root, '../tree'), call),
          bundle(ref, join(store.root, '../bundle'), call),
          openStore({ root: store.root, signal: call.signal }),
          openContainerd({ address: '/nowhere', signal: call.signal }),
        ]) {
          const err = await failure(work);
          assert.equal(kindOf(err), 'Canceled', String(err));
          assert.ok(causesOf(err).includes(reason), String(err));
        }
      });
    }
  },
);

/** As `role`; notes the signals of calls. */
const watched = <T extends object>(role: T, signals: Set<AbortSignal>): T =>
  new Proxy(role, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...given: readonly { readonly signal?: unknown }[]) => {
        const { signal } = given.findLast((one) => typeof one === 'object') ?? {};
        if (signal instanceof AbortSignal) signals.add(signal);
        return value.apply(target, given);
      };
    },
  });

test('the failure of one part of a pull ends the others as Canceled, whatever its kind', ROOT, async () => {
  const layers = ['a', 'b'].map((name) => ({ entries: [{ name, data: name }] }));
  const made = await buildImage({ layers });
  for (const side of ['fetch', 'unpack'] as const) {
    for (const kind of KINDS) {
      // That a blob is there already ends no fetch.
      if (side === 'fetch' && kind === 'AlreadyExists') continue;
      await withBench(async ({ store, registry }) => {
        const ref = registry.push('a/b', 'v1', made);
        const signals = new Set<AbortSignal>();
        const fails = async (): Promise<never> => Promise.reject(new HawserError(kind, 'one part'));
        const plain = partsOf(store).backend as LocalBackend;
        const content = wrapped(plain.content, {
          ingest: async (name, expected, call) => {
            if (side === 'fetch' && expected?.digest === made.layers[1]?.digest) return await fails();
            return await plain.content.ingest(name, expected, call);
          },
        });
        const own = plain.snapshotter();
        const changes = side === 'unpack' ? { prepare: fails } : {};
        const snapshotter = watched(wrapped<LayerSnapshotter>(own, changes), signals);
        const parts = { content: watched(content, signals), snapshotter: () => snapshotter };
        const err = await failure(pull(ref, { store: altered(store, parts) }));
        assert.ok(signals.size > 0);
        for (const { aborted, reason } of signals) {
          if (!aborted) continue;
          assert.equal(kindOf(reason), 'Canceled');
          assert.match(causesOf(reason).map(String).join(), /one part/);
        }
        assert.ok([...signals].some(({ aborted }) => aborted));
        assert.equal(kindOf(err), kind);
      });
    }
  }
});

test(
  'more layers than overlayfs can show are told before a layer is fetched, with a way out',
  ROOT,
  async () => {
    const layers = Array.from({ length: 501 }, (_, n) => ({ entries: [{ name: `${n}`, data: 'x' }] }));
    const many = await buildImage({ layers });
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/many', 'v1', many);
      const err = await failure(pull(ref, { store }));
      assert.match(err.message, /has 501 layers, and the snapshotter overlayfs can show 500/);
      assert.match(hintOf(err) ?? '', /snapshotter native/);
      for (const { digest } of many.layers) assert.equal(registry.traffic(digest).requests, 0);
      assert.deepEqual(await store.images.list(), []);
      await fetch(ref, { store });
      await rejectsWith('FailedPrecondition', /has 501 layers/, unpack(ref, { store }));
    });
  },
);

test('how many layers are too many depends on the snapshotter, up to a number that no image has', () => {
  const manifest = { mediaType: 'm', digest: parseDigest(`sha256:${'1'.repeat(64)}`), size: 1 };
  for (const [count, maxLayers, says] of [
    [500, 500, undefined],
    [501, 500, /can show 500/],
    [501, undefined, undefined],
    [1000, undefined, undefined],
    [1001, undefined, /more than the 1000/],
    [1001, 2000, /more than the 1000/],
  ] as const) {
    const check = () => checkLayerCount(manifest, count, { name: 'x', maxLayers });
    if (says === undefined) check();
    else assert.throws(check, says);
  }
});

const LATE = new HawserError('PermissionDenied', 'removing the lease: read-only file system');

test(
  'a lease that cannot be dropped after the record is a warning: the image is there, and success is said',
  ROOT,
  async () => {
    await withBench(async ({ store, registry, events }) => {
      const ref = registry.push('a/b', 'v1', await image('one'));
      const leases = wrapped(store.leases, { delete: async () => Promise.reject(LATE) });
      const options = {
        store: altered(store, { leases }),
        onProgress: (event: (typeof events)[number]) => void events.push(event),
      };
      for (const verb of [fetch, pull]) {
        events.length = 0;
        const { target } = await verb(ref, options);
        assert.equal((await store.images.get(ref)).target.digest, target.digest);
        const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
        assert.equal(warnings.length, 1);
        assert.match(warnings[0] ?? '', /Cannot drop the lease .* ends by itself.*read-only file system/);
      }
    });
  },
);

test('the first error is the error: what dropping the lease meets is a note of it', ROOT, async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', await image('one'));
    registry.faults.push({ match: '/manifests/', status: 403 });
    for (const method of ['delete', 'resources'] as const) {
      const leases = wrapped(store.leases, { [method]: async () => Promise.reject(LATE) });
      const err = await failure(fetch(ref, { store: altered(store, { leases }) }));
      assert.match(err.message, /failed to resolve reference/);
      assert.match(notesOf(err).join(), /Cannot drop the lease .*read-only file system/);
    }
  });
});

/** What `images rm` leaves of the image after a verb that failed. */
async function leftAfterRemoval(store: Store, ref: string): Promise<readonly string[]> {
  await store.images.delete(ref);
  await store.collect();
  const snapshots = await Promise.all(store.snapshotterNames.map((name) => store.snapshotter(name).list()));
  return [
    ...(await store.content.list()).map(({ digest }) => digest),
    ...snapshots.flat().map(({ name }) => name),
  ];
}

const BAD_LIMIT = { limits: { maxBytes: 1 } };
for (const [title, fails, made] of [
  [
    'unpack --rootfs',
    (ref, store) => unpackRootfs(ref, join(store.root, '../tree'), { store, owner: 'ours', ...BAD_LIMIT }),
    0,
  ],
  [
    'bundle',
    (ref, store) => bundle(ref, join(store.root, '../bundle'), { store, owner: 'ours', ...BAD_LIMIT }),
    0,
  ],
  ['pull of what is there', (ref, store) => pull(ref, { store, snapshotter: 'native', ...BAD_LIMIT }), 0],
  ['unpack', (ref, store) => unpack(ref, { store, snapshotter: 'native', ...BAD_LIMIT }), 0],
  [
    'unpack that has made a snapshot',
    (ref, store) => unpack(ref, { store: sealed(store), snapshotter: 'native' }),
    2,
  ],
] as readonly (readonly [string, (ref: string, store: Store) => Promise<unknown>, number])[]) {
  test(
    `a failed ${title}: ${made === 0 ? 'images rm frees all of the image' : 'what was made is kept for the next try'}`,
    ROOT,
    async () => {
      await withBench(async ({ store, registry }) => {
        const ref = registry.push('a/b', 'v1', await image('one'));
        await fetch(ref, { store });
        await failure(fails(ref, store));
        assert.equal((await store.leases.list()).length, made === 0 ? 0 : 1);
        assert.equal((await leftAfterRemoval(store, ref)).length, made);
      });
    },
  );
}

/** Everything is unpacked, and cannot be made durable. */
function sealed(store: Store): Store {
  return altered(store, { sync: async () => Promise.reject(new HawserError('Internal', 'no sync')) });
}

for (const [title, fault, kept] of [
  ['nothing of', { status: 404 }, false],
  ['some bytes of', { cutAfter: 600 }, true],
] as const) {
  test(`a fetch that failed having got ${title} a layer ${kept ? 'keeps' : 'leases'} ${kept ? 'them for a day' : 'nothing'}`, async () => {
    await withBench(async ({ store, registry }) => {
      const built = await buildImage({ layers: [{ entries: [{ name: 'a', data: noise(1, 4000) }] }] });
      const ref = registry.push('a/b', 'v1', built);
      await fetch(ref, { store, metadataOnly: true });
      registry.faults.push({ match: built.layers[0]?.digest ?? '', ...fault });
      await failure(fetch(ref, { store, retry: { tries: 0 } }));
      assert.equal((await store.leases.list()).length, kept ? 1 : 0);
      const left = await leftAfterRemoval(store, ref);
      assert.equal(left.length, kept ? 2 : 0, 'manifest and config');
      const offsets = (await store.content.listStatuses()).map(({ offset }) => offset > 0);
      assert.ok(!kept || offsets.includes(true));
    });
  });
}

for (const [title, writes, says, notes] of [
  ['written, nor closed: the write is told', false, /no space left/, ['closing config.json: quota exceeded']],
  ['closed, which is told', true, /quota exceeded/, []],
] as const) {
  test(`config.json of a bundle that cannot be ${title}; nothing is left`, async () => {
    await withBench(async ({ store, registry }) => {
      const runtime = runtimeOf(store);
      const open: FileSystem['open'] = async (path, ...more) => {
        const file = await runtime.fs.open(path, ...more);
        if (!path.endsWith('config.json')) return file;
        const write: FileHandle['write'] = async (...bytes) =>
          writes
            ? await file.write(...bytes)
            : Promise.reject(new HawserError('ResourceExhausted', 'writing config.json: no space left'));
        const close = async (): Promise<never> => {
          await file.close();
          throw new HawserError('ResourceExhausted', 'closing config.json: quota exceeded');
        };
        return wrapped(file, { write, close });
      };
      const fs = wrapped(runtime.fs, { open });
      const ref = registry.push('a/b', 'v1', await image('one'));
      await fetch(ref, { store });
      const dir = join(store.root, '../bundle');
      const options = { store: altered(store, {}, { ...runtime, fs }), owner: 'ours' } as const;
      const err = await failure(bundle(ref, dir, options));
      assert.match(err.message, says);
      assert.deepEqual(notesOf(err), notes);
      assert.deepEqual(readdirSync(join(dir, '..')), ['root']);
    });
  });
}
