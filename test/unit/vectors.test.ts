/** The vectors of archives and registries (A1 to A40, hostile ones HA1 to HA20): each is a test that names it in its title. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../support/runtimes.ts';

const VECTORS: readonly string[] = [
  ...Array.from({ length: 40 }, (_, n) => `A${n + 1}`),
  ...Array.from({ length: 20 }, (_, n) => `HA${n + 1}`),
];

/** The numbers in the titles of one file's tests: `test('A20 and HA6: ...`. */
function numbersIn(text: string): string[] {
  const titles = [...text.matchAll(/\b(?:test|it|describe)\(\s*(['"`])(.*?)\1/gs)].map(
    ([, , title]) => title ?? '',
  );
  return titles.flatMap((title) => title.match(/\b(?:A|HA)\d+\b/g) ?? []);
}

test('a title is found on the line of its test and below, in each kind of quotes', () => {
  const text = "test('A1, A2: x', f); test(\n  `HA3: y`, f); describe(\"A4: z\", f); // A5\nassert('A6');";
  assert.deepEqual(numbersIn(text), ['A1', 'A2', 'HA3', 'A4']);
});

test('each vector has a test with its number; no title has another number', () => {
  const root = join(repository, 'test');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const tested = new Set<string>();
  for (const file of files.filter((name) => name.endsWith('.test.ts')))
    for (const number of numbersIn(readFileSync(join(root, file), 'utf8'))) tested.add(number);
  const untested = VECTORS.filter((number) => !tested.has(number));
  assert.deepEqual(untested, []);
  assert.deepEqual(
    [...tested].filter((number) => !VECTORS.includes(number)),
    [],
  );
});
