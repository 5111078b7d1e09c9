import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, frame, progressBar, visibleWidth } from '../../../src/cli/render/frame.ts';
import { eventLine, JsonThrottle } from '../../../src/cli/render/json.ts';
import { plainLines } from '../../../src/cli/render/plain.ts';
import { progressLine } from '../../../src/cli/render/plain-progress.ts';
import {
  advance,
  fetchedBytes,
  newState,
  type ProgressState,
} from '../../../src/cli/render/progress-state.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { BlobStatus, ProgressEvent } from '../../../src/core/progress/events.ts';

const NAME = '127.0.0.1:15000/t/img:multi';
const desc = (digit: string, size: number): Descriptor => ({
  mediaType: 'application/octet-stream',
  digest: parseDigest(`sha256:${digit.repeat(64)}`),
  size,
});
const blob = (kind: string, d: Descriptor, status: BlobStatus, offset = 0): ProgressEvent => ({
  type: 'blob',
  key: `${kind}-${d.digest}`,
  desc: d,
  status,
  offset,
});
const [index, layer, config] = [desc('d', 1000), desc('1', 3_001_171), desc('b', 500)];

function stateOf(...events: ProgressEvent[]): ProgressState {
  const state = newState();
  for (const event of events) advance(state, event);
  return state;
}

const RUNNING: readonly ProgressEvent[] = [
  { type: 'resolving', name: NAME },
  { type: 'resolved', name: NAME, root: index },
  blob('index', index, 'downloading'),
  blob('index', index, 'done', 1000),
  blob('layer', layer, 'waiting'),
  blob('config', config, 'waiting'),
  blob('layer', layer, 'downloading'),
  blob('layer', layer, 'downloading', 1_048_576),
];

const d64 = 'd'.repeat(64);
const FULL = '+'.repeat(38);

test('progress: what was sent for one image counts, though the next one finds it there', () => {
  for (const found of ['exists', 'mounted'] as const) {
    const sent = [blob('layer', layer, 'uploading'), blob('layer', layer, 'done', layer.size)];
    const again = [blob('layer', layer, 'waiting'), blob('layer', layer, found, layer.size)];
    assert.equal(fetchedBytes(stateOf(...sent, ...again)), layer.size, found);
  }
});

test('progress: the table of ctr 1.6, line by line', () => {
  const lines = frame(stateOf(...RUNNING), { elapsed: 141, colour: false });
  const row = (key: string, rest: string) => key.padEnd(80) + rest;
  assert.deepEqual(lines, [
    row(`${NAME}:`, `resolved       |${FULL}| `),
    row(`index-sha256:${d64}:`, `done           |${FULL}| `),
    row(
      `layer-sha256:${'1'.repeat(64)}:`,
      `downloading    |${'+'.repeat(13)}${'-'.repeat(25)}|  1.0 MiB/2.9 MiB `,
    ),
    row(`config-sha256:${'b'.repeat(64)}:`, `waiting        |${'-'.repeat(38)}| `),
    row('elapsed: 0.1 s', `total:  1.0 Mi ${'(7.1 MiB/s)'.padEnd(41)}`),
  ]);
});

test('progress: before anything is known', () => {
  const lines = frame(stateOf({ type: 'resolving', name: NAME }), { elapsed: 0, colour: false });
  assert.equal(lines[0], `${NAME}: resolving      |${'-'.repeat(38)}| `);
  assert.match(lines[1] ?? '', /^elapsed: 0\.0 s +total: {3}0\.0 B \(0\.0 B\/s\) +$/);
});

test('progress: elapsed time has one decimal in four characters', () => {
  const last = (elapsed: number) => frame(newState(), { elapsed, colour: false })[1]?.slice(0, 15);
  assert.equal(last(9900), 'elapsed: 9.9 s ');
  assert.equal(last(12_340), 'elapsed: 12.3s ');
  assert.equal(last(100_060), 'elapsed: 100.1s');
});

test('progress: the bar', () => {
  const count = (share: number) => [...progressBar(share, 40, false)].filter((c) => c === '+').length;
  assert.deepEqual([-1, 0, 0.34, 0.5, 0.999, 1, 7].map(count), [0, 0, 12, 19, 37, 38, 38]);
  assert.equal(progressBar(0, 40, true), `|\u001b[32m\u001b[0m${'-'.repeat(38)}|`);
  assert.equal(progressBar(1, 40, true), `|\u001b[32m${FULL}\u001b[0m|`);
});

test('progress: unpacking counts its layers and says what it is at', () => {
  const target = index.digest;
  const at = { desc: layer, count: 3, chainId: 'sha256:c' } as const;
  const state = stateOf(
    ...RUNNING,
    { type: 'unpacking', platform: 'linux/amd64', target },
    { type: 'layer', ...at, index: 0, status: 'exists', offset: 0 },
    { type: 'layer', ...at, index: 1, status: 'extracting', offset: layer.size / 2 },
  );
  const line = () => frame(state, { elapsed: 0, colour: false }).at(-1);
  assert.equal(line(), `unpacking linux/amd64 ${target}... 1/3 layers (50%)`);
  advance(state, { type: 'layer', ...at, index: 1, status: 'extracted', offset: layer.size });
  assert.equal(line(), `unpacking linux/amd64 ${target}... 2/3 layers`);
  advance(state, { type: 'unpacked', platform: 'linux/amd64', chainId: 'sha256:c' });
  assert.equal(line(), `unpacking linux/amd64 ${target}...`);
  advance(state, { type: 'syncing' });
  assert.equal(line(), 'syncing');
  advance(state, { type: 'recorded', name: NAME, target });
  assert.equal(line(), `unpacking linux/amd64 ${target}...`);
});

test('progress: of many images a row for all, those in work, and their own unpacking', () => {
  const of = (image: string, ...events: ProgressEvent[]) => events.map((event) => ({ ...event, image }));
  const events: ProgressEvent[] = [
    { type: 'images', count: 3 },
    ...of(
      'h/a:1',
      { type: 'resolving', name: 'h/a:1' },
      { type: 'unpacking', platform: 'linux/amd64', target: 't' },
    ),
    ...of(
      'h/b:1',
      { type: 'resolving', name: 'h/b:1' },
      { type: 'unpacking', platform: 'linux/arm64', target: 't' },
    ),
    ...of('h/a:1', {
      type: 'layer',
      desc: layer,
      index: 0,
      count: 2,
      chainId: 'c',
      status: 'exists',
      offset: 0,
    }),
  ];
  const lines = (...more: ProgressEvent[]) =>
    frame(stateOf(...events, ...more), { elapsed: 0, colour: false }).map((line) =>
      line.replace(/ {2,}.*/, ''),
    );
  assert.deepEqual(lines(), [
    '3 images:',
    'h/a:1:',
    'h/b:1:',
    'elapsed: 0.0 s total:',
    'unpacking linux/amd64 t... 1/2 layers',
    'unpacking linux/arm64 t...',
  ]);
  const failed = of('h/b:1', { type: 'failed', kind: 'NotFound', message: 'gone\u001b', hint: undefined });
  const done = of('h/a:1', { type: 'recorded', name: 'h/a:1', target: 't' });
  assert.deepEqual(lines(...failed, ...done), ['3 images:', 'elapsed: 0.0 s total:']);
  const state = stateOf(...events, ...failed, ...done);
  assert.match(frame(state, { elapsed: 0, colour: false })[0] ?? '', /2 ended, 1 failed/);
  assert.match(progressLine(state, 0, 1000), /^2 of 3 images \(1 failed\)/);
  assert.deepEqual(
    failed.flatMap((event) => plainLines(event)),
    ['h/b:1: failed: gone\\x1b'],
  );
});

test('progress: no line is wider than the terminal, with colour or without', () => {
  for (const colour of [true, false]) {
    for (let columns = 1; columns <= 160; columns++) {
      for (const line of frame(stateOf(...RUNNING), { elapsed: 1, colour, columns })) {
        assert.ok(visibleWidth(line) <= columns, `${columns}: ${line}`);
      }
    }
  }
});

test('progress: in 110 columns digests are short and the bar is whole', () => {
  const lines = frame(stateOf(...RUNNING), { elapsed: 1, colour: false, columns: 110 });
  assert.equal(
    lines[2]?.trimEnd(),
    `layer-sha256:111111111111:   downloading    |${'+'.repeat(13)}${'-'.repeat(25)}|  1.0 MiB/2.9 MiB`,
  );
});

test('progress: a cut keeps the escapes, so that colours end', () => {
  assert.equal(cut('|\u001b[32m++++\u001b[0m--|', 3), '|\u001b[32m++\u001b[0m');
});

test('progress: too many rows leave out what is done', () => {
  const blobs = Array.from({ length: 15 }, (_, i) => desc(i.toString(16), 10));
  const state = stateOf(
    ...blobs.map((d, i) => blob('layer', d, i === 14 ? 'downloading' : i < 10 ? 'done' : 'waiting')),
  );
  const lines = frame(state, { elapsed: 0, colour: false, maxRows: 5 });
  assert.equal(lines.length, 1 + 5 + 1 + 1);
  assert.equal(lines[6], '(10 more)');
  assert.match(lines[5] ?? '', /downloading/);
});

test('progress: bytes fetched are those of this run', () => {
  assert.equal(fetchedBytes(stateOf(blob('l', layer, 'exists', layer.size))), 0);
  assert.equal(
    fetchedBytes(stateOf(blob('l', layer, 'downloading', 1000), blob('l', layer, 'downloading', 1500))),
    500,
  );
  const resumed = stateOf(blob('l', layer, 'downloading', 1000), blob('l', layer, 'done', layer.size));
  assert.equal(fetchedBytes(resumed), layer.size - 1000);
});

test('progress: a blob listed twice does not go back to waiting', () => {
  const state = stateOf(
    blob('l', layer, 'waiting'),
    blob('l', layer, 'done', layer.size),
    blob('l', layer, 'waiting'),
  );
  assert.equal(state.blobs.get(`l-${layer.digest}`)?.status, 'done');
});

test('progress: plain output has a line for what is done and none on the way', () => {
  const lines = RUNNING.flatMap((event) => plainLines(event));
  assert.deepEqual(lines, [`${NAME}: resolved ${index.digest}`, `index-${index.digest}: done 1000.0 B`]);
});

test('progress: JSON events are versioned, one a line, without secrets and controls', () => {
  const line = eventLine({
    type: 'retry',
    key: 'k\u001b[2J',
    desc: { ...layer, urls: ['https://x/?sig=1'] },
    reason: 'GET https://u:p@h/b?sig=SECRET: reset',
    offset: 5,
  });
  assert.deepEqual(JSON.parse(line), {
    v: 1,
    type: 'retry',
    key: 'k\u001b[2J',
    desc: { mediaType: layer.mediaType, digest: layer.digest, size: layer.size },
    reason: 'GET https://***@h/b?***: reset',
    offset: 5,
  });
  assert.ok(line.startsWith('{"v":1,"type":"retry"'));
  assert.doesNotMatch(line, /[\u0000-\u001f]|SECRET/);
});

test('progress: JSON offsets pass ten times a second, changes of status always', () => {
  const throttle = new JsonThrottle();
  const pass = (status: BlobStatus, now: number) => throttle.pass(blob('l', layer, status), now);
  assert.deepEqual(
    [pass('downloading', 0), pass('downloading', 50), pass('done', 51), pass('done', 60), pass('done', 151)],
    [true, false, true, false, true],
  );
});

test('json: stage times are told as they are, descriptors are cut', () => {
  const times = { wait: 1.5, inflate: 20, apply: 3 };
  const event: ProgressEvent = { type: 'stages', desc: layer, chainId: 'c', size: 9, entries: 2, times };
  assert.deepEqual(JSON.parse(eventLine(event)), {
    v: 1,
    ...event,
    desc: { mediaType: layer.mediaType, digest: layer.digest, size: layer.size },
  });
});
