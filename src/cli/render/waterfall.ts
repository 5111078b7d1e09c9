/**
 * The waterfall of the report: a lane for each blob and layer, under its image where there are many. A lane opens to its spans in words, by
 * mouse, finger or key, without a script; no fact is in a colour or a tooltip alone.
 */
import { megabytes, seconds } from '../../core/progress/analysis.ts';
import type { Row, Span, Trace } from '../../core/progress/trace.ts';
import { html, type Markup, text } from './markup.ts';
import { binarySize } from './units.ts';

/** Interleaved stages, in the order in which a chunk passes through them. */
const INTERLEAVED = ['wait', 'inflate', 'verify', 'apply'] as const;

export function waterfall(trace: Trace): Markup {
  const groups = byImage(trace.rows);
  const omitted =
    trace.omitted > 0 ? html`<p>${trace.omitted} or more blobs and layers are not shown.</p>` : '';
  return html`<div class="waterfall">
<div class="axis" aria-hidden="true"><span></span><div>${ticks(trace.ms)}</div></div>
${groups.map(([image, rows]) => html`${image === '' ? '' : imageHead(image, rows)}${lanesOf(rows).map((lane) => laneOf(lane, trace.ms))}`)}
</div>${omitted}`;
}

/** In the order first seen. One image has the name ''. */
export function byImage(rows: readonly Row[]): [image: string, rows: readonly Row[]][] {
  return [...Map.groupBy(rows, (row) => row.image)];
}

function imageHead(image: string, rows: readonly Row[]): Markup {
  const failure = rows.find((row) => row.failure !== undefined)?.failure;
  const word = failure === undefined ? '' : html` <span class="failure">failed</span>`;
  return html`<h3>${text(image)}${word}</h3>
`;
}

/** One lane a digest: the fetch of a layer's blob and its unpacking share a lane. */
function lanesOf(rows: readonly Row[]): (readonly Row[])[] {
  return [...Map.groupBy(rows, (row) => (row.kind === 'image' ? 'image' : row.digest)).values()];
}

function laneOf(rows: readonly Row[], total: number): Markup {
  const shown = rows.find((row) => row.kind === 'layer') ?? rows[0];
  if (shown === undefined) return html``;
  const existed = rows.every((row) => row.existed) && shown.kind !== 'image';
  const tracks = rows.map(
    (row) => html`<span class="track">${outerFirst(row.spans).map((span) => bar(span, row, total))}</span>`,
  );
  const size = shown.size > 0 ? binarySize(shown.size) : '';
  const label = shown.kind === 'image' ? 'image' : text(short(shown.label));
  return html`<details class="lane"><summary><span><b>${label}</b> ${size}</span>
<span>${existed ? html`<em>was there</em>` : tracks}</span></summary>
<div class="facts">${shown.digest === '' ? '' : html`<p class="mono">${text(shown.digest)}</p>`}
<ul>${rows.flatMap((row) => factsOf(row).map((fact) => html`<li>${fact}</li>`))}</ul></div></details>
`;
}

/** Inner spans come after the spans that hold them, so that they are drawn on top. */
function outerFirst(spans: readonly Span[]): Span[] {
  return [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
}

/** A span as a bar; the stages interleaved in it are stripes in proportion to their time. */
function bar(span: Span, row: Row, total: number): Markup {
  const { stage, start, end, cut } = span;
  const parts = partsOf(span, row);
  const whole = Math.max(end - start, sum(parts.map((part) => part.ms)));
  const stripes = parts.map(
    ({ name, ms }) => html`<i class="${name}" style="width:${percent(ms, whole)}%"></i>`,
  );
  const place = `left:${percent(start, total)}%;width:${percent(end - start, total)}%`;
  return html`<span class="bar ${stage}${cut ? ' cut' : ''}" style="${place}">${stripes}</span>`;
}

function partsOf({ stage }: Span, row: Row): { name: (typeof INTERLEAVED)[number]; ms: number }[] {
  const holds = stage === (row.kind === 'layer' ? 'extract' : 'fetch');
  return INTERLEAVED.map((name) => ({ name, ms: (holds && row.times[name]) || 0 })).filter(
    (part) => part.ms > 0,
  );
}

/** What the bars of a row show, in words. */
function factsOf(row: Row): string[] {
  const spans = outerFirst(row.spans).map((span) => {
    const { stage, start, end, bytes, cut } = span;
    const moves = stage === 'fetch' || stage === 'extract';
    const rate = moves && bytes > 0 && end > start ? `, ${megabytes((bytes / (end - start)) * 1000)}` : '';
    const parts = partsOf(span, row).map(({ name, ms }) => `${name} ${seconds(ms)}`);
    const of = parts.length > 0 ? `; of that ${parts.join(', ')}` : '';
    return `${stage}: ${seconds(end - start)} from ${seconds(start)}${rate}${cut ? ', unfinished' : ''}${of}`;
  });
  return [
    ...(row.failure === undefined ? [] : [text(`failed: ${row.failure}`)]),
    ...(row.existed ? [row.kind === 'layer' ? 'unpacked before' : 'in the store before'] : []),
    ...spans,
    ...(row.expanded > 0
      ? [`${binarySize(row.expanded)} in ${row.entries.toLocaleString('en')} files and directories`]
      : []),
    ...(row.retries > 0 ? [`${row.retries} retries`] : []),
  ];
}

/** Marks at round numbers, about eight, none so near to the end that it would not fit. */
function ticks(total: number): Markup[] {
  const rough = Math.max(total, 1) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= rough) ?? rough;
  const marks: Markup[] = [];
  for (let at = 0; at < 0.9 * total; at += step)
    marks.push(
      html`<span style="left:${percent(at, total)}%">${at < 1000 ? `${Math.round(at)} ms` : `${(at / 1000).toFixed(1)} s`}</span>`,
    );
  return marks;
}

/** A ref key with its digest cut: `config 0123456789ab`. */
function short(label: string): string {
  return label.replace(/-[a-z0-9]+:([0-9a-f]{12})[0-9a-f]+$/, ' $1');
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

function percent(part: number, whole: number): string {
  return ((100 * part) / (whole || 1)).toFixed(3);
}
