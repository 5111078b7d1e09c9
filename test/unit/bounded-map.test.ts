/** What a map of limited size keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedMap } from '../../src/core/bounded-map.ts';

test('bounded map: the entry that was used longest ago makes room', () => {
  const map = new BoundedMap<string, number>(3);
  for (const [at, key] of ['a', 'b', 'c'].entries()) map.set(key, at);
  assert.equal(map.get('a'), 0);
  map.set('b', 10);
  map.set('d', 3);
  assert.deepEqual([map.has('a'), map.has('b'), map.has('c'), map.has('d')], [true, true, false, true]);
  assert.equal(map.size, 3);
  assert.equal(map.get('b'), 10);
  map.drop((value) => value < 4);
  assert.equal(map.size, 1);
  map.delete('b');
  assert.equal(map.size, 0);
  for (let n = 0; n < 100_000; n++) map.set(String(n), n);
  assert.equal(map.size, 3);
});
