import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf } from '../../../src/core/errors.ts';
import { Expense, giveBack, imageBudget } from '../../../src/core/layers/image-budget.ts';
import type { LayerLimits } from '../../../src/core/layers/layer-settings.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';

const GIB = 2 ** 30;
const layer = (n: number, size: number, mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip') => ({
  mediaType,
  digest: parseDigest(`sha256:${String(n).padStart(64, '0')}`),
  size,
});
const [small, large] = [layer(1, 270_000), layer(2, 5_000_000)];
const zstd = layer(3, 5_000_000, 'application/vnd.oci.image.layer.v1.tar+zstd');
const docker = layer(4, 5_000_000, 'application/vnd.docker.image.rootfs.diff.tar.zstd');

const CASES: Readonly<
  Record<string, readonly [ReturnType<typeof layer>[], Partial<LayerLimits>, number, string]>
> = {
  'the first GiB is free': [[small], {}, GIB, 'ratio'],
  'a layer that is listed many times counts once': [[small, small, small, small], {}, GIB, 'ratio'],
  'different layers add up': [[large, layer(5, 5_000_000)], {}, 10_000_000_000, 'ratio'],
  'zstd may expand ten times as much': [[zstd], {}, 50_000_000_000, 'ratio'],
  'by the media types of Docker too': [[docker, small], {}, 50_270_000_000, 'ratio'],
  'a huge image meets the total': [[layer(6, 2 ** 40)], {}, 2 ** 40, 'size'],
  'the total can be set': [[large], { maxImageBytes: 1000 }, 1000, 'size'],
  'without a ratio only the total counts': [[small], { maxRatio: 0 }, 2 ** 40, 'size'],
  'what one layer may, an image may': [[layer(6, 2 ** 42)], { maxBytes: 2 ** 43 }, 2 ** 43, 'size'],
  'a smaller limit for layers is none for images': [[large], { maxBytes: 5 }, 5_000_000_000, 'ratio'],
};

for (const [title, [layers, limits, most, by]] of Object.entries(CASES)) {
  test(`the budget of an image: ${title}`, () => {
    const budget = imageBudget(layers, { limits });
    assert.equal(budget.most, most);
    assert.match(budget.flag, by === 'ratio' ? /^--max-layer-ratio$/ : /^--max-image-size$/);
  });
}

test('all layers of an image spend of one budget, in any thread; what is applied again is given back', () => {
  const budget = imageBudget([large], { limits: { maxImageBytes: 1000 } });
  const one = new Expense(budget);
  one.add(600);
  const two = new Expense(structuredClone(budget));
  two.add(400);
  assert.throws(
    () => two.add(1),
    (err) =>
      kindOf(err) === 'ResourceExhausted' &&
      /image expand to more than 1000 bytes together/.test(String(err)),
  );
  two.giveBack();
  two.giveBack();
  new Expense(budget).add(400);
  giveBack(budget, 400);
  new Expense(budget).add(400);
  assert.throws(() => one.add(1), /together/);
  new Expense(undefined).add(2 ** 50);
});
