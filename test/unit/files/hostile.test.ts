/** Images that want to cost much, or to show what is not theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, kindOf, messageOf } from '../../../src/core/errors.ts';
import type { ContentEvent } from '../../../src/core/files/contents.ts';
import { walk, wholeView } from '../../../src/core/files/walk.ts';
import type { ModelNode } from '../../../src/core/trees/model-node.ts';
import { noise } from '../../registry/image.ts';
import { dir, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { openTars } from './open-tars.ts';

async function told(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'nothing',
    (err) => `${kindOf(err)}: ${messageOf(err)}`,
  );
}

async function bytesOf(events: AsyncIterable<ContentEvent>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const event of events) if (event.type === 'data') parts.push(event.bytes.slice());
  return Buffer.concat(parts);
}

test('a file with another length than its entry said, or of an entry that is not there, is DataLoss in the end', async () => {
  const { files } = openTars([layer(file('a', 'four'), file('b', 'x'))]);
  const root = await files.whole({});
  const { id = '' } = root.children?.get('a')?.content ?? {};
  const read = (content: { id: string; size: number }) => told(bytesOf(files.content({ content }, {})));
  assert.equal(await read({ id, size: 4 }), 'nothing');
  for (const size of [3, 5]) assert.match(await read({ id, size }), /^DataLoss: layer 1 gave 4 of the /);
  assert.match(await read({ id: '0:7', size: 4 }), /^DataLoss: the archive lacks 1 of its files/);
});

test('what an upper layer notes of its files counts for the limit of the tree, until the layer is over', async () => {
  const many = (from: number, count: number) =>
    layer(...Array.from({ length: count }, (_, i) => file(`d/${from + i}`, '')));
  const read = (...tars: readonly Uint8Array[]) =>
    told(openTars(tars, { maxBytes: 1 << 20 }).files.whole({}));
  const base = layer(dir('d'));
  assert.equal(await read(many(0, 6000)), 'nothing');
  assert.match(await read(base, many(0, 6000)), /^ResourceExhausted: .*too many files to list/);
  assert.equal(await read(base, many(0, 2000), many(2000, 2000), many(4000, 2000)), 'nothing');
  const hint = await openTars([base, many(0, 6000)], { maxBytes: 1 << 20 })
    .files.whole({})
    .catch(hintOf);
  assert.equal(hint, 'Unpack it: hawser unpack REF --rootfs DIR');
});

const LARGE = 20 << 20;

test('a layer that changes between two readings: what was given before is right, and the rest is not given', async () => {
  const bytes = noise(LARGE);
  const text = Buffer.from(bytes).toString('latin1');
  const tar = layer(file('large', text), file('after', 'x'));
  const blobs = [tar];
  const { files, read } = openTars([tar], { blobs });
  const [found] = await files.find(['large'], {});
  const node = found?.is === 'other' ? (found.node as ModelNode) : assert.fail();
  assert.equal(Buffer.compare(await bytesOf(files.content(node, {})), bytes), 0);
  assert.deepEqual(read, [0, 0], 'a large layer is read again');
  const evil = tar.slice();
  evil[(10 << 20) + 5] = (evil[(10 << 20) + 5] ?? 0) ^ 1;
  blobs[0] = evil;
  let good = 0;
  const reading = (async () => {
    for await (const event of files.content(node, {})) {
      if (event.type !== 'data') continue;
      assert.equal(Buffer.compare(event.bytes, bytes.subarray(good, good + event.bytes.length)), 0);
      good += event.bytes.length;
    }
  })();
  assert.match(await told(reading), /^DataLoss: the layer has other bytes/);
  assert.ok(good <= 10 << 20 && good > 5 << 20, String(good));
});

test('symlinks: loops, long ways, and ways out end inside the image', async () => {
  const many = Array.from({ length: 60 }, (_, i) => sym(`s${i}`, `s${i + 1}`));
  const { files } = openTars([
    layer(
      dir('d'),
      file('d/f', 'in'),
      sym('d/up', '../../../../d/f'),
      sym('l1', 'l2'),
      sym('l2', '/l1'),
      ...many,
      file('s60', 'end'),
    ),
    layer(sym('deep', `${'d/../'.repeat(7000)}d/f`.slice(0, 4000)), sym('e', 'd/f/x')),
  ]);
  const view = wholeView(await files.whole({}));
  const at = async (path: string): Promise<string> =>
    await told((async () => walk(view, path, { follow: true }))());
  assert.equal(await at('/d/up'), 'nothing');
  assert.match(await at('/l1'), /^InvalidArgument: \/l1: too many symbolic links/);
  assert.match(await at('/s0'), /^InvalidArgument/);
  assert.equal(await at('/s21'), 'nothing');
  assert.match(await at('/e'), /^FailedPrecondition/);
  assert.match(await at('a'.repeat(5000)), /^InvalidArgument/);
  assert.equal(await at('/../../d/f'), 'nothing');
});

test('what few layers tell: whiteouts, opaque directories that the layer does not list, symlinks below', async () => {
  const base = layer(
    dir('a'),
    file('a/b', 'low'),
    sym('s', 'a'),
    file('x', '1'),
    dir('o'),
    file('o/f', 'old'),
    file('h', 'linked'),
  );
  const cases: readonly (readonly [top: Uint8Array, path: string, want: RegExp, reads: number])[] = [
    [layer(wh('x')), 'x', /NotFound/, 1],
    [layer(dir('a'), wh('a/b')), 'a/b', /NotFound/, 1],
    [layer(opq('o')), 'o/f', /NotFound/, 2],
    [layer(dir('o'), opq('o')), 'o/f', /NotFound/, 1],
    [layer(dir('o'), opq('o'), file('o/n', 'n')), 'o/n', /file/, 1],
    [layer(file('s/b', 'over')), 'a/b', /file over/, 2],
    [layer(hard('g', 'h')), 'g', /file linked/, 2],
    [layer(file('x', '2')), 'x/y', /FailedPrecondition/, 1],
  ];
  for (const [top, path, want, reads] of cases) {
    const { files, read } = openTars([base, top]);
    let got: string;
    try {
      const [found] = await files.find([path], {});
      const node = found?.is === 'other' ? (found.node as ModelNode) : undefined;
      got = node === undefined ? 'directory' : `file ${Buffer.from(await bytesOf(files.content(node, {})))}`;
    } catch (err) {
      got = String(kindOf(err));
    }
    assert.match(got, want, path);
    assert.equal(new Set(read).size, reads, `${path}: ${read}`);
  }
});

test('a bomb is refused while it is read, and a wrong layer whatever is asked for', async () => {
  const bomb = openTars([layer(file('a', 'x'.repeat(5000)))], { settings: { limits: { maxBytes: 4096 } } });
  assert.match(
    await told(bomb.files.find(['a'], {})),
    /^ResourceExhausted.*--max-layer-size|^ResourceExhausted/,
  );
  const tar = layer(file('a', 'x'));
  const { files } = openTars([tar], { blobs: [layer(file('a', 'y'))] });
  assert.match(await told(files.find(['a'], {})), /^DataLoss: Cannot read layer 1/);
  assert.match(await told(openTars([new Uint8Array(700).fill(65)]).files.whole({})), /^InvalidArgument/);
});
