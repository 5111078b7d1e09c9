/** The speed that a trace shows: totals for each stage, and the bottleneck. Pure. */
import type { Stage } from './events.ts';
import type { Row, Span, Trace } from './trace.ts';

export interface StageTotal {
  readonly stage: Stage;
  /** Milliseconds in which at least one span ran; undefined for interleaved work, of which only sums are known. */
  readonly wall: number | undefined;
  /** Milliseconds of work, summed over all spans. */
  readonly busy: number;
  /** Decompressed bytes for `inflate`, `apply` and the `verify` of layers; compressed bytes for the other stages. */
  readonly bytes: number;
  /** Bytes a second of `wall`, or of `busy` when `wall` is undefined; 0 when no bytes are counted. */
  readonly rate: number;
}

const ORDER: readonly Stage[] = [
  'resolve',
  'fetch',
  'wait',
  'verify',
  'extract',
  'inflate',
  'apply',
  'rebase',
  'commit',
  'sync',
  'record',
];

/** The stages that took time, in the order of a pull. */
export function stageTotals(trace: Trace): StageTotal[] {
  return ORDER.map((stage) => total(trace, stage)).filter((one) => one.busy > 0);
}

function total(trace: Trace, stage: Stage): StageTotal {
  const spans = spansOf(trace, stage);
  const interleaved = trace.rows.map((row) => ({ ms: timeOf(row, stage), bytes: row.expanded || row.size }));
  const worked = interleaved.filter((one) => one.ms > 0);
  const busy = sum(spans.map(length)) + sum(worked.map((one) => one.ms));
  const counted = stage === 'wait' ? [] : worked.map((one) => one.bytes);
  const bytes =
    sum(counted) + (stage === 'fetch' || stage === 'extract' ? sum(spans.map((s) => s.bytes)) : 0);
  const wall = worked.length > 0 ? undefined : unionLength(spans);
  const time = wall ?? busy;
  return { stage, wall, busy, bytes, rate: time > 0 ? (bytes / time) * 1000 : 0 };
}

export interface Bottleneck {
  readonly kind: 'nothing' | 'network' | 'unpacking' | 'resolving' | 'durability' | 'other';
  /** Sentences for people: fixed words and numbers, and of many images the name of one; nothing else from an image. */
  readonly text: string;
}

/** Assigns each moment to the work that the transfer waited for then; the largest share is the bottleneck. */
export function bottleneck(trace: Trace): Bottleneck {
  const fetch = merge(spansOf(trace, 'fetch'));
  const extract = merge(spansOf(trace, 'extract'));
  const both = overlap(fetch, extract);
  const layers = trace.rows.filter((row) => row.kind === 'layer');
  const extracting = sum(layers.flatMap((row) => row.spans.filter((s) => s.stage === 'extract').map(length)));
  const waited = sum(layers.map((row) => timeOf(row, 'wait')));
  const starved = extracting > 0 ? Math.min(1, waited / extracting) : 0;
  const shares = {
    network: spanned(fetch) - both + both * starved,
    unpacking: spanned(extract) - both + both * (1 - starved),
    resolving: unionLength(spansOf(trace, 'resolve')),
    durability: unionLength([...spansOf(trace, 'sync'), ...spansOf(trace, 'record')]),
  };
  if (fetch.length === 0 && extract.length === 0) {
    const why = trace.failure === undefined ? 'all that was wanted was there already' : 'no work was begun';
    return { kind: 'nothing', text: `Nothing: ${why}.` };
  }
  const other = trace.ms - sum(Object.values(shares));
  const [kind, ms] = Object.entries({ ...shares, other }).sort((a, b) => b[1] - a[1])[0] ?? ['other', 0];
  return { kind: kind as Bottleneck['kind'], text: words(trace, kind as Bottleneck['kind'], ms, waited) };
}

function words(trace: Trace, kind: Bottleneck['kind'], ms: number, waited: number): string {
  const share = `${seconds(ms)} of ${seconds(trace.ms)} (${percent(ms, trace.ms)})`;
  switch (kind) {
    case 'network': {
      const { rate } = total(trace, 'fetch');
      const starving = waited > 0 ? ` Unpacking waited ${seconds(waited)} for bytes.` : '';
      return `The network: ${share} went by with bytes on their way, at ${megabytes(rate)}.${starving}`;
    }
    case 'unpacking':
      return `Unpacking: ${share} went into it${afterLastByte(trace)}.${insideUnpacking(trace)}${slowest(trace)}`;
    case 'resolving':
      return `The registry's answers: ${share} went by before the name was resolved.`;
    case 'durability':
      return `The disk: ${share} went into making the data durable and recording the image.`;
    default:
      return `Neither the network nor unpacking: ${share} went into starting, waiting for locks and book-keeping.`;
  }
}

function afterLastByte(trace: Trace): string {
  const last = Math.max(0, ...spansOf(trace, 'fetch').map((s) => s.end));
  const end = Math.max(0, ...spansOf(trace, 'extract').map((s) => s.end));
  return last > 0 && end > last ? `, ${seconds(end - last)} of them after the last byte had arrived` : '';
}

const DOING: Partial<Record<Stage, string>> = {
  inflate: 'decompressing',
  verify: 'hashing',
  apply: 'creating files and directories',
  rebase: 'settling against the layers below',
  commit: 'committing snapshots',
};

function insideUnpacking(trace: Trace): string {
  const layers = trace.rows.filter((row) => row.kind === 'layer' && row.spans.length > 0);
  if (layers.some((row) => row.times.apply === undefined)) return '';
  const parts = (Object.keys(DOING) as Stage[]).map((stage) => {
    const spans = layers.flatMap((row) => row.spans.filter((s) => s.stage === stage));
    return { stage, ms: sum(spans.map(length)) + sum(layers.map((row) => timeOf(row, stage))) };
  });
  const all = sum(parts.map((one) => one.ms));
  const most = parts.sort((a, b) => b.ms - a.ms)[0];
  if (most === undefined || all === 0) return '';
  return ` Of the work in it, ${percent(most.ms, all)} was ${DOING[most.stage]}.`;
}

function slowest(trace: Trace): string {
  const layers = trace.rows
    .filter((row) => row.kind === 'layer')
    .map((row) => ({
      label: row.image === '' ? row.label : `${row.label} of ${row.image}`,
      ms: sum(row.spans.filter((s) => s.stage === 'extract').map(length)),
    }))
    .sort((a, b) => b.ms - a.ms);
  const [first] = layers;
  if (first === undefined || layers.length < 2 || first.ms * 2 < sum(layers.map((one) => one.ms))) return '';
  return ` More than half of it is ${first.label}, which took ${seconds(first.ms)}.`;
}

type Interval = readonly [start: number, end: number];

/** Sorted, without overlaps. */
function merge(spans: readonly Span[]): Interval[] {
  const merged: [number, number][] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

function overlap(a: readonly Interval[], b: readonly Interval[]): number {
  return sum(a.flatMap(([s, e]) => b.map(([from, to]) => Math.max(0, Math.min(e, to) - Math.max(s, from)))));
}

const spanned = (intervals: readonly Interval[]): number => sum(intervals.map(([start, end]) => end - start));
const unionLength = (spans: readonly Span[]): number => spanned(merge(spans));
const length = (span: Span): number => span.end - span.start;
const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const timeOf = (row: Row, stage: Stage): number =>
  (row.times as Readonly<Partial<Record<Stage, number>>>)[stage] ?? 0;

function spansOf(trace: Trace, stage: Stage): Span[] {
  return trace.rows.flatMap((row) => row.spans.filter((span) => span.stage === stage));
}

/** `12 ms`, `1.20 s`, `20 min 35 s`. */
export function seconds(ms: number): string {
  if (ms < 100_000) return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
  const whole = Math.round(ms / 1000);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function megabytes(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
}

function percent(part: number, whole: number): string {
  return `${Math.round((100 * part) / (whole || 1))}%`;
}
