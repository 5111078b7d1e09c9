/** test/README.md names every support file and every tag. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root: string = join(import.meta.dirname, '..');
const map: string = readFileSync(join(root, 'README.md'), 'utf8');

test('the map names every support file, and none that is gone', () => {
  const files = readdirSync(join(root, 'support')).sort();
  const named = [...map.matchAll(/^\| `([a-z0-9-]+\.ts)` \|/gm)].map(([, name]) => name).sort();
  assert.deepEqual(named, files, 'each file of support/ has its line in test/README.md');
});

test('the map explains every tag of a title', () => {
  const explained = new Set([...map.matchAll(/^\| (H[^|]*) \|/gm)].flatMap(([, cell = '']) => tagsOf(cell)));
  const used = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => [
      ...readFileSync(join(root, name), 'utf8').matchAll(/ \(([A-Z]+\d+(?:, [A-Z]+\d+)*)\)['"`]/g),
    ])
    .flatMap(([, cell = '']) => (/[^H\d, ]/.test(cell) ? [Number.NaN] : tagsOf(cell)));
  assert.ok(used.length > 100, 'no tags were found');
  assert.deepEqual(
    [...new Set(used)].filter((tag) => !explained.has(tag)),
    [],
  );
});

/** `H2, H3` and `H70 to H73` as numbers. */
function tagsOf(cell: string): number[] {
  return cell.split(', ').flatMap((part) => {
    const [from = 0, to = from] = [...part.matchAll(/\d+/g)].map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n);
  });
}
