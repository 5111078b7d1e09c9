/** What the benchmark makes of its measurements. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXT4_GOALS, GOALS } from '../../../scripts/bench/goals.ts';
import { pairedRatio, pullTable, type Series, verdicts } from '../../../scripts/bench/pull.ts';
import { exponent, median, table } from '../../../scripts/bench/run.ts';

const series = (peer: string, seconds: number[], more: Partial<Series> = {}): Series => ({
  image: 'app',
  kind: 'pull',
  peer,
  seconds,
  ...more,
});

test('bench: medians of odd and even numbers of runs', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
  assert.ok(Number.isNaN(median([])));
});

test('bench: the exponent of a power law is found', () => {
  const law = (power: number) => [1, 4, 16].map((x): [number, number] => [x, 3 * x ** power]);
  for (const power of [0, 0.5, 1, 2]) assert.ok(Math.abs(exponent(law(power)) - power) < 1e-9);
});

test('bench: ratios are of runs of the same round, not of medians', () => {
  // A round in which everything was twice as slow changes no ratio.
  assert.equal(pairedRatio(series('ctr', [4, 8, 4]), series('hawser', [1, 2, 1])), 4);
  // The third round failed for one of them.
  assert.equal(pairedRatio(series('ctr', [4, 8]), series('hawser', [1, 2, 100])), 4);
  assert.equal(pairedRatio(series('ctr', []), series('hawser', [1])), undefined);
  assert.equal(pairedRatio(undefined, series('hawser', [1])), undefined);
});

test('bench: goals hold from the ratio on, and those without measurements are not told of', () => {
  const all = [
    series('hawser', [1, 1, 1]),
    series('ctr', [4, 4, 4]),
    series('floor', [0.9, 0.9, 0.9]),
    series('hawser', [0.2], { kind: 'again' }),
  ];
  assert.deepEqual(
    verdicts(all, GOALS).map(({ goal, holds }) => [goal, holds]),
    [
      ['app pull: hawser at least 4 times as fast as ctr', true],
      ['app pull: hawser at least 1 times as fast as floor', false],
      ['app again: at most 0.1 s', false],
    ],
  );
  assert.deepEqual(
    verdicts(all.slice(0, 2), EXT4_GOALS).map(({ measured, holds }) => [measured, holds]),
    [[4, true]],
  );
});

test('bench: the table tells what failed and what was not measured apart from numbers', () => {
  const all = [
    series('hawser', [2]),
    series('ctr', [5]),
    series('podman', [], { failure: 'exit 1' }),
    series('skopeo', [], { skipped: 'no zstd' }),
  ];
  const peers = all.map(({ peer }) => ({ name: peer }));
  const [head = '', row = ''] = pullTable(all, peers, { app: 'six layers' }).split('\n');
  assert.match(head, /^ +hawser +ctr +podman +skopeo$/);
  assert.match(row, /^six layers +2\.00 +5\.00 \(2\.50x\) +failed +-$/);
  assert.equal(
    table([
      ['a', '1'],
      ['bbb', '22'],
    ]),
    'a     1\nbbb  22',
  );
});
