/** Where to look (src/README.md): every file of the table is where its row says, and has the function that the row names. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const src: string = join(import.meta.dirname, '../../src');

/** `{a,b}.ts` names two files. */
function expanded(name: string): string[] {
  const [all, before = '', names = '', after = ''] = /^(.*)\{(.*)\}(.*)$/.exec(name) ?? [];
  return all === undefined ? [name] : names.split(',').flatMap((one) => expanded(`${before}${one}${after}`));
}

/** What a row says that is not so. A bare name is in the folder of the file before. */
function untruths(row: string): string[] {
  const wrong: string[] = [];
  let folder = '';
  for (const [, name = '', functions = ''] of row.matchAll(
    /`([^`\s]+\.ts)`(?: \(((?:`[\w#]+`(?:, )?)+)\))?/g,
  )) {
    const paths = expanded(name).map((one) => (one.includes('/') ? one : join(folder, one)));
    for (const path of paths) if (!existsSync(join(src, path))) wrong.push(`there is no ${path}`);
    const [path = ''] = paths;
    folder = dirname(path);
    const text = existsSync(join(src, path)) ? readFileSync(join(src, path), 'utf8') : '';
    for (const [, called = ''] of functions.matchAll(/`([\w#]+)`/g))
      if (!text.includes(called)) wrong.push(`${path} has no ${called}`);
  }
  return wrong;
}

test('the map: what a row of "Where to look" names is there', () => {
  const map = readFileSync(join(src, 'README.md'), 'utf8');
  const rows = (/## Where to look\n([\s\S]*?)\n## /.exec(map)?.[1] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| '));
  assert.ok(rows.length > 40);
  assert.deepEqual(rows.flatMap(untruths), []);
});

test('the map: a row that is not true is found', () => {
  assert.deepEqual(
    untruths(
      '| who? | `core/errors.ts` (`wrap`, `gone`) | `bytes.ts`, `{size,none}.ts`; `core/gc/mark.ts`, `none.ts` |',
    ),
    ['core/errors.ts has no gone', 'there is no core/none.ts', 'there is no core/gc/none.ts'],
  );
});
