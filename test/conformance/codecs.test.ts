import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMATS, type FormatName } from '../../src/core/codec/formats.ts';
import { isKind } from '../../src/core/errors.ts';
import type { Compression } from '../../src/core/ports/codecs.ts';
import { createCodecs } from '../../src/platform/codecs/native-codecs.ts';
import { codecsSuite } from '../suites/codecs.ts';
import { isDeno } from '../support/needs.ts';

const codecs = createCodecs();

const NAMES: readonly Compression[] = ['identity', ...(Object.keys(FORMATS) as FormatName[])];

for (const compression of NAMES) {
  codecsSuite(codecs, 'portable', compression);
  if (!(isDeno && compression === 'zstd')) codecsSuite(codecs, 'native', compression);
}

test('codecs: auto is native, but for zstd on Deno, whose own takes damage for the end', async () => {
  assert.equal((await codecs.get('gzip')).implementation, 'native');
  assert.equal((await codecs.get('zstd', 'auto')).implementation, isDeno ? 'portable' : 'native');
  if (isDeno) await assert.rejects(codecs.get('zstd', 'native'), (err) => isKind(err, 'NotImplemented'));
});
