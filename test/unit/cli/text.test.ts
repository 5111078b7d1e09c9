import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotChanges } from '../../../src/cli/commands/snapshots-change.ts';
import { goJson, goTime } from '../../../src/cli/render/go-json.ts';
import { redact, safe } from '../../../src/cli/render/text.ts';

test('text: nothing that a terminal obeys is left', () => {
  assert.equal(
    safe('a\u001b[2Jb\nc\td\u0007\u009b31m\u202ee'),
    'a\\x1b[2Jb\\x0ac\\x09d\\x07\\x9b31m\\u202ee',
  );
  assert.equal(safe('grün 漢字'), 'grün 漢字');
});

test('text: user info, queries and tokens of URLs are redacted', () => {
  assert.equal(
    redact('GET https://user:pw@host/v2/?X-Sig=abc&y=1 failed'),
    'GET https://***@host/v2/?*** failed',
  );
  assert.equal(redact('Authorization: Bearer abcdefgh.ijk-l'), 'Authorization: Bearer ***');
  assert.equal(redact('password=hunter2&scope=x'), 'password=***&scope=x');
  assert.equal(redact('"refresh_token":"zzz"'), '"refresh_token":"***"');
  assert.equal(redact('docker.io/library/alpine@sha256:00'), 'docker.io/library/alpine@sha256:00');
});

test('go-json: indents by four, escapes what Go escapes, and controls', () => {
  assert.equal(goJson({ a: '<&>\u2028\u009b' }, 4), '{\n    "a": "\\u003c\\u0026\\u003e\\u2028\\u009b"\n}');
  assert.equal(goJson({ a: 1, b: undefined }), '{"a":1}');
});

test('go-json: times lose the zeros of their fraction', () => {
  assert.equal(goTime(0), '1970-01-01T00:00:00Z');
  assert.equal(goTime(1500), '1970-01-01T00:00:01.5Z');
  assert.equal(goTime(100_000), '1970-01-01T00:01:40Z');
});

test('no summary of a command promises durability, which a containerd does not give', () => {
  for (const { path, summary } of snapshotChanges) assert.doesNotMatch(summary, /durabl/, path.join(' '));
});
