/**
 * Every error of the registry side, with its text and its hint: each line of these rooms that makes an error is in the stack of an error
 * that a row reaches, so a new one fails here until it has a row.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hintOf } from '../../../src/core/errors.ts';
import { ANSWERS } from './error-table/answers.ts';
import { CONTENT } from './error-table/content.ts';
import { EVIDENCE } from './error-table/evidence.ts';
import { allSites, failureOf, linesOf, type Row } from './error-table/kit.ts';
import { LISTS } from './error-table/lists.ts';
import { PUSHES } from './error-table/pushes.ts';
import { SETTINGS } from './error-table/settings.ts';
import { EXCHANGE_CODES, TRANSFERS } from './error-table/transfers.ts';
import { URLS } from './error-table/urls.ts';

const ROWS: readonly Row[] = [
  ...SETTINGS,
  ...ANSWERS,
  ...CONTENT,
  ...EVIDENCE,
  ...LISTS,
  ...TRANSFERS,
  ...PUSHES,
  ...URLS,
];

/** Blame that nobody has established. */
const BLAME = /push(?:ed)? (?:it )?again|as it was published|\ba bug\b|hunter2/i;

Error.stackTraceLimit = 100;
const reached = new Set<string>();

for (const { says, hint, fail } of ROWS) {
  test(`error: ${says.source}`, async () => {
    const err = await failureOf(fail);
    for (const line of linesOf(err)) reached.add(line);
    assert.match(err.message, says);
    const told = hintOf(err);
    if (hint === undefined) assert.equal(told, undefined);
    else assert.match(told ?? 'no hint', hint);
    assert.doesNotMatch(`${err.message} ${told}`, BLAME);
    assert.ok(err.message.length < 4_000, 'a message has an end');
  });
}

test('errors: each that these rooms make is reached by a row', () => {
  const missing = allSites().filter(({ at }) => !reached.has(at));
  assert.deepEqual(
    missing.map(({ at, text }) => `${at}: ${text}`),
    [],
  );
});

test('errors: each code of a failed exchange has a row', () => {
  const source = readFileSync(
    join(import.meta.dirname, '../../../src/platform/http/http-failure.ts'),
    'utf8',
  );
  const codes = [...source.matchAll(/^ {2}([A-Z_]+): /gm)].map(([, code]) => code);
  assert.ok(codes.length > 20, 'the codes were found');
  assert.deepEqual(
    codes.filter((code) => !EXCHANGE_CODES.includes(code ?? '')),
    [],
  );
});
