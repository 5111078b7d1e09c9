/** Reports of verify and repair as text and JSON. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderRecover, renderRecoverJson } from '../../../src/cli/render/recover.ts';
import {
  renderRepair,
  renderRepairJson,
  renderVerify,
  renderVerifyJson,
} from '../../../src/cli/render/verify.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { Damage, VerifyReport } from '../../../src/core/verify/report.ts';

const DIGEST = parseDigest(`sha256:${'ab'.repeat(32)}`);
const SUMS = { images: 1, blobs: 2, snapshots: 3, bytes: 2048, resumed: 0 };
const images = ['a\u001b[1m'];
const BLOB: Damage = { type: 'blob', digest: DIGEST, size: 5, problem: 'gone', images };
const SNAPSHOT: Damage = {
  type: 'snapshot',
  snapshotter: 'native',
  chainId: DIGEST,
  layer: DIGEST,
  images: [],
  problems: Array.from({ length: 12 }, (_, n) => ({
    path: `/${n}`,
    what: 'mode',
    want: '0644',
    got: '0600',
  })),
  more: 5,
};
const DOCUMENT: Damage = { type: 'document', digest: DIGEST, problem: 'odd', images: [] };
const unchecked = [{ snapshotter: 'native', name: 'x', why: 'y' }];
const BAD: VerifyReport = { ...SUMS, damage: [BLOB, SNAPSHOT, DOCUMENT], unchecked };

test('a report of verify', () => {
  const sound = renderVerify({ ...SUMS, damage: [], unchecked: [] });
  assert.equal(sound, 'checked 1 images, 2 blobs (2.0 KiB), 3 snapshots: nothing is damaged\n');
  const resumed = renderVerify({ ...SUMS, resumed: 4, damage: [], unchecked: [] });
  assert.match(resumed, /3 snapshots \(4 of them before it was interrupted\): nothing is damaged\n$/);
  const lines = renderVerify(BAD).split('\n');
  assert.equal(lines[0], `damaged blob ${DIGEST} [a\\x1b[1m]: gone`);
  assert.equal(lines[1], `damaged snapshot ${DIGEST} (native, layer ${DIGEST}):`);
  assert.equal(lines[2], '  /0: mode: want 0644, got 0600');
  assert.equal(lines[12], '  and 7 more');
  assert.equal(lines[13], `bad document ${DIGEST}: odd`);
  assert.equal(lines[14], 'not checked: snapshot x (native): y');
  assert.equal(lines[15], 'checked 1 images, 2 blobs (2.0 KiB), 3 snapshots: 3 damaged, 1 not checked');
  const json = JSON.parse(renderVerifyJson(BAD));
  assert.deepEqual([json.v, json.type, json.sound, json.bytes], [1, 'verify', false, 2048]);
  assert.equal(json.damage[1].problems.length, 12);
});

test('a report of repair', () => {
  const report = { image: 'i', repaired: [BLOB], left: [{ damage: SNAPSHOT, why: 'mounted' }], unchecked };
  assert.equal(
    renderRepair([report]),
    `repaired blob ${DIGEST} [i]\nnot repaired: snapshot ${DIGEST} (native) [i]: mounted\n` +
      'not checked: snapshot x (native): y\nchecked 1 images: 1 repaired, 1 damaged still\n',
  );
  assert.equal(renderRepair([]), 'checked 0 images: nothing was damaged\n');
  assert.equal(JSON.parse(renderRepairJson([report])).images[0].left[0].why, 'mounted');
});

test('a report of recover', () => {
  const lost = {
    images: [],
    skipped: [],
    taken: [],
    unjudged: [],
    blobs: 0,
    bytes: 0,
    movedTo: undefined,
    directories: 0,
    keptBy: [],
  };
  assert.equal(renderRecover(lost), 'nothing was lost\n');
  const images = [
    { name: 'a', complete: true },
    { name: 'b\u001b', complete: false },
  ];
  const found = {
    images,
    skipped: [{ name: 'c', why: 'gone' }],
    taken: [{ name: 'd', why: 'moved' }],
    unjudged: ['a'],
    blobs: 4,
    bytes: 1024,
    movedTo: '/r/hawser.db.damaged-1',
    directories: 2,
    keptBy: ['/r/hawser.db.damaged-1'],
  };
  assert.equal(
    renderRecover(found),
    'the damaged database is now /r/hawser.db.damaged-1\nrecovered a\nrecovered b\\x1b (parts are missing: pull again)\n' +
      'not recovered: c: gone\nnot recovered: d: moved\n2 images and 4 blobs (1.0 KiB) recovered, 2 images not\n' +
      '1 of the images are indexes: which of their entries a policy had let in is not known any more. ' +
      'Where one holds, judge the images again (hawser images verify --signatures)\n' +
      '2 directories in snapshots/ have no record: layers, which unpacking makes anew, and what was written into snapshots. ' +
      'They stay until you remove /r/hawser.db.damaged-1\n',
  );
  assert.equal(JSON.parse(renderRecoverJson(found)).images[1].complete, false);
});
