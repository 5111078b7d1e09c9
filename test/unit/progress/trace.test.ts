/** The tracer, what is read out of its traces, and the trace format: from scripted events on a clock moved by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import { bottleneck, stageTotals } from '../../../src/core/progress/analysis.ts';
import { chromeTrace } from '../../../src/core/progress/chrome-trace.ts';
import type { BlobStatus, ProgressEvent } from '../../../src/core/progress/events.ts';
import type { Row, Trace } from '../../../src/core/progress/trace.ts';
import { Tracer } from '../../../src/core/progress/tracer.ts';
import { chosenSeed } from '../../support/seed.ts';

const desc = (digit: string, size: number): Descriptor => ({
  mediaType: 'application/octet-stream',
  digest: parseDigest(`sha256:${digit.repeat(64)}`),
  size,
});
const [one, two] = [desc('1', 1_000_000), desc('2', 3_000_000)];

const blob = (d: Descriptor, status: BlobStatus, offset = 0): ProgressEvent => ({
  type: 'blob',
  key: `layer-${d.digest}`,
  desc: d,
  status,
  offset,
});
const layer = (d: Descriptor, index: number, status: 'extracting' | 'extracted' | 'exists', offset = 0) =>
  ({
    type: 'layer',
    desc: d,
    index,
    count: 2,
    chainId: `chain-${index}`,
    status,
    offset,
  }) satisfies ProgressEvent;

/** Times are milliseconds since the trace began. */
function trace(
  events: readonly (readonly [at: number, event: ProgressEvent])[],
  end: number,
  failure?: string,
) {
  let now = 5000;
  const clock: Clock = { now: () => 1_700_000_000_000, monotonic: () => now, sleep: async () => {} };
  const tracer = new Tracer(clock);
  for (const [at, event] of events) {
    now = 5000 + at;
    tracer.report(event);
  }
  now = 5000 + end;
  return tracer.finish(failure);
}

const spansOf = (row: Row | undefined) =>
  row?.spans.map(({ stage, start, end, bytes }) => [stage, start, end, bytes]);

const PULL: readonly (readonly [number, ProgressEvent])[] = [
  [10, { type: 'resolving', name: 'r.example/a:1' }],
  [30, { type: 'resolved', name: 'r.example/a:1', root: one }],
  [30, blob(one, 'waiting')],
  [40, blob(one, 'downloading', 0)],
  [40, blob(two, 'downloading', 1_000_000)],
  [100, blob(one, 'downloading', 1_000_000)],
  [140, blob(one, 'committing', 1_000_000)],
  [150, blob(one, 'done', 1_000_000)],
  [150, layer(one, 0, 'extracting', 0)],
  [200, { type: 'retry', key: `layer-${two.digest}`, desc: two, reason: 'cut', offset: 2_000_000 }],
  [240, blob(two, 'committing', 3_000_000)],
  [250, blob(two, 'done', 3_000_000)],
  [440, { type: 'span', stage: 'rebase', desc: one, chainId: 'chain-0', ms: 20 }],
  [
    445,
    {
      type: 'stages',
      desc: one,
      chainId: 'chain-0',
      size: 2_000_000,
      entries: 7,
      times: { wait: 40, inflate: 150, verify: 20, apply: 50 },
    },
  ],
  [450, layer(one, 0, 'extracted', 1_000_000)],
  [450, layer(two, 1, 'exists', 3_000_000)],
  [460, { type: 'syncing' }],
  [500, { type: 'recorded', name: 'r.example/a:1', target: one.digest }],
];

test('tracer: stages begin and end where the events say, and count only what was fetched', () => {
  const { name, target, ms, rows, failure } = trace(PULL, 510);
  assert.deepEqual([name, target, ms, failure], ['r.example/a:1', one.digest, 510, undefined]);
  assert.deepEqual(
    rows.map((row) => [row.kind, row.label, row.existed, row.retries]),
    [
      ['image', 'image', false, 0],
      ['blob', `layer-${one.digest}`, false, 0],
      ['blob', `layer-${two.digest}`, false, 1],
      ['layer', 'layer 1/2', false, 0],
      ['layer', 'layer 2/2', true, 0],
    ],
  );
  assert.deepEqual(spansOf(rows[0]), [
    ['resolve', 10, 30, 0],
    ['sync', 460, 500, 0],
  ]);
  assert.deepEqual(spansOf(rows[1]), [
    ['fetch', 40, 140, 1_000_000],
    ['commit', 140, 150, 0],
  ]);
  assert.deepEqual(spansOf(rows[2])?.[0], ['fetch', 40, 240, 2_000_000]);
  assert.deepEqual(spansOf(rows[3]), [
    ['rebase', 420, 440, 1_000_000],
    ['extract', 150, 450, 1_000_000],
  ]);
  assert.deepEqual([rows[3]?.expanded, rows[3]?.entries], [2_000_000, 7]);
});

test('tracer: what a failure cuts off is there, and says so', () => {
  const cut = trace(PULL.slice(0, 10), 300, 'connection lost');
  assert.equal(cut.failure, 'connection lost');
  const open = cut.rows.flatMap((row) => row.spans.filter((span) => span.cut));
  assert.deepEqual(
    open.map(({ stage, end }) => [stage, end]),
    [
      ['fetch', 300],
      ['extract', 300],
    ],
  );
});

test('tracer: of many images each has its row and its failure, and what one brings did not exist for the next', () => {
  const of = (image: string, event: ProgressEvent): ProgressEvent => ({ ...event, image });
  const { name, target, rows } = trace(
    [
      [0, { type: 'images', count: 2 }],
      [10, of('a', { type: 'resolving', name: 'a' })],
      [20, of('b', { type: 'resolving', name: 'b' })],
      [30, of('a', { type: 'resolved', name: 'a', root: one })],
      [40, of('b', { type: 'resolved', name: 'b', root: two })],
      [50, of('a', blob(one, 'downloading'))],
      [60, of('b', blob(two, 'downloading'))],
      [70, of('a', layer(one, 0, 'extracting'))],
      [80, of('b', { type: 'failed', kind: 'NotFound', message: 'gone', hint: undefined })],
      [90, of('a', layer(one, 0, 'extracted'))],
      [95, of('b', layer(one, 0, 'exists'))],
      [100, of('a', { type: 'syncing' })],
      [110, of('a', { type: 'span', stage: 'record', ms: 5 })],
      [120, of('a', { type: 'recorded', name: 'a', target: one.digest })],
    ],
    200,
  );
  assert.deepEqual([name, target], ['2 images', '']);
  const shown = rows.map((row) => [row.kind, row.image, row.digest, row.failure, row.existed, spansOf(row)]);
  const spans = {
    a: [
      ['resolve', 10, 30, 0],
      ['record', 105, 110, 0],
      ['sync', 100, 120, 0],
    ],
    b: [['resolve', 20, 40, 0]],
  };
  assert.deepEqual(shown, [
    ['image', 'a', one.digest, undefined, false, spans.a],
    ['image', 'b', two.digest, 'gone', false, spans.b],
    ['blob', 'a', one.digest, undefined, false, [['fetch', 50, 200, 0]]],
    ['blob', 'b', two.digest, undefined, false, [['fetch', 60, 80, 0]]],
    ['layer', 'a', one.digest, undefined, false, [['extract', 70, 90, 0]]],
  ]);
});

test('tracer: memory is bounded whatever the image names', () => {
  const many = Array.from({ length: 5000 }, (_, n): [number, ProgressEvent] => [
    n,
    { type: 'blob', key: `layer-${n}`, desc: one, status: 'downloading', offset: 0 },
  ]);
  const repeated = Array.from({ length: 5000 }, (_, n): [number, ProgressEvent] => [
    n,
    blob(one, n % 2 === 0 ? 'downloading' : 'done', 1),
  ]);
  const { rows, omitted } = trace(many, 6000);
  assert.equal(rows.length, 2001);
  assert.ok(omitted >= 2000);
  assert.ok((trace(repeated, 6000).rows[1]?.spans.length ?? 0) <= 100);
});

test('tracer: the failure of an image is told, however many blobs the images before had', () => {
  const before = Array.from({ length: 3000 }, (_, n): [number, ProgressEvent] => [
    n,
    { type: 'blob', key: `layer-${n}`, desc: one, status: 'downloading', offset: 0, image: 'a' },
  ]);
  const failed = { type: 'failed', kind: 'NotFound', message: 'gone', hint: undefined } as const;
  const { rows } = trace([...before, [3001, { ...failed, image: 'b' }]], 6000);
  assert.deepEqual(
    rows.filter(({ failure }) => failure !== undefined).map(({ label, failure }) => [label, failure]),
    [['b', 'gone']],
  );
});

test('analysis: totals tell the clock from the sum of work', () => {
  const totals = new Map(stageTotals(trace(PULL, 510)).map((total) => [total.stage, total]));
  const fetch = totals.get('fetch');
  assert.deepEqual([fetch?.wall, fetch?.busy, fetch?.bytes], [200, 300, 3_000_000]);
  assert.equal(fetch?.rate, 15_000_000);
  const inflate = totals.get('inflate');
  assert.deepEqual([inflate?.wall, inflate?.busy, inflate?.bytes], [undefined, 150, 2_000_000]);
  assert.equal(totals.get('rebase')?.wall, 20);
  assert.equal(totals.has('record'), false);
});

test('analysis: the bottleneck is named', () => {
  const unpacking = bottleneck(trace(PULL, 510));
  assert.equal(unpacking.kind, 'unpacking');
  assert.match(unpacking.text, /^Unpacking: .* of 510 ms .* after the last byte had arrived/);
  assert.match(unpacking.text, /63% was decompressing/);
  const download = (until: number): [number, ProgressEvent][] => [
    [0, blob(one, 'downloading', 0)],
    [until, blob(one, 'done', 1_000_000)],
  ];
  const network = bottleneck(trace([...download(900), [910, { type: 'syncing' }]], 1000));
  assert.equal(network.kind, 'network');
  assert.match(network.text, /^The network: 900 ms of 1\.00 s \(90%\)/);
  assert.equal(bottleneck(trace([...download(10), [10, { type: 'syncing' }]], 1000)).kind, 'durability');
  assert.equal(bottleneck(trace(download(10), 1000)).kind, 'other');
  assert.equal(bottleneck(trace([[5, blob(one, 'exists')]], 10)).kind, 'nothing');
});

test('analysis: an unpacking that only waits for bytes is the network’s', () => {
  const waiting: [number, ProgressEvent][] = [
    [0, blob(one, 'downloading', 0)],
    [0, layer(one, 0, 'extracting')],
    [900, blob(one, 'done', 1_000_000)],
    [910, { type: 'stages', desc: one, chainId: 'chain-0', times: { wait: 800, inflate: 50, apply: 50 } }],
    [910, layer(one, 0, 'extracted')],
  ];
  const { kind, text } = bottleneck(trace(waiting, 1000));
  assert.equal(kind, 'network');
  assert.match(text, /Unpacking waited 800 ms for bytes/);
});

interface Slice {
  readonly ph: string;
  readonly name: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: Readonly<Record<string, unknown>>;
}

function slicesOf(of: Trace): Slice[] {
  const { traceEvents } = JSON.parse(chromeTrace(of)) as { traceEvents: Slice[] };
  return traceEvents.filter((event) => event.ph === 'X');
}

test('chrome trace: microseconds, a track for each row, interleaved work inside its slice', () => {
  const slices = slicesOf(trace(PULL, 510));
  const on = (tid: number) => slices.filter((s) => s.tid === tid).map(({ name, ts, dur }) => [name, ts, dur]);
  assert.deepEqual(on(0), [
    ['resolve', 10_000, 20_000],
    ['sync', 460_000, 40_000],
  ]);
  assert.deepEqual(on(3), [
    ['rebase', 420_000, 20_000],
    ['extract', 150_000, 300_000],
    ['wait', 150_000, 40_000],
    ['inflate', 190_000, 150_000],
    ['verify', 340_000, 20_000],
    ['apply', 360_000, 50_000],
  ]);
  assert.equal(slices.find((s) => s.name === 'fetch')?.args['MB/s'], 10);
});

/** Perfetto drops slices of one track that overlap without nesting. */
function assertNested(slices: readonly Slice[]): void {
  for (const a of slices) {
    for (const b of slices) {
      if (a === b || a.tid !== b.tid || b.ts < a.ts || b.ts >= a.ts + a.dur) continue;
      assert.ok(
        b.ts + b.dur <= a.ts + a.dur || b.ts === a.ts,
        `${a.name} ${a.ts}+${a.dur} / ${b.name} ${b.ts}+${b.dur}`,
      );
    }
  }
}

test('chrome trace: whatever comes, slices lie within the whole and nest', () => {
  const seed = chosenSeed();
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const statuses: BlobStatus[] = ['waiting', 'downloading', 'committing', 'done', 'exists', 'following'];
  const times = () => ({ wait: next(40), inflate: next(40), verify: next(40), apply: next(40) });
  const make = [
    () => blob(next(2) ? one : two, statuses[next(6)] ?? 'done', next(1_000_000)),
    () =>
      layer(
        next(2) ? one : two,
        next(2),
        (['extracting', 'extracted', 'exists'] as const)[next(3)] ?? 'exists',
      ),
    (): ProgressEvent => ({ type: 'stages', desc: one, chainId: `chain-${next(3)}`, times: times() }),
    (): ProgressEvent => ({ type: 'stages', desc: two, size: 9, times: times() }),
  ];
  for (let round = 0; round < 200; round++) {
    let at = 0;
    const events = Array.from({ length: 30 }, (): [number, ProgressEvent] => {
      at += next(20);
      return [at, (make[next(make.length)] ?? make[0])?.() as ProgressEvent];
    });
    const slices = slicesOf(trace(events, at + 5));
    try {
      assert.ok(slices.every(({ ts, dur }) => ts >= 0 && dur >= 0 && ts + dur <= (at + 5) * 1000));
      assertNested(slices);
    } catch (err) {
      console.log(`seed: HAWSER_SEED=${seed}`);
      throw err;
    }
  }
});
