import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { chainIds } from '../../../src/core/oci/chain-id.ts';
import { makeDigest } from '../../../src/core/oci/digest.ts';
import type { Hashers } from '../../../src/core/ports/hashers.ts';

const hashers: Hashers = {
  create(name) {
    const hash = createHash(name);
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
  },
};
const chain = (...hex: readonly string[]): string[] =>
  chainIds(
    hex.map((one) => makeDigest('sha256', one)),
    hashers,
  ).map((id) => id.replace(/^sha256:/, ''));

const A = '589f0d58b9053a4ff7329b8fdb4f9dd120e29354c086ad0b3b10733f6cfd6de3';
const B = '55fea2a37a9fc5963f1beccd0d162b856e6bd05ca07cdd3726847846ab740f0d';
const C = 'e6c65c655ca8172ab7a2b634dab3220a45472dd6571b6efd956ccc05e229a201';
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const EMPTY_TAR = '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';

test('no layers have no chain', () => assert.deepEqual(chain(), []));

test('three layers', () => {
  assert.deepEqual(chain(A, B, C), [
    A,
    '267c5fd16af60e52927fabf0a36a31f3b5a2069347f7f00c7bd7f93f6ebc01f4',
    '82c0ed5f6c15be9b9180a8c04b9f2c676d74af6db13c711f5bb47a0fa43b56df',
  ]);
});

test('one layer several times', () => {
  assert.deepEqual(chain(EMPTY, EMPTY, EMPTY, EMPTY), [
    EMPTY,
    'de9d9016b852e46e9f3973e20d3a6d17e120f7144931d50cd6e2a8ad53e81960',
    'bfde4fe9a58518fcef5113d0cdecb982720a41bcfe19a94e82618c9246496f61',
    '0847751e92858f38caa5907962c866fe545bf97e1466faed282e466749b61881',
  ]);
  assert.deepEqual(chain(EMPTY_TAR, EMPTY_TAR, EMPTY_TAR), [
    EMPTY_TAR,
    '170b376f64fb30995c140276be3d71dfb256b308d86183ca3b22aa93a79ad548',
    '7800f80a93336d416612f372faa5f69eb67b353ce6ae9535fa0848f8784c74b1',
  ]);
});

test('redis:5.0.9 for linux/amd64', () => {
  const chains = chain(
    'd0fe97fa8b8cefdffcef1d62b65aba51a6c87b6679628a2b50fc6a7a579f764c',
    '832f21763c8e6b070314e619ebb9ba62f815580da6d0eaec8a1b080bd01575f7',
    '223b15010c47044b6bab9611c7a322e8da7660a8268949e18edde9c6e3ea3700',
    'b96fedf8ee00e59bf69cf5bc8ed19e92e66ee8cf83f0174e33127402b650331d',
    'aff00695be0cebb8a114f8c5187fd6dd3d806273004797a00ad934ec9cd98212',
    'd442ae63d423b4b1922875c14c3fa4e801c66c689b69bfd853758fde996feffb',
  );
  assert.deepEqual(chains.slice(1), [
    '2ae5fa95c0fce5ef33fbb87a7e2f49f2a56064566a37a83b97d3f668c10b43d6',
    'a8f09c4919857128b1466cc26381de0f9d39a94171534f63859a662d50c396ca',
    'aa4b58e6ece416031ce00869c5bf4b11da800a397e250de47ae398aea2782294',
    'bc8b010e53c5f20023bd549d082c74ef8bfc237dc9bbccea2e0552e52bc5fcb1',
    '33bd296ab7f37bdacff0cb4a5eb671bcb3a141887553ec4157b1e64d6641c1cd',
  ]);
});

test('a chain ID is sha256 also above a sha512 diff ID', () => {
  const ids = chainIds([makeDigest('sha512', '0'.repeat(128)), makeDigest('sha256', A)], hashers);
  assert.equal(ids[0], `sha512:${'0'.repeat(128)}`);
  assert.match(ids[1] ?? '', /^sha256:/);
});
