import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64 } from '../../../src/core/oci/base64.ts';

test('base64 has one form for some bytes: every other text is refused', () => {
  for (let length = 0; length < 8; length++) {
    const bytes = Uint8Array.from({ length }, (_, at) => 251 - at * 31);
    const text = Buffer.from(bytes).toString('base64');
    assert.deepEqual(decodeBase64(text), bytes);
  }
  const bad = [
    'A',
    'AA',
    'AAA',
    'AAAA=',
    'AB==',
    'AAB=',
    'A===',
    '====',
    'AA=A',
    'AA ==',
    'AAA\n',
    'AA-_',
    '*AAA',
    'AAAA\n',
  ];
  for (const text of bad) assert.equal(decodeBase64(text), undefined, text);
});
