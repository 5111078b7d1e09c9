/**
 * Hostile layers by their numbers (H60 to H115), through the whole path of a worker in every mode: each says what must
 * come out, and the canary beside it is looked at after each.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { caseTitle } from '../../support/layer-case.ts';
import { isDeno, needs } from '../../support/needs.ts';
import { Arena, PROVIDERS } from './hostile.ts';
import type { Case } from './hostile-cases.ts';
import { COMPRESSION } from './hostile-compression.ts';
import { TAR } from './hostile-tar.ts';
import { LAYERS, PATHS } from './hostile-trees.ts';

for (const provider of PROVIDERS) {
  describe(`hostile inputs (${provider})`, {
    skip: needs({ root: true, tools: ['mount', 'setfattr'] }),
  }, () => {
    let arena: Arena;
    before(() => {
      arena = new Arena(provider);
    });
    after(() => arena.close());
    const groups: Record<string, Case>[] = [TAR, PATHS, LAYERS];
    // What is decompressed does not depend on how system calls are made.
    if (provider === PROVIDERS[0]) groups.unshift(COMPRESSION, byPortable(COMPRESSION));
    for (const [name, given] of groups.flatMap((group) => Object.entries(group))) {
      if (given.notByTools === true && provider !== 'ffi') continue;
      const utf8Only = provider === 'paths' || (isDeno && provider === 'tools');
      if (given.notUtf8 === true && utf8Only) continue;
      test(caseTitle(name, given), () => check(arena, given));
    }
  });
}

/** The same with our own decoders. */
function byPortable(cases: Record<string, Case>): Record<string, Case> {
  const given = Object.entries(cases);
  return Object.fromEntries(given.map(([name, one]) => [`portable: ${name}`, { ...one, codec: 'portable' }]));
}

async function check(arena: Arena, { blobs, want, fails, check: also, ...how }: Case): Promise<void> {
  const [first, ...others] = await arena.run(blobs(arena.outside), how);
  assert.ok(first);
  for (const result of [first, ...others]) {
    if (fails === undefined) assert.equal(result.error, undefined);
    else assert.match(result.error ?? 'no error', fails);
    if (want !== undefined) assert.deepEqual(result.lines, [...want].sort());
    also?.(result);
    assert.deepEqual(result.lines, first.lines);
  }
}
