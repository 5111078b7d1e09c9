/** Traces for chrome://tracing and ui.perfetto.dev: JSON trace events, times in microseconds. */
import { bottleneck } from './analysis.ts';
import type { Row, Span, Trace } from './trace.ts';

type ChromeEvent = Readonly<Record<string, unknown>>;

const PID = 1;
/** Interleaved work, in the order in which a chunk passes through it. */
const INTERLEAVED = ['wait', 'inflate', 'verify', 'apply'] as const;

/**
 * One track for the image, one for each blob, one for the unpacking of each layer. Stages that alternate chunk by chunk
 * (inflate, verify, apply, wait) become one slice each, laid end to end inside the slice of the fetch or the extraction.
 */
export function chromeTrace(trace: Trace): string {
  const events: ChromeEvent[] = [
    { ph: 'M', name: 'process_name', pid: PID, tid: 0, args: { name: `hawser ${trace.name}` } },
  ];
  trace.rows.forEach((row, tid) => {
    events.push({ ph: 'M', name: 'thread_name', pid: PID, tid, args: { name: trackName(row) } });
    events.push({ ph: 'M', name: 'thread_sort_index', pid: PID, tid, args: { sort_index: tid } });
    if (row.existed) events.push({ ph: 'i', name: 'exists', s: 't', ts: 0, pid: PID, tid, cat: row.kind });
    for (const span of row.spans) events.push(slice(span, row, tid), ...inside(span, row, tid));
  });
  const otherData = {
    image: trace.name,
    target: trace.target,
    startedAt: new Date(trace.startedAt).toISOString(),
    milliseconds: micros(trace.ms) / 1000,
    bottleneck: bottleneck(trace).text,
    ...(trace.failure === undefined ? {} : { failure: trace.failure }),
    ...(trace.omitted > 0 ? { omittedRows: trace.omitted } : {}),
  };
  return `${JSON.stringify({ displayTimeUnit: 'ms', otherData, traceEvents: events })}\n`;
}

function trackName(row: Row): string {
  const { kind, image, label, digest } = row;
  const name = kind === 'layer' ? `${label} ${digest}` : label;
  return image === '' || kind === 'image' ? name : `${image} ${name}`;
}

function slice(span: Span, row: Row, tid: number): ChromeEvent {
  const { bytes, start, end } = span;
  const args = {
    digest: row.digest,
    ...(bytes > 0 ? { bytes, 'MB/s': round(bytes / 1000 / Math.max(end - start, 1e-3)) } : {}),
    ...(span.stage === 'extract' && row.expanded > 0 ? { expanded: row.expanded, entries: row.entries } : {}),
    ...(row.retries > 0 ? { retries: row.retries } : {}),
    ...(span.cut ? { unfinished: true } : {}),
  };
  return event(span.stage, start, end, row, tid, args);
}

/** The interleaved stages of a row as slices inside `span`, before the steps that end it. */
function inside(span: Span, row: Row, tid: number): ChromeEvent[] {
  if (span.stage !== (row.kind === 'layer' ? 'extract' : 'fetch')) return [];
  const next = row.spans.filter((one) => one !== span && one.start >= span.start && one.end <= span.end);
  const end = Math.min(span.end, ...next.map((one) => one.start));
  const all = INTERLEAVED.reduce((sum, stage) => sum + (row.times[stage] ?? 0), 0);
  const scale = all > 0 ? Math.min(1, (end - span.start) / all) : 0;
  let at = span.start;
  return INTERLEAVED.filter((stage) => (row.times[stage] ?? 0) > 0).map((stage) => {
    const ms = row.times[stage] ?? 0;
    const from = at;
    at += ms * scale;
    const bytes = row.expanded || row.size;
    const rate = stage === 'wait' ? {} : { 'MB/s': round(bytes / 1000 / ms) };
    return event(stage, from, at, row, tid, { interleaved: true, milliseconds: round(ms), ...rate });
  });
}

function event(
  name: string,
  start: number,
  end: number,
  row: Row,
  tid: number,
  args: ChromeEvent,
): ChromeEvent {
  return {
    ph: 'X',
    name,
    cat: row.kind,
    ts: micros(start),
    dur: Math.max(0, micros(end) - micros(start)),
    pid: PID,
    tid,
    args,
  };
}

const micros = (ms: number): number => Math.round(ms * 1000);
const round = (value: number): number => Math.round(value * 100) / 100;
