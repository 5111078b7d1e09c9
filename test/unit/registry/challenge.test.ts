import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from '../../../src/core/registry/auth/challenge.ts';

type Expected = readonly (readonly [string, Readonly<Record<string, string>>])[];

const VECTORS: readonly (readonly [string, string, Expected])[] = [
  [
    'all three',
    'Bearer realm="https://a/t",service="s",scope="repository:x:pull"',
    [['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:x:pull' }]],
  ],
  [
    'unquoted realm is read whole',
    'bearer realm=https://a/t,service=s',
    [['bearer', { realm: 'https://a/t', service: 's' }]],
  ],
  [
    'names without case, space before the comma',
    'BEARER Realm="r" , Service="s"',
    [['bearer', { realm: 'r', service: 's' }]],
  ],
  [
    'two on one line',
    'Basic realm="x", Bearer realm="y"',
    [
      ['basic', { realm: 'x' }],
      ['bearer', { realm: 'y' }],
    ],
  ],
  [
    'a scheme without parameters first',
    'Negotiate, Basic realm="x"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [
    'token68',
    'Negotiate YWJjZA==, Basic realm="x"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  ['quoted pair', 'Bearer realm="a\\"b",error="e"', [['bearer', { realm: 'a"b', error: 'e' }]]],
  [
    'comma in quotes',
    'Bearer scope="repository:x:pull,push",realm="r"',
    [['bearer', { scope: 'repository:x:pull,push', realm: 'r' }]],
  ],
  ['unterminated quote', 'Bearer realm="abc', [['bearer', {}]]],
  ['semicolon ends it', 'Bearer realm="r";service=s', [['bearer', { realm: 'r' }]]],
  ['spaces around =', 'Bearer realm = "r" ,\tservice\t=\ts', [['bearer', { realm: 'r', service: 's' }]]],
  ['empty list members', 'Bearer realm="r",,service="s",', [['bearer', { realm: 'r', service: 's' }]]],
  ['bare', 'Bearer', [['bearer', {}]]],
  ['empty values', 'Bearer realm="",empty=""', [['bearer', { realm: '', empty: '' }]]],
  ['the first of two counts', 'Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]]],
  ['no prototype', 'Bearer __proto__="x",realm="r"', [['bearer', { ['__proto__']: 'x', realm: 'r' }]]],
  ['parameter without scheme', 'realm="r"', []],
  ['nothing', '', []],
];

for (const [title, field, expected] of VECTORS) {
  test(`challenge: ${title}`, () => {
    const got = parseChallenges(field).map(({ scheme, params }) => [scheme, [...params]]);
    assert.deepEqual(
      got,
      expected.map(([scheme, params]) => [scheme, Object.entries(params)]),
    );
  });
}

test('challenge: hostile fields are read in bounded time', () => {
  for (const piece of ['a ', 'a=', 'a="', 'a,', '=', '"\\', 'a b=', 'x==', ' ']) {
    const found = parseChallenges(piece.repeat(65_536 / piece.length));
    assert.ok(found.length <= 32);
  }
});
