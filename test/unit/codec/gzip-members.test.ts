import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { decodeGzip } from '../../../src/core/codec/gzip-members.ts';
import { pakoEngine } from '../../../src/core/codec/gzip-portable.ts';
import { ByteSource } from '../../../src/core/codec/source.ts';
import { isKind } from '../../../src/core/errors.ts';
import { concat, sourceOf } from '../../support/streams.ts';

test('more gzip members than allowed are refused (H61)', async () => {
  const count = async (members: number): Promise<void> => {
    const packed = concat(...Array.from({ length: members }, () => gzipSync('')));
    const source = new ByteSource(sourceOf(packed, 50).stream.getReader());
    for await (const chunk of decodeGzip(source, pakoEngine, 3)) assert.fail(`${chunk.length} bytes`);
  };
  await count(3);
  await assert.rejects(count(4), (err) => isKind(err, 'ResourceExhausted'));
});
