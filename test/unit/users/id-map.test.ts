import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError } from '../../../src/core/errors.ts';
import { formatIds, isMapped, parseIdMap, readIdMaps } from '../../../src/core/users/id-map.ts';

const INITIAL = '         0          0 4294967295\n';
const ROOTLESS = '         0       1000          1\n         1     100000      65536\n';

function files(contents: Readonly<Record<string, string>>) {
  return {
    readFile: async (path: string): Promise<Uint8Array> => {
      const text = contents[path];
      if (text === undefined) throw new HawserError('NotFound', path);
      return new TextEncoder().encode(text);
    },
  };
}

test('the ranges of a map, by the ids inside', () => {
  const ranges = parseIdMap(ROOTLESS);
  assert.deepEqual(ranges, [
    { first: 0, count: 1 },
    { first: 1, count: 65536 },
  ]);
  const mapped = [0, 1, 65536, 65537, 0xfffffffe].map((id) => isMapped(ranges, id));
  assert.deepEqual(mapped, [true, true, true, false, false]);
  assert.equal(formatIds(ranges), '0, 1-65536');
});

test('a map that nobody wrote maps nothing', () => {
  assert.deepEqual(parseIdMap(''), []);
  assert.equal(isMapped([], 0), false);
  assert.equal(formatIds([]), 'none');
});

test('a message shows some ranges of very many', () => {
  const many = Array.from({ length: 340 }, (_, i) => ({ first: 2 * i, count: 1 }));
  assert.equal(formatIds(many), '0, 2, 4, 6, 8, 10, 12, 14, ...');
});

test("the machine's own namespace is told from others", async () => {
  const initial = { '/proc/self/uid_map': INITIAL, '/proc/self/gid_map': INITIAL };
  const rootless = { '/proc/self/uid_map': ROOTLESS, '/proc/self/gid_map': ROOTLESS };
  assert.equal((await readIdMaps(files(initial))).isNamespace, false);
  assert.equal((await readIdMaps(files(rootless))).isNamespace, true);
  assert.equal(isMapped((await readIdMaps(files(initial))).uids, 0xfffffffe), true);
});

test('where /proc cannot be read, all ids can be given', async () => {
  const { uids, gids, isNamespace } = await readIdMaps(files({}));
  assert.equal(isNamespace, false);
  assert.ok(isMapped(uids, 0xfffffffe) && isMapped(gids, 0xfffffffe));
});

test('an aborted reading is no guess', async () => {
  const call = { signal: AbortSignal.abort(new HawserError('Canceled', 'stop')) };
  await assert.rejects(readIdMaps(files({}), call), /stop/);
});

test('the maps are read once, unless nobody has written them yet', async () => {
  const contents = { '/proc/self/uid_map': '', '/proc/self/gid_map': INITIAL };
  const source = files(contents);
  assert.deepEqual((await readIdMaps(source)).uids, []);
  contents['/proc/self/uid_map'] = ROOTLESS;
  assert.equal((await readIdMaps(source)).isNamespace, true);
  contents['/proc/self/uid_map'] = INITIAL;
  assert.equal((await readIdMaps(source)).isNamespace, true);
});
