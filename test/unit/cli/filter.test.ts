/** The errors are those of containerd 1.6.20, observed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf, messageOf } from '../../../src/core/errors.ts';
import { contentFields, imageFields, parseFilters } from '../../../src/core/filter/filter.ts';
import type { Image } from '../../../src/core/images/image-store.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const image = (name: string, labels: Record<string, string> = {}): Image => ({
  name,
  target: { mediaType: 'application/vnd.oci.image.index.v1+json', digest, size: 7 },
  labels,
  createdAt: 0,
  updatedAt: 0,
});
const multi = image('example.com/a/multi:1', { 'a.b/c': 'd', plain: '' });
const single = image('example.com/single:latest');

function names(...filters: string[]): string[] {
  const filter = parseFilters(filters);
  return [multi, single].filter((one) => filter(imageFields(one))).map((one) => one.name);
}

test('filter: operators, conjunction and disjunction', () => {
  const both = [multi.name, single.name];
  assert.deepEqual(names(), both);
  assert.deepEqual(names(''), both);
  assert.deepEqual(names(`name==${multi.name}`), [multi.name]);
  assert.deepEqual(names(`name == ${multi.name}`), [multi.name]);
  assert.deepEqual(names(`name!=${multi.name}`), [single.name]);
  assert.deepEqual(names('name~=multi'), [multi.name]);
  assert.deepEqual(names('name~=^example'), both);
  assert.deepEqual(names('name~=(?i)MULTI'), [multi.name]);
  assert.deepEqual(names('name~=multi,name~=single'), []);
  assert.deepEqual(names('name~=multi', 'name~=single'), both);
  assert.deepEqual(names('target.digest!=x'), both);
  assert.deepEqual(names(`target.digest==${digest}`), both);
  assert.deepEqual(names('target.mediatype~=index'), both);
});

test('filter: labels by dotted and quoted keys, and their presence', () => {
  assert.deepEqual(names('labels."a.b/c"==d'), [multi.name]);
  assert.deepEqual(names('labels."a.b/c"'), [multi.name]);
  assert.deepEqual(names('labels.plain'), [multi.name]);
  assert.deepEqual(names('labels.plain==""'), [multi.name]);
  assert.deepEqual(names('labels.constructor'), []);
  assert.deepEqual(names('labels'), []);
  assert.deepEqual(names('unknown'), []);
});

test('filter: other quotes are for regular expressions', () => {
  assert.deepEqual(names('name~=/\\/a\\//'), [multi.name]);
  assert.deepEqual(names('name~=|multi|'), [multi.name]);
  assert.deepEqual(names('name=="example.com\\x2fsingle:latest"'), [single.name]);
  assert.deepEqual(names('name=="example.com\\057single:latest"'), [single.name]);
});

test('filter: content by digest, size and label', () => {
  const info = { digest, size: 42, createdAt: 0, updatedAt: 0, labels: { x: 'y' } };
  for (const text of [`digest==${digest}`, 'size==42', 'labels.x==y']) {
    assert.equal(parseFilters([text])(contentFields(info)), true, text);
  }
  assert.equal(parseFilters(['size==43'])(contentFields(info)), false);
});

const ERRORS: readonly (readonly [string, string])[] = [
  ['name==x,', '[name==x,]: expected field or quoted'],
  ['name=', '[name >|=|< ]: unsupported operator "="'],
  ['bad===', '[bad >|=|< ==]: unsupported operator "==="'],
  ['name~=/a', '[name~= >|/|< a]: quoted literal not terminated'],
  ['.x', '[ >|.|< x]: expected field or quoted'],
  ['name=="a\\q"', '[name== >|"|< a\\q"]: illegal escape sequence'],
  ['name==/a/', '[name== >|/|< a/]: invalid quote encountered'],
  ['name a', '[name  >|a|< ]: expected an operator ("=="|"!="|"~=")'],
  ['name==a b', '[name==a >| |< b]: unexpected input:  '],
  ['na$me', '[na >|$|< me]: expected an operator ("=="|"!="|"~=")'],
  ['"na', '[ >|"|< na]: quoted literal not terminated'],
  ['name=="\\x4"', '[name== >|"|< \\x4"]: illegal numeric escape sequence'],
  ['name==', '[name==]: expected value or quoted'],
  ['labels."a.b"==', '[labels."a.b"==]: expected value or quoted'],
  [' ', '[ ]: expected field or quoted'],
  ['=', '[ >|=|< ]: expected field or quoted'],
  ['name,,', '[name, >|,|< ]: expected field or quoted'],
  ['name.', '[name.]: expected field or quoted'],
  ['name==é,', '[name==é,]: expected field or quoted'],
];

test('filter: errors are in the words of containerd', () => {
  for (const [text, want] of ERRORS) {
    assert.throws(
      () => parseFilters([text]),
      (err) => {
        assert.equal(messageOf(err), `filters: parse error: ${want}`, text);
        return kindOf(err) === 'InvalidArgument';
      },
    );
  }
});

test('filter: a regular expression that is none is an error', () => {
  assert.throws(() => parseFilters(['name~=(']), /cannot use the regular expression/);
});
