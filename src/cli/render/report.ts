/** `--report`: a page that shows where a transfer's time went. It has no scripts and loads nothing; foreign text is escaped. */
import {
  bottleneck,
  megabytes,
  type StageTotal,
  seconds,
  stageTotals,
} from '../../core/progress/analysis.ts';
import type { Stage } from '../../core/progress/events.ts';
import type { Row, Trace } from '../../core/progress/trace.ts';
import { html, Markup, text } from './markup.ts';
import { STYLE } from './report-style.ts';
import { binarySize } from './units.ts';
import { howVouched } from './verified.ts';
import { byImage, sum, waterfall } from './waterfall.ts';

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

const MOST_FAILURES = 10;

/** The whole page. By its policy nothing runs, nothing is loaded or sent; a bar is placed by its style. `machine`: the program and the machine in words. */
export function reportPage(trace: Trace, machine: string): string {
  const name = text(trace.name === '' ? 'an image' : trace.name);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${name}: where the time went</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<h1>${name}</h1>
${trace.target === '' ? '' : html`<p class="mono">${text(trace.target)}</p>`}
${trace.verified.map(({ by, vouchers }) => html`<p>Verified: ${text(`${howVouched(vouchers)} (${by})`)}</p>`)}
${failures(trace)}
</header>
<main>
<section class="bottleneck"><h2>Bottleneck</h2><p>${text(bottleneck(trace).text)}</p></section>
${tiles(trace)}
<section><h2>Waterfall</h2>${legend(trace)}${waterfall(trace)}</section>
<section><h2>Stages</h2>${stageTable(trace)}</section>
${layerTable(trace)}
</main>
<footer>${text(machine)}. Started ${new Date(trace.startedAt).toISOString()}. MB are millions of bytes.</footer>
</body>
</html>
`;
  return page.text;
}

/** Why it failed; of many images why each did, the first ten of them. */
function failures({ failure, rows }: Trace): Markup[] {
  const failed = rows.flatMap((row) => (row.failure === undefined ? [] : [`${row.label}: ${row.failure}`]));
  const all = [...(failure === undefined ? [] : [failure]), ...failed.slice(0, MOST_FAILURES)];
  return all.map(
    (one) => html`<p class="failure">Failed: ${text(one)}</p>
`,
  );
}

function tiles(trace: Trace): Markup {
  const blobs = trace.rows.filter((row) => row.kind === 'blob');
  const layers = trace.rows.filter((row) => row.kind === 'layer');
  const existed = layers.filter((row) => row.existed).length;
  const fetched = sum(
    blobs.flatMap((row) => row.spans.filter((s) => s.stage === 'fetch').map((s) => s.bytes)),
  );
  const entries = sum(layers.map((row) => row.entries));
  const tile = (value: string, label: string) => html`<div><b>${value}</b><span>${label}</span></div>`;
  return html`<section class="tiles">
${tile(seconds(trace.ms), 'in all')}
${tile(binarySize(fetched), `fetched, ${megabytes(trace.ms > 0 ? (fetched / trace.ms) * 1000 : 0)} overall`)}
${tile(String(layers.length - existed), `layers unpacked, ${existed} there before`)}
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

function stageTable(trace: Trace): Markup {
  const line = ({
    stage,
    wall,
    busy,
    bytes,
    rate,
  }: StageTotal) => html`<tr><th scope="row"><i class="${stage}"></i>${stage}</th>
<td>${wall === undefined ? 'interleaved' : seconds(wall)}</td><td>${seconds(busy)}</td>
<td>${bytes > 0 ? binarySize(bytes) : ''}</td><td>${rate > 0 ? megabytes(rate) : ''}</td><td class="words wide">${MEANING[stage]}</td></tr>
`;
  return html`<table><thead><tr>${heads('stage', 'on the clock', 'work in sum', 'bytes', 'speed')}<th scope="col" class="words wide">what</th></tr></thead>
<tbody>${stageTotals(trace).map(line)}</tbody></table>`;
}

function layerTable(trace: Trace): Markup {
  const layers = trace.rows.filter((row) => row.kind === 'layer');
  if (layers.length === 0) return html``;
  const groups = byImage(layers).map(([image, rows]) => {
    const head = image === '' ? '' : html`<tr><th colspan="7" scope="rowgroup">${text(image)}</th></tr>`;
    const sorted = [...rows].sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }));
    return html`<tbody>${head}${sorted.map(layerLine)}</tbody>
`;
  });
  return html`<section><h2>Layers</h2><table><thead><tr><th scope="col">layer</th><th scope="col" class="words wide">digest</th>${heads('compressed', 'expanded')}
<th scope="col" class="wide">entries</th>${heads('unpacking', 'speed')}</tr></thead>
${groups}</table></section>`;
}

function layerLine(row: Row): Markup {
  const ms = sum(row.spans.filter((s) => s.stage === 'extract').map((s) => s.end - s.start));
  const bytes = row.expanded || row.size;
  return html`<tr><th scope="row">${text(row.label)}</th><td class="words wide mono">${text(row.digest.slice(0, 19))}</td><td>${binarySize(row.size)}</td>
<td>${row.expanded > 0 ? binarySize(row.expanded) : ''}</td><td class="wide">${row.entries > 0 ? row.entries.toLocaleString('en') : ''}</td>
<td>${row.existed ? 'was there' : seconds(ms)}</td><td>${ms > 0 ? megabytes((bytes / ms) * 1000) : ''}</td></tr>
`;
}

function heads(...names: readonly string[]): Markup[] {
  return names.map((name) => html`<th scope="col">${name}</th>`);
}
