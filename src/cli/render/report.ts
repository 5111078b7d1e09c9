/** `--report`: a page that shows where a transfer's time went. It has no scripts and loads nothing; foreign text is escaped. */
import {
  bottleneck,
  megabytes,
  type StageTotal,
  seconds,
  stageTotals,
} from '../../core/progress/analysis.ts';
import type { Stage } from '../../core/progress/events.ts';
import type { Row, Span, Trace } from '../../core/progress/trace.ts';
import { html, Markup } from './markup.ts';
import { STYLE } from './report-style.ts';
import { redact, safe } from './text.ts';
import { binarySize } from './units.ts';
import { whoVouches } from './verified.ts';

const MEANING: Readonly<Record<Stage, string>> = {
  resolve: 'the name to a digest, at the registry',
  fetch: 'bytes from the registry into the store',
  wait: 'for bytes, or for the layer below',
  verify: 'hashing',
  extract: 'a layer, from its first byte to its snapshot',
  inflate: 'decompressing',
  apply: 'creating files and directories',
  rebase: 'settling against the layers below',
  commit: 'making a blob or a snapshot final',
  sync: 'making the data durable',
  record: 'the image into the store',
};
/** Interleaved stages, in the order in which a chunk passes through them. */
const INTERLEAVED = ['wait', 'inflate', 'verify', 'apply'] as const;

/** The whole page. `machine`: the program and the machine in words. */
export function reportPage(trace: Trace, machine: string): string {
  const name = text(trace.name === '' ? 'an image' : trace.name);
  const outcome =
    trace.failure === undefined ? '' : html`<p class="failure">Failed: ${text(trace.failure)}</p>`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${name}: where the time went</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<h1>${name}</h1>
<p class="mono">${text(trace.target)}</p>
${trace.verified.map(({ by, vouchers }) => html`<p>Verified: ${text(`${whoVouches(vouchers)} (${by})`)}</p>`)}
${outcome}
</header>
<section class="bottleneck"><h2>Bottleneck</h2><p>${bottleneck(trace).text}</p></section>
${tiles(trace)}
<section><h2>Waterfall</h2>${legend(trace)}${waterfall(trace)}</section>
<section><h2>Stages</h2>${stageTable(trace)}</section>
${layerTable(trace)}
<footer>${text(machine)}. Started ${new Date(trace.startedAt).toISOString()}. MB are millions of bytes.</footer>
</body>
</html>
`;
  return page.text;
}

function tiles(trace: Trace): Markup {
  const blobs = trace.rows.filter((row) => row.kind === 'blob');
  const layers = trace.rows.filter((row) => row.kind === 'layer');
  const fetched = sum(
    blobs.flatMap((row) => row.spans.filter((s) => s.stage === 'fetch').map((s) => s.bytes)),
  );
  const entries = sum(layers.map((row) => row.entries));
  const tile = (value: string, label: string) => html`<div><b>${value}</b><span>${label}</span></div>`;
  return html`<section class="tiles">
${tile(seconds(trace.ms), 'in all')}
${tile(binarySize(fetched), `fetched, ${megabytes(trace.ms > 0 ? (fetched / trace.ms) * 1000 : 0)} overall`)}
${tile(String(layers.length), `layers, ${layers.filter((row) => row.existed).length} there before`)}
${entries > 0 ? tile(entries.toLocaleString('en'), 'files and directories') : ''}
${tile(String(sum(blobs.map((row) => row.retries))), 'retries')}
</section>`;
}

function legend(trace: Trace): Markup {
  const items = stageTotals(trace).map(
    ({ stage }) => html`<li><i class="${stage}"></i>${stage}<small>${MEANING[stage]}</small></li>`,
  );
  return html`<ul class="legend">${items}</ul>`;
}

/** One lane a digest: the fetch of a layer's blob and its unpacking share a lane. */
function waterfall(trace: Trace): Markup {
  const lanes = new Map<string, Row[]>();
  for (const row of trace.rows) {
    const id = row.kind === 'image' ? 'image' : row.digest;
    lanes.set(id, [...(lanes.get(id) ?? []), row]);
  }
  const omitted =
    trace.omitted > 0 ? html`<p>${trace.omitted} or more blobs and layers are not shown.</p>` : '';
  return html`<div class="waterfall">
<div class="axis"><span></span><div>${ticks(trace.ms)}</div></div>
${[...lanes.values()].map((rows) => lane(rows, trace.ms))}
</div>${omitted}`;
}

function lane(rows: readonly Row[], total: number): Markup {
  const shown = rows.find((row) => row.kind === 'layer') ?? rows[0];
  if (shown === undefined) return html``;
  const existed = rows.every((row) => row.existed) && shown.kind !== 'image';
  const tracks = rows.map(
    (row) => html`<div class="track">${outerFirst(row.spans).map((s) => bars(s, row, total))}</div>`,
  );
  const size = shown.size > 0 ? binarySize(shown.size) : '';
  return html`<div class="lane"><span title="${text(shown.digest)}"><b>${text(short(shown.label))}</b> ${size}</span>
<div>${existed ? html`<em>was there</em>` : tracks}</div></div>
`;
}

/** Inner spans come after the spans that hold them, so that they are drawn on top. */
function outerFirst(spans: readonly Span[]): Span[] {
  return [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
}

/** A span as a bar; the stages interleaved in it are stripes in proportion to their time. */
function bars(span: Span, row: Row, total: number): Markup {
  const { stage, start, end, bytes } = span;
  const rate = bytes > 0 && end > start ? `, ${megabytes((bytes / (end - start)) * 1000)}` : '';
  const title = `${stage}: ${seconds(end - start)} from ${seconds(start)}${rate}${span.cut ? ', unfinished' : ''}`;
  const holds = stage === (row.kind === 'layer' ? 'extract' : 'fetch');
  const parts = INTERLEAVED.map((name) => ({ name, ms: (holds && row.times[name]) || 0 })).filter(
    (p) => p.ms > 0,
  );
  const whole = Math.max(end - start, sum(parts.map((part) => part.ms)));
  const stripes = parts.map(
    ({ name, ms }) =>
      html`<i class="${name}" style="width:${percent(ms, whole)}%" title="${name}: ${seconds(ms)} of ${title}"></i>`,
  );
  const place = `left:${percent(start, total)}%;width:${percent(end - start, total)}%`;
  return html`<div class="bar ${stage}${span.cut ? ' cut' : ''}" style="${place}" title="${title}">${stripes}</div>`;
}

/** Marks at round numbers, about eight before the end. */
function ticks(total: number): Markup[] {
  const rough = Math.max(total, 1) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= rough) ?? rough;
  const marks: Markup[] = [];
  for (let at = 0; at < total - step / 4; at += step)
    marks.push(
      html`<span style="left:${percent(at, total)}%">${at < 1000 ? Math.round(at) : (at / 1000).toFixed(1)}${at < 1000 ? ' ms' : ' s'}</span>`,
    );
  return marks;
}

function stageTable(trace: Trace): Markup {
  const line = ({
    stage,
    wall,
    busy,
    bytes,
    rate,
  }: StageTotal) => html`<tr><td><i class="${stage}"></i>${stage}</td>
<td>${wall === undefined ? 'interleaved' : seconds(wall)}</td><td>${seconds(busy)}</td>
<td>${bytes > 0 ? binarySize(bytes) : ''}</td><td>${rate > 0 ? megabytes(rate) : ''}</td><td>${MEANING[stage]}</td></tr>
`;
  return html`<table><thead><tr><th>stage</th><th>on the clock</th><th>work in sum</th><th>bytes</th><th>speed</th><th>what</th></tr></thead>
<tbody>${stageTotals(trace).map(line)}</tbody></table>`;
}

function layerTable(trace: Trace): Markup {
  const layers = trace.rows.filter((row) => row.kind === 'layer');
  if (layers.length === 0) return html``;
  const line = (row: Row) => {
    const ms = sum(row.spans.filter((s) => s.stage === 'extract').map((s) => s.end - s.start));
    const bytes = row.expanded || row.size;
    return html`<tr><td>${text(row.label)}</td><td class="mono">${text(row.digest.slice(0, 19))}</td><td>${binarySize(row.size)}</td>
<td>${row.expanded > 0 ? binarySize(row.expanded) : ''}</td><td>${row.entries > 0 ? row.entries.toLocaleString('en') : ''}</td>
<td>${row.existed ? 'was there' : seconds(ms)}</td><td>${ms > 0 ? megabytes((bytes / ms) * 1000) : ''}</td></tr>
`;
  };
  return html`<section><h2>Layers</h2><table><thead><tr><th>layer</th><th>digest</th><th>compressed</th><th>expanded</th><th>entries</th><th>unpacking</th><th>speed</th></tr></thead>
<tbody>${layers.map(line)}</tbody></table></section>`;
}

/** Foreign text without secrets and control characters; `html` escapes it. */
function text(value: string): string {
  return safe(redact(value));
}

/** A ref key with its digest cut: `config 0123456789ab`. */
function short(label: string): string {
  return label.replace(/-[a-z0-9]+:([0-9a-f]{12})[0-9a-f]+$/, ' $1');
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

function percent(part: number, whole: number): string {
  return ((100 * part) / (whole || 1)).toFixed(3);
}
