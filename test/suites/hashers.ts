/** What every hasher must do (FIPS 180-4 examples). */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { Hashers, HashName } from '../../src/core/ports/hashers.ts';
import { testBytes } from '../support/streams.ts';

const ABC: Record<HashName, string> = {
  sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  sha384: 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
  sha512:
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
};

export function hashersSuite(name: string, hashers: Hashers): void {
  for (const hash of Object.keys(ABC) as HashName[]) {
    test(`hashers/${name}: ${hash} of "abc" is the one of the standard`, () => {
      const hasher = hashers.create(hash);
      hasher.update(new TextEncoder().encode('abc'));
      assert.equal(hasher.digest(), ABC[hash]);
    });
    test(`hashers/${name}: ${hash} is the same in one piece and in many`, async () => {
      const data = testBytes('random', 100_001);
      const want = Buffer.from(await crypto.subtle.digest(`SHA-${hash.slice(3)}`, data as BufferSource));
      for (const size of [1, 63, 64, 65, 4096, data.length]) {
        const hasher = hashers.create(hash);
        for (let at = 0; at < data.length; at += size) hasher.update(data.subarray(at, at + size));
        assert.equal(hasher.digest(), want.toString('hex'));
      }
    });
  }
  test(`hashers/${name}: nothing at all has a digest, and hashers do not share state`, () => {
    const [first, second] = [hashers.create('sha256'), hashers.create('sha256')];
    first.update(testBytes('text', 10));
    assert.equal(second.digest(), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    first.update(new Uint8Array(0));
    assert.equal(first.digest().length, 64);
  });
}
