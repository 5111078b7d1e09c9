import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wantsColour } from '../../../src/cli/render/display.ts';
import { cut, frame, progressBar, visibleWidth } from '../../../src/cli/render/frame.ts';
import { eventLine, JsonThrottle } from '../../../src/cli/render/json.ts';
import { overallLine, RateMeter } from '../../../src/cli/render/overall.ts';
import { plainLines } from '../../../src/cli/render/plain.ts';
import { progressLine } from '../../../src/cli/render/plain-progress.ts';
import {
  advance,
  fetchedBytes,
  newState,
  type ProgressState,
} from '../../../src/cli/render/progress-state.ts';
import { TtyScreen } from '../../../src/cli/render/tty.ts';
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
    row(`${NAME}:`, `resolved         |${FULL}| `),
    row(`index-sha256:${d64}:`, `done             |${FULL}| `),
    row(
      `layer-sha256:${'1'.repeat(64)}:`,
      `downloading      |${'+'.repeat(13)}${'-'.repeat(25)}|   1.0 MiB/2.9 MiB `,
    ),
    row(`config-sha256:${'b'.repeat(64)}:`, `waiting          |${'-'.repeat(38)}| `),
    row('elapsed: 0.1 s', `total:   1.0 MiB ${'(7.1 MiB/s)'.padEnd(41)}`),
    '1.0 MiB of 2.9 MiB; 1 of 3 blobs',
  ]);
});

test('progress: before anything is known', () => {
  const lines = frame(stateOf({ type: 'resolving', name: NAME }), { elapsed: 0, colour: false });
  assert.equal(lines[0], `${NAME}: resolving        |${'-'.repeat(38)}| `);
  assert.match(lines[1] ?? '', /^elapsed: 0\.0 s +total: {5}0\.0 B \(0\.0 B\/s\) +$/);
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
  const line = () => frame(state, { elapsed: 0, colour: false }).at(-2);
  assert.equal(line(), `unpacking linux/amd64 ${target}... 1/3 layers (50%)`);
  advance(state, { type: 'layer', ...at, index: 1, status: 'extracted', offset: layer.size });
  assert.equal(line(), `unpacking linux/amd64 ${target}... 2/3 layers (66%)`);
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
    'unpacking linux/amd64 t... 1/2 layers (50%)',
    'unpacking linux/arm64 t...',
    '1 of 2+ layers',
  ]);
  const failed = of('h/b:1', { type: 'failed', kind: 'NotFound', message: 'gone\u001b', hint: undefined });
  const done = of('h/a:1', { type: 'recorded', name: 'h/a:1', target: 't' });
  assert.deepEqual(lines(...failed, ...done), ['3 images:', 'elapsed: 0.0 s total:', '1 of 2+ layers']);
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
    `layer-sha256:111111111111:  downloading |${'+'.repeat(13)}${'-'.repeat(25)}|   1.0 MiB/2.9 MiB`,
  );
});

const sixty = (): ProgressEvent[] => {
  const layers = Array.from({ length: 60 }, (_, i) => desc((i % 16).toString(16), 1 << 20));
  return [
    { type: 'resolved', name: NAME, root: index },
    ...layers.map((d, i) =>
      blob(`layer${i}`, d, i < 10 ? 'done' : i < 16 ? 'downloading' : 'waiting', i < 16 ? 1 << 19 : 0),
    ),
    { type: 'unpacking', platform: 'linux/amd64', target: index.digest },
    { type: 'layer', desc: layer, index: 0, count: 60, chainId: 'c', status: 'extracted', offset: 0 },
    { type: 'syncing' },
    { type: 'waiting', reason: 'asked by h', milliseconds: 5000, askedBy: 'h' },
  ];
};
const threeImages = (): ProgressEvent[] => [
  { type: 'images', count: 30 },
  ...Array.from({ length: 20 }, (_, i) => `reg.test/\u6f22\u5b57/${i}:1`).flatMap((image) =>
    sixty().map((event) => ({ ...event, image })),
  ),
  ...Array.from(
    { length: 20 },
    (_, i) => ({ type: 'resolving', name: `r/${i}:1`, image: `r/${i}:1` }) as const,
  ),
];

for (const [name, events] of [
  ['60 layers', sixty],
  ['20 images of 30', threeImages],
] as const) {
  test(`progress: ${name} in any size of terminal: no line too wide, no frame too high, the overall line last`, () => {
    const state = stateOf(...events());
    for (const columns of [20, 39, 40, 41, 80, 120, 200, undefined]) {
      for (const lines of [1, 2, 3, 5, 7, 10, 23, 50, 200, undefined]) {
        const shown = frame(state, { elapsed: 5000, colour: true, columns, lines, rate: 3_000_000 });
        assert.ok(shown.length <= (lines ?? 1000), `${lines}: ${shown.length}`);
        for (const line of shown) assert.ok(visibleWidth(line) <= (columns ?? 1000), `${columns}: ${line}`);
        assert.match(shown.at(-1) ?? '', /MiB/, `${columns}x${lines}`);
      }
    }
  });
}

test('progress: the overall line has bytes, rate, time left and layers, and fits 40 columns', () => {
  const state = stateOf(...sixty());
  const rate = 3_000_000;
  assert.equal(overallLine(state, { rate }), '13.0 MiB of 60.0 MiB, 2.9 MiB/s, 16 s left; 1 of 60 layers');
  assert.equal(overallLine(state, { rate, columns: 40 }), '13.0/60.0 MiB 2.9 MiB/s 16s 1/60');
  assert.equal(overallLine(state, { rate, early: true }), '13.0 MiB of 60.0 MiB, 2.9 MiB/s; 1 of 60 layers');
  assert.equal(overallLine(state, { rate, early: true, columns: 40 }), '13.0/60.0 MiB 2.9 MiB/s 1/60');
  assert.equal(overallLine(state, {}), '13.0 MiB of 60.0 MiB; 1 of 60 layers');
  assert.equal(overallLine(state, { rate: 0 }), '13.0 MiB of 60.0 MiB, 0.0 B/s; 1 of 60 layers');
  assert.equal(overallLine(newState(), { rate: 5 }), undefined);
});

test('progress: a screen draws no more lines than the window has, whatever its height becomes', async () => {
  let [rows, text] = [30, ''];
  const write = async (data: string | Uint8Array) => {
    text = String(data);
  };
  const screen = new TtyScreen({ isTerminal: true, columns: () => 80, rows: () => rows, write }, false);
  for (rows of [30, 10, 50]) {
    await screen.draw(stateOf(...sixty()), 1000);
    assert.equal(text.split('\n').length - 1, rows - 1);
  }
});

test('progress: the rate is that of the last seconds', () => {
  const meter = new RateMeter();
  assert.equal(meter.rate(0, 0), undefined);
  assert.equal(meter.rate(1000, 1000), 1000);
  assert.equal(meter.isEarly, true);
  meter.rate(2000, 2001);
  assert.equal(meter.isEarly, false);
  for (let at = 2000; at <= 6000; at += 1000) meter.rate(at, 1000 + at);
  assert.equal(meter.rate(20_000, 7000), undefined, 'nothing is known of the last seconds');
  assert.equal(meter.rate(21_000, 12_000), 5000);
});

test('progress: letters that are drawn wide count twice', () => {
  assert.equal(visibleWidth('a\u6f22b\u2502'), 5);
  assert.equal(cut('a\u6f22b', 2), 'a');
});

test('colour: NO_COLOR before CLICOLOR_FORCE before the terminal', () => {
  const wants = (isTerminal: boolean, env: Record<string, string>) =>
    wantsColour({ isTerminal, columns: () => 80, write: async () => {} }, (name) => env[name]);
  assert.equal(wants(true, {}), true);
  assert.equal(wants(true, { NO_COLOR: '1', CLICOLOR_FORCE: '1' }), false);
  assert.equal(wants(true, { NO_COLOR: '' }), true);
  assert.equal(wants(false, { CLICOLOR_FORCE: '1' }), true);
  assert.equal(wants(false, { CLICOLOR_FORCE: '0' }), false);
  assert.equal(wants(true, { CLICOLOR: '0' }), false);
  assert.equal(wants(true, { TERM: 'dumb' }), false);
  assert.equal(wants(false, {}), false);
});

test('progress: a cut keeps the escapes, so that colours end', () => {
  assert.equal(cut('|\u001b[32m++++\u001b[0m--|', 3), '|\u001b[32m++\u001b[0m');
});

test('progress: too many rows leave out what is done', () => {
  const blobs = Array.from({ length: 15 }, (_, i) => desc(i.toString(16), 10));
  const state = stateOf(
    ...blobs.map((d, i) => blob('layer', d, i === 14 ? 'downloading' : i < 10 ? 'done' : 'waiting')),
  );
  const lines = frame(state, { elapsed: 0, colour: false, lines: 9 });
  assert.equal(lines.length, 9);
  assert.equal(lines[6], '(10 more)');
  assert.match(lines[5] ?? '', /downloading/);
  assert.equal(lines[8], '100.0 B of 150.0 B; 10 of 15 blobs');
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

test('progress: after a failure nothing moves: no rate, no time left, what was on its way has stopped', async () => {
  let text = '';
  const write = async (data: string | Uint8Array) => {
    text = String(data);
  };
  const screen = new TtyScreen({ isTerminal: true, columns: () => 120, write }, false);
  const state = stateOf(...RUNNING);
  await screen.draw(state, 0);
  state.blobs.set('x', { size: 1 << 20, offset: 1 << 19, start: 0, status: 'downloading' });
  await screen.draw(state, 3000);
  assert.match(text, /downloading.*KiB\/s, \d+ s left;/s);
  state.ended = true;
  await screen.draw(state, 3100);
  assert.match(text, /stopped .*1\.0 MiB\/2\.9 MiB/);
  assert.doesNotMatch(text, /downloading|left/);
});

test('progress: bars and columns stay where they are while rows come and go', () => {
  const bar = (events: readonly ProgressEvent[], columns: number) => {
    const lines = frame(stateOf(...events), { elapsed: 1, colour: false, columns, lines: 6 });
    const shown = lines.find((line) => line.startsWith('layer-')) ?? '';
    return [shown.indexOf('|'), shown.lastIndexOf('|')];
  };
  const index64 = blob('manifest', index, 'done', 1000);
  for (const columns of [72, 80, 100, 200]) {
    const waiting = bar([index64, blob('layer', layer, 'waiting')], columns);
    const moving = bar([index64, blob('layer', layer, 'downloading', 1_048_575)], columns);
    const others = [desc('2', 5), desc('3', 5), desc('4', 5)].map((d) => blob('layer', d, 'waiting'));
    const crowded = bar([index64, blob('layer', layer, 'downloading', 1), ...others], columns);
    assert.deepEqual([moving, crowded], [waiting, waiting], `${columns}`);
  }
});

test('progress: in a narrow window rows have percentages from the first frame on, and unpacking keeps its count', () => {
  const target = index.digest;
  const first = frame(stateOf({ type: 'resolved', name: NAME, root: index }), {
    elapsed: 1,
    colour: false,
    columns: 40,
  });
  assert.equal(first[0], `${NAME}: resolved`);
  const state = stateOf(
    ...RUNNING,
    { type: 'unpacking', platform: 'linux/amd64', target },
    { type: 'layer', desc: layer, index: 0, count: 60, chainId: 'c', status: 'extracted', offset: 0 },
  );
  const lines = frame(state, { elapsed: 1, colour: false, columns: 40 });
  assert.ok(lines.includes('1/60 layers (1%) of linux/amd64'), lines.join('\n'));
});

test('progress: a screen writes over its lines, and erases no character of a full one', async () => {
  let text = '';
  const write = async (data: string | Uint8Array) => {
    text = String(data);
  };
  const screen = new TtyScreen({ isTerminal: true, columns: () => 40, rows: () => 10, write }, false);
  await screen.draw(stateOf(...sixty()), 1000);
  const first = text.split('\n').length - 1;
  await screen.draw(stateOf(...sixty()), 1000);
  assert.ok(text.startsWith(`\u001b[${first}A\r`) && text.endsWith('\u001b[J'), JSON.stringify(text));
  for (const line of text
    .slice(text.indexOf('\r') + 1)
    .split('\n')
    .slice(0, -1)) {
    const isFull = visibleWidth(line.replace('\u001b[K', '')) === 40;
    assert.equal(line.endsWith('\u001b[K'), !isFull, JSON.stringify(line));
  }
});
