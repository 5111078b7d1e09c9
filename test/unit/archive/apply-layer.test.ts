import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import { hintOf, isKind, messageOf } from '../../../src/core/errors.ts';
import { type ApplyDeps, applyLayer, expansionCheck } from '../../../src/core/layers/apply-layer.ts';
import { checkLayerType } from '../../../src/core/layers/layer-type.ts';
import type { ApplyJob } from '../../../src/core/layers/workers.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { createCodecs } from '../../../src/platform/codecs/native-codecs.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { dir, file, hard, layer, opq, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { sourceOf } from '../../support/streams.ts';
import { bytes, concat } from '../../support/tar-builder.ts';
import { syscallsHere } from './stacks.ts';

const OCI = 'application/vnd.oci.image.layer.v1.tar';
const DOCKER = 'application/vnd.docker.image.rootfs.diff.tar';

const sha = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

interface Run {
  readonly job?: Partial<ApplyJob>;
  readonly deps?: Partial<ApplyDeps>;
  readonly signal?: AbortSignal;
  readonly stall?: boolean;
}

async function run(blob: Uint8Array, how: Run = {}) {
  const root = mkdtempSync(join(process.env.HAWSER_TEST_TMP ?? tmpdir(), 'hawser-apply-'));
  const source = sourceOf(blob, 100, how.stall === true ? { stall: true } : {});
  const job: ApplyJob = {
    blob: '/blob',
    blobSize: blob.length,
    mediaType: OCI,
    codec: 'auto',
    root,
    lowers: [],
    mode: 'overlay',
    growing: null,
    maxBytes: 1 << 20,
    maxRatio: 1000,
    ...how.job,
  };
  const deps: ApplyDeps = {
    syscalls: syscallsHere(),
    hashers: createHashers(),
    codecs: createCodecs(),
    clock: createClock(),
    openBlob: () => source.stream,
    turn: async () => {},
    ...how.deps,
  };
  const fds = (): number => readdirSync('/proc/self/fd').length;
  const before = fds();
  try {
    const result = await applyLayer(job, deps, { signal: how.signal });
    return { ...result, names: readdirSync(root) };
  } catch (err) {
    assert.ok(source.cancelled() !== undefined || source.given() === blob.length, 'the blob is let go');
    throw err;
  } finally {
    assert.equal(fds(), before);
    rmSync(root, { recursive: true, force: true });
  }
}

describe('applyLayer', { skip: needs({ root: true }) }, () => {
  const tar = layer(file('f', 'content'), file('g', 'x'.repeat(2000)));

  test('labels are not believed, bytes are', async () => {
    const foreign = DOCKER.replace('diff.', 'foreign.diff.');
    const types = [OCI, OCI.replace('v1', 'nondistributable.v1')].flatMap((type) => [
      type,
      `${type}+gzip`,
      `${type}+zstd`,
    ]);
    types.push(DOCKER, `${DOCKER}.gzip`, `${DOCKER}.zstd`, foreign, `${foreign}.gzip`);
    const blobs = [tar, new Uint8Array(gzipSync(tar)), new Uint8Array(zstdCompressSync(tar))];
    for (const mediaType of types) {
      for (const blob of blobs) {
        const { names, warnings, times, ...rest } = await run(blob, { job: { mediaType } });
        const result = { diffId: sha(tar), size: tar.length, entries: 2, record: null, privileged: false };
        assert.deepEqual(rest, result);
        assert.ok(Object.values(times).every((ms) => ms >= 0));
        assert.deepEqual(warnings, []);
        assert.deepEqual(names.sort(), ['f', 'g']);
      }
    }
  });

  test('blind: the record says what the layers below have a say in', async () => {
    const { record } = await run(layer(dir('e'), file('e/f'), file('d/f'), wh('e/gone'), opq('n')), {
      job: { mode: 'blind' },
    });
    assert.deepEqual(record?.guesses, ['d', 'n']);
    const nodes = record?.nodes.map(({ name, made, cuts, opaque }) => [name, made.by, cuts, opaque]);
    assert.deepEqual(nodes, [
      ['', 'implicit', [], false],
      ['e', 'explicit', ['gone'], false],
      ['d', 'implicit', [], false],
      ['n', 'no', [], true],
    ]);
  });

  test('blind: a hard link to what is not in the layer needs the layers below', async () => {
    await assert.rejects(run(layer(file('a'), hard('b', 'c')), { job: { mode: 'blind' } }), isNeedsBelow);
    await assert.rejects(
      run(layer(wh('c'), hard('b', 'c')), { job: { mode: 'blind' } }),
      (err) => isKind(err, 'InvalidArgument') && /there is no such file/.test(messageOf(err)),
    );
  });

  test('a layer of no bytes, and one of no entries', async () => {
    const empty = await run(new Uint8Array(0));
    assert.equal(empty.diffId, 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    assert.deepEqual([empty.size, empty.entries, empty.names], [0, 0, []]);
    assert.equal((await run(new Uint8Array(1024))).size, 1024);
  });

  test('what follows the end of the archive counts for the diff ID (H79)', async () => {
    const long = concat([tar, bytes('trailing'), new Uint8Array(9000)]);
    assert.equal((await run(new Uint8Array(gzipSync(long)))).diffId, sha(long));
  });

  test('types', () => {
    const fine = [
      OCI,
      `${OCI}+gzip`,
      OCI.replace('layer.', 'layer.nondistributable.'),
      DOCKER.replace('rootfs.', 'rootfs.foreign.'),
    ];
    for (const type of fine) checkLayerType(type);
    for (const type of [
      'application/x-foo',
      `${OCI}+foo`,
      `${DOCKER}.gzip+foo`,
      '',
      'application/vnd.in-toto+json',
    ]) {
      assert.throws(
        () => checkLayerType(type),
        (err) => isKind(err, 'NotImplemented') && /no processor for media-type/.test(messageOf(err)),
      );
    }
    for (const type of [`${OCI}+encrypted`, `${OCI}+gzip+encrypted`]) {
      assert.throws(() => checkLayerType(type), /encrypted/);
    }
  });

  test('a layer that expands beyond the limit is refused (H60)', async () => {
    const bomb = new Uint8Array(gzipSync(new Uint8Array(3 << 20)));
    await assert.rejects(run(bomb), (err) => isKind(err, 'ResourceExhausted'));
  });

  test('the ratio limit counts only beyond the first GiB (H60)', () => {
    const limits = { maxBytes: 2 ** 40, maxRatio: 1000, blobSize: 2 ** 21 };
    const most = { identity: 2 ** 40, gzip: 1000 * 2 ** 21, zstd: 10_000 * 2 ** 21 };
    for (const [compression, bytes] of Object.entries(most)) {
      const check = expansionCheck(limits, compression as keyof typeof most);
      check(bytes);
      assert.throws(
        () => check(bytes + 1),
        (err) => isKind(err, 'ResourceExhausted') && /--max-layer-(?:ratio|size)=0/.test(hintOf(err) ?? ''),
      );
    }
    expansionCheck({ ...limits, blobSize: 1 }, 'zstd')(2 ** 30);
    assert.throws(() => expansionCheck({ ...limits, blobSize: 1 }, 'gzip')(2 ** 30 + 1), /1000 times its 1 /);
    expansionCheck({ ...limits, maxRatio: 0, blobSize: 1 }, 'gzip')(2 ** 40);
  });

  test('damage', async () => {
    const gz = new Uint8Array(gzipSync(tar));
    await assert.rejects(run(gz.subarray(0, -20)), (err) => isKind(err, 'DataLoss'));
    await assert.rejects(
      run(tar.subarray(0, 1100)),
      (err) => isKind(err, 'DataLoss') && /truncated tar/.test(messageOf(err)),
    );
    await assert.rejects(run(new Uint8Array(1024).fill(1)), (err) => isKind(err, 'InvalidArgument'));
  });

  test('an abort ends it, also while the blob stalls', { timeout: 20_000 }, async () => {
    for (const stall of [false, true]) {
      const controller = new AbortController();
      const seen: number[] = [];
      const onProgress = (count: number): void => {
        seen.push(count);
        controller.abort();
      };
      await assert.rejects(run(tar, { signal: controller.signal, deps: { onProgress }, stall }), (err) =>
        isKind(err, 'Canceled'),
      );
      assert.equal(seen.length, 1);
    }
  });

  test('progress ends with the whole blob', async () => {
    const seen: number[] = [];
    await run(tar, { deps: { onProgress: (count) => seen.push(count) } });
    assert.equal(seen.at(-1), tar.length);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
  });
});
