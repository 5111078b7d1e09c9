import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { MAX_JSON_DEPTH, MAX_JSON_VALUES, parseJson } from '../../../src/core/oci/json.ts';
import { chosenSeed } from '../../support/seed.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string): unknown => parseJson(bytes(text), 'the document');

/** Numbers from 0 to below 1 by a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function randomValue(next: () => number, depth: number): unknown {
  const pick = Math.floor(next() * (depth > 4 ? 5 : 7));
  if (pick === 0) return null;
  if (pick === 1) return next() < 0.5;
  if (pick === 2) return Math.floor(next() * 1e9) - 5e8;
  if (pick === 3) return (next() - 0.5) * 10 ** Math.floor(next() * 40 - 20);
  if (pick === 4) return randomString(next);
  const length = Math.floor(next() * 5);
  if (pick === 5) return Array.from({ length }, () => randomValue(next, depth + 1));
  return Object.fromEntries(Array.from({ length }, () => [randomString(next), randomValue(next, depth + 1)]));
}

function randomString(next: () => number): string {
  const length = Math.floor(next() * 8);
  const points = Array.from({ length }, () => {
    const wide = Math.floor(next() * 0x10f800);
    return next() < 0.7 ? Math.floor(next() * 0x80) : wide < 0xd800 ? wide : wide + 0x800;
  });
  return String.fromCodePoint(...points);
}

/**
 * What JSON.parse makes of a text, written again. In a context of its own: V8 14 takes the key "\\u0019" for "\\\\" once it has
 * seen an object with that one at the same place.
 */
function oracle(text: string): string {
  return runInNewContext('JSON.stringify(JSON.parse(text))', { text }) as string;
}

test('reads what JSON.stringify writes, as it was', (t) => {
  const seed = chosenSeed();
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  for (let round = 0; round < 500; round++) {
    const text = JSON.stringify(randomValue(next, 0), null, round % 3);
    assert.equal(JSON.stringify(parse(text), null, round % 3), text, `seed ${seed} round ${round}`);
  }
});

test('refuses what JSON.parse refuses, and never accepts another value, when a text is damaged', (t) => {
  const seed = chosenSeed();
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  const noise = '{}[]",:\\u0019e+-.tfn \n\t';
  for (let round = 0; round < 3000; round++) {
    const text = JSON.stringify(randomValue(next, 0));
    const cut = Math.floor(next() * (text.length + 1));
    const char = noise[Math.floor(next() * noise.length)] ?? '';
    const damaged = (text.slice(0, cut) + char + text.slice(cut + Math.floor(next() * 2))).toWellFormed();
    let ours: unknown;
    try {
      ours = parse(damaged);
    } catch (err) {
      assert.equal((err as { kind?: string }).kind, 'InvalidArgument', `seed ${seed} ${damaged}`);
      continue;
    }
    const written = JSON.stringify(ours);
    if (written === JSON.stringify(JSON.parse(damaged))) continue;
    assert.equal(written, oracle(damaged), `seed ${seed} ${damaged}`);
  }
});

const refused: readonly (readonly [string, RegExp])[] = [
  ['', /unexpected end/],
  ['  ', /unexpected end/],
  ['{}x', /trailing data at 2/],
  ['{} {}', /trailing data/],
  ['{"a":1,"a":2}', /duplicate key "a"/],
  ['{"a":1,"\\u0061":2}', /duplicate key "a"/],
  ['[{"x":{"__proto__":1,"__proto__":2}}]', /duplicate key "__proto__"/],
  ['{"a":1,}', /expected a key/],
  ['[1,]', /unexpected character/],
  ['[1 2]', /expected ","/],
  ['{"a" 1}', /expected ":"/],
  ['{a:1}', /expected a key/],
  ["['a']", /unexpected character/],
  ['"a', /string without an end/],
  ['"a\\"', /string without an end/],
  ['"a\nb"', /control character/],
  ['"\\x41"', /bad escape/],
  ['"\\ud800"', /lone surrogate/],
  ['"\\udc00\\ud800"', /lone surrogate/],
  ['01', /trailing data/],
  ['1.', /trailing data/],
  ['.5', /unexpected character/],
  ['+1', /unexpected character/],
  ['-', /unexpected character/],
  ['NaN', /unexpected character/],
  ['nul', /unexpected character/],
  ['truex', /trailing data/],
  ['{"a":1}\u0000', /trailing data/],
  ['// c\n1', /unexpected character/],
  ['\ufeff{}', /byte order mark/],
  ['\u00a01', /unexpected character/],
];

for (const [text, message] of refused) {
  test(`refuses ${JSON.stringify(text)} (H27)`, () => {
    assert.throws(
      () => parse(text),
      (err: { kind?: string; message: string }) => {
        assert.equal(err.kind, 'InvalidArgument');
        assert.match(err.message, /^Cannot read the document: /);
        assert.match(err.message, message);
        return true;
      },
    );
  });
}

test('refuses bytes that are not UTF-8 (H27)', () => {
  for (const bad of [
    [0x22, 0xff, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xc0, 0x80, 0x22],
    [0x22, 0xe2],
  ]) {
    assert.throws(() => parseJson(new Uint8Array(bad), 'x'), /not valid UTF-8/);
  }
});

test('depth', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  assert.ok(parse(nested(MAX_JSON_DEPTH)));
  assert.throws(() => parse(nested(MAX_JSON_DEPTH + 2)), /nested deeper/);
  assert.throws(() => parse('['.repeat(1_000_000)), /nested deeper/);
  assert.throws(() => parse('{"a":'.repeat(1_000_000)), /nested deeper/);
});

test('a key __proto__ is a key like any other (H27)', () => {
  const value = parse('{"__proto__":{"admin":true},"constructor":1}') as Record<string, unknown>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(value.admin, undefined);
  assert.equal(({} as Record<string, unknown>).admin, undefined);
});

test('numbers beyond a double are infinite, not an error', () => {
  assert.equal(parse('1e400'), Number.POSITIVE_INFINITY);
  assert.equal(parse('-0'), -0);
});

test('a string of megabytes', () => {
  const long = 'x'.repeat(4_000_000);
  assert.equal(parse(`"${long}"`), long);
  assert.equal(parse(`"${long}\\n"`), `${long}\n`);
});

test('values are counted: more of them than any image needs are refused before they are built', () => {
  for (const unit of ['{}', '[]', '0', '""', 'null', '{"a":1}']) {
    const most = unit === '{"a":1}' ? MAX_JSON_VALUES / 2 : MAX_JSON_VALUES;
    const list = (count: number) => new TextEncoder().encode(`[${Array(count).fill(unit).join()}]`);
    assert.ok(parseJson(list(most - 1), 'it'));
    assert.throws(() => parseJson(list(most), 'it'), /more than 100000 values/);
  }
});
